"""How incidents are kept and found by whose trouble they are: the part of `store.py` that reports need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select, text

from tocsin.db.among import among
from tocsin.db.schema import former_description, incident
from tocsin.db.transaction import Reader, Writer
from tocsin.incidents.model import ENDED, Incident
from tocsin.incidents.reported import COUNTED
from tocsin.incidents.store import WITH_PARTNER

Trouble = tuple[str, str]  # an owner and its dedup key


def count(tx: Writer, reported: Sequence[Incident]) -> None:
    """Writes back how often and when they were reported."""
    if reported:
        tx.update(incident, COUNTED, reported)


def amend(tx: Writer, amended: Sequence[Incident]) -> None:
    """Writes back what a source says of its own report: the summary and the labels."""
    if amended:
        tx.update(incident, FACTS, amended)


def described_by_people(tx: Writer, incident_ids: Sequence[int]) -> frozenset[int]:
    """Those of them whose description people have edited: words before are kept of nobody else's edits."""
    if not incident_ids:
        return frozenset()
    return frozenset(id for (id,) in tx.tuples(EDITED, {"ids": list(incident_ids)}))


def active_troubles(tx: Writer, troubles: Sequence[Trouble]) -> list[Incident]:
    """The active incidents that have one of these owners and dedup keys, held in id order against other writers."""
    found: list[Incident] = []
    for owner, keys in _by_owner(troubles).items():
        found += [Incident._make(row) for row in tx.tuples(ACTIVE_TROUBLES, {"owner": owner, "keys": keys})]
    return found


def latest_trouble(reader: Reader, owner: str, dedup_key: str) -> Incident | None:
    """The newest incident that has this owner and dedup key, ended or not."""
    row = reader.row(LATEST_TROUBLE, {"owner": owner, "key": dedup_key})
    return None if row is None else Incident._make(row)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of an owner's incidents is narrowed by; None does not narrow it."""

    active: bool | None = None
    dedup_key: str | None = None
    severity: str | None = None


def of_owner(reader: Reader, owner: str, wanted: Wanted, limit: int, offset: int) -> list[Incident]:
    """An owner's incidents, newest first."""
    rows = reader.rows(_narrowed(OF_OWNER, wanted), {"owner": owner, "limit": limit, "offset": offset})
    return [Incident._make(row) for row in rows]


def count_of_owner(reader: Reader, owner: str, wanted: Wanted) -> int:
    """How many those are."""
    row = reader.row(_narrowed(COUNT_OF_OWNER, wanted), {"owner": owner})
    return 0 if row is None else int(row.number)


def rival_of(tx: Writer, reopened: Incident, now: Mapping[int, Incident]) -> Incident | None:
    """Another incident that is active for the same trouble; `now` are those that this transaction has changed."""
    owner, key = reopened.dedup_owner, reopened.dedup_key
    if owner is None or key is None:
        return None
    known = [*now.values(), *active_troubles(tx, [(owner, key)])]
    rivals = (now.get(each.id, each) for each in known if (each.dedup_owner, each.dedup_key) == (owner, key))
    return next((rival for rival in rivals if rival.active and rival.id != reopened.id), None)


def _narrowed(statement: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.active is not None:
        statement = statement.where(STILL_ACTIVE if wanted.active else incident.c.status.in_(ENDED))
    if wanted.dedup_key is not None:
        statement = statement.where(incident.c.dedup_key == wanted.dedup_key)
    return statement if wanted.severity is None else statement.where(incident.c.severity == wanted.severity)


def _by_owner(troubles: Sequence[Trouble]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for owner, key in sorted(set(troubles)):
        keys.setdefault(owner, []).append(key)
    return keys


# In the words of the index `uq_incident_trouble`, or it would not serve.
STILL_ACTIVE = text("incident.dedup_key IS NOT NULL AND incident.status NOT IN ('resolved', 'closed')")
THEIRS = incident.c.dedup_owner == bindparam("owner")
EDITED = select(former_description.c.incident_id).where(among(former_description.c.incident_id, "ids"))
# Every batch of reports asks it.
ACTIVE_TROUBLES = (
    WITH_PARTNER.where(THEIRS, among(incident.c.dedup_key, "keys"), STILL_ACTIVE)
    .order_by(incident.c.id)
    .with_for_update(of=incident)
)
LATEST_TROUBLE = (
    WITH_PARTNER.where(THEIRS, incident.c.dedup_key == bindparam("key")).order_by(incident.c.id.desc()).limit(1)
)
OF_OWNER = (
    WITH_PARTNER.where(THEIRS).order_by(incident.c.id.desc()).limit(bindparam("limit")).offset(bindparam("offset"))
)
COUNT_OF_OWNER = select(func.count().label("number")).select_from(incident).where(THEIRS)
FACTS = ("summary", "labels")
