"""How incidents are kept and found. Statements are built once for each shape of question and then reused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Select, bindparam, func, select, tuple_, union_all, update

from tocsin.db.among import among
from tocsin.db.schema import Id, Moment, former_description, incident, original_import, partner
from tocsin.db.transaction import Reader, Writer
from tocsin.incidents.model import Incident, Mark

# In the order of Incident's fields; `partner` comes from the join.
COLUMNS = (
    incident.c.id,
    incident.c.description,
    incident.c.status,
    incident.c.source,
    incident.c.created_at,
    incident.c.summary,
    incident.c.filed_by,
    incident.c.partner_id,
    partner.c.slug.label("partner"),
    incident.c.partner_words,
    incident.c.acknowledged_at,
    incident.c.acknowledged_by,
    incident.c.resolved_at,
    incident.c.closed_at,
    incident.c.updated_at,
    incident.c.reopened_count,
    incident.c.version,
    incident.c.severity,
    incident.c.asset,
    incident.c.labels,
    incident.c.integration_id,
    incident.c.dedup_owner,
    incident.c.dedup_key,
    incident.c.reports_count,
    incident.c.last_reported_at,
)


Lead = tuple[Column[Any], str]  # and the name of its value


@dataclass(frozen=True, slots=True)
class Question:
    """Which incidents: all the filters of a list. None and empty mean no filter."""

    statuses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    filed_by: int | None = None
    partner_id: int | None = None
    place: tuple[datetime, int] | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Former:
    """Words that an edit replaced."""

    id: int
    description: str
    replaced_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come: the highest id that it has seen, and how many incidents it brought."""

    last_id: int = 0
    imported: int = 0


def page(reader: Reader, question: Question) -> list[Incident]:
    """Newest first, by (created_at, id), from the question's place on."""
    return [Incident._make(row) for row in reader.tuples(*_asked(reader, WITH_PARTNER, question))]


def marks(reader: Reader, question: Question) -> Sequence[Mark]:
    """The same page, of each incident only what tells whether it still says what it said."""
    return cast("Sequence[Mark]", reader.tuples(*_asked(reader, MARKED, question)))


def one(reader: Reader, incident_id: int) -> Incident | None:
    """One incident."""
    rows = reader.tuples(ONE, {"id": incident_id})
    return Incident._make(rows[0]) if rows else None


def many(reader: Reader, ids: Sequence[int]) -> list[Incident]:
    """These incidents, in id order; those that do not exist are left out."""
    if not ids:
        return []
    return [Incident._make(row) for row in reader.tuples(MANY, {"ids": sorted(set(ids))})]


def hold(tx: Writer, ids: Sequence[int]) -> dict[int, Incident]:
    """These incidents, held in id order against other writers; those that do not exist are left out."""
    wanted = sorted(set(ids))
    # Of one by itself PostgreSQL keeps the plan; with a list it plans each time.
    asked = (HELD_ONE, {"id": wanted[0]}) if len(wanted) == 1 else (HELD, {"ids": wanted})
    return {row[0]: Incident._make(row) for row in tx.tuples(*asked)}


def add(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """New incidents; their ids in the same order."""
    return tx.insert(incident, rows)


def add_with_ids(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Incidents that bring their ids along."""
    tx.add(incident, rows)


def save(tx: Writer, changed: Sequence[Incident], reworded: Sequence[Incident]) -> None:
    """Writes back what changed; long words only where they did."""
    if changed:
        tx.update(incident, CHANGING, changed)
    if reworded:
        tx.update(incident, WORDS, reworded)


def keep_former(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Words that edits replaced; their ids in the same order."""
    return tx.insert(former_description, rows)


def former(reader: Reader, incident_id: int) -> list[Former]:
    """What an incident's description was before, oldest first."""
    return [Former(*row) for row in reader.rows(FORMER, {"incident": incident_id})]


def taken(reader: Reader, ids: Sequence[int]) -> list[int]:
    """Those of these ids that an incident has, ascending."""
    return [id for (id,) in reader.tuples(TAKEN, {"ids": list(ids)})]


def lowest_between(reader: Reader, after: int, last: int) -> int | None:
    """The lowest id that an incident has, of those after one and up to another."""
    row = reader.row(LOWEST_BETWEEN, {"after": after, "last": last})
    return None if row is None else row.lowest


def reserve_up_to(tx: Writer, last: int) -> None:
    """Leaves the ids up to this one to incidents that bring theirs along."""
    tx.ids_go_on_after(incident, last)


def progress(reader: Reader, origin: str) -> Progress:
    """How far the import from this origin has come."""
    row = reader.row(PROGRESS, {"origin": origin})
    return Progress() if row is None else Progress(*row)


def hold_progress(tx: Writer, origin: str) -> Progress:
    """The same, held against another import from there."""
    row = tx.row(PROGRESS.with_for_update(), {"origin": origin})
    return Progress() if row is None else Progress(*row)


def save_progress(tx: Writer, origin: str, before: Progress, now: Progress) -> None:
    """Writes down how far it has come. Two imports that begin at once meet at the primary key."""
    values = {"last_id": now.last_id, "imported": now.imported, "updated_at": tx.now}
    if before == Progress():
        tx.add(original_import, [{"origin": origin, **values}])
    else:
        tx.run(update(original_import).where(original_import.c.origin == origin).values(values))


def _asked(reader: Reader, of: Select[Any], question: Question) -> tuple[Select[Any], Mapping[str, Any]]:
    statement = _page(
        of,
        reader.dialect.order_names_index,
        len(question.statuses),
        len(question.sources),
        *(name for name in (*_GIVEN, "place") if getattr(question, name) is not None),
    )
    return statement, _values(question)


def _values(question: Question) -> dict[str, Any]:
    values: dict[str, Any] = {f"status_{n}": status for n, status in enumerate(question.statuses)}
    values |= {f"source_{n}": source for n, source in enumerate(question.sources)}
    values |= {name: getattr(question, name) for name in _GIVEN if getattr(question, name) is not None}
    if question.place is not None:
        values["place_at"], values["place_id"] = question.place
    return values | {"limit": question.limit}


@lru_cache(maxsize=256)
def _page(of: Select[Any], named: bool, statuses: int, sources: int, *given: str) -> Select[Any]:
    """The statement for one shape of question; `of` says which columns."""
    leads = _leads(statuses, sources, given)
    led = {column.name for column, _ in leads}
    # The lead says its own filter: said once more with `=`, it would undo what `_of` does for PostgreSQL.
    filters = [_GIVEN[name] for name in given if name != "place" and name not in led]
    if sources and "source" not in led:
        filters.append(incident.c.source.in_([bindparam(f"source_{n}") for n in range(sources)]))
    later = "place" in given
    if len(leads) > 1:
        return _merged(of, [_of(WITHOUT, lead, named, filters, later) for lead in leads])
    return _of(of, leads[0] if leads else None, named, filters, later)


def _leads(statuses: int, sources: int, given: Sequence[str]) -> list[Lead]:
    """What leads to the rows: each status, else the owner, else each source."""
    of_status = [(incident.c.status, f"status_{n}") for n in range(statuses)]
    of_owner = [(incident.c[name], name) for name in given if name in ("filed_by", "partner_id")]
    of_source = [(incident.c.source, f"source_{n}") for n in range(sources)]
    return of_status or of_owner[:1] or of_source


def _of(
    of: Select[Any], lead: Lead | None, named: bool, filters: list[ColumnElement[bool]], later: bool
) -> Select[Any]:
    """Newest first by one index: that of the lead, where the question names a status, a source or an owner.

    `named` (PostgreSQL) says the lead in the order too, and `between` in place of `=`, which looks odd and means the
    same. With `=` it may walk the whole register by time and throw away what does not match: it cannot know that old
    incidents are the closed ones. SQLite takes the lead's index by itself, and a place in it only with `=`.
    """
    order: list[ColumnElement[Any]] = [incident.c.created_at, incident.c.id]
    place: list[ColumnElement[Any]] = [bindparam("place_at", type_=Moment), bindparam("place_id", type_=Id)]
    if lead is not None:
        column, name = lead
        value = bindparam(name, type_=column.type)
        filters = [*filters, column.between(value, value) if named else column == value]
        if named:
            order.insert(0, column)
            place.insert(0, value)
    if later:
        filters = [*filters, tuple_(*order) < tuple_(*place)]
    return of.where(*filters).order_by(*(column.desc() for column in order)).limit(bindparam("limit"))


def _merged(of: Select[Any], of_each: list[Select[Any]]) -> Select[Any]:
    """A page of each, merged. One query with `IN` would sort all that match, which may be millions."""
    pages = [each.subquery() for each in of_each]
    ids = union_all(*(select(page.c.id) for page in pages))
    return of.where(incident.c.id.in_(ids)).order_by(*NEWEST).limit(bindparam("limit"))


NEWEST = (incident.c.created_at.desc(), incident.c.id.desc())
WITHOUT = select(incident.c.id)
MARKED = select(incident.c.id, incident.c.version, incident.c.reports_count)
WITH_PARTNER = select(*COLUMNS).select_from(incident.outerjoin(partner))
ONE = WITH_PARTNER.where(incident.c.id == bindparam("id"))
MANY = WITH_PARTNER.where(among(incident.c.id, "ids")).order_by(incident.c.id)
HELD = MANY.with_for_update(of=incident)
HELD_ONE = ONE.with_for_update(of=incident)
TAKEN = WITHOUT.where(among(incident.c.id, "ids")).order_by(incident.c.id)
FORMER = (
    select(former_description.c.id, former_description.c.description, former_description.c.replaced_at)
    .where(former_description.c.incident_id == bindparam("incident"))
    .order_by(former_description.c.id)
)

LOWEST_BETWEEN = select(func.min(incident.c.id).label("lowest")).where(
    incident.c.id > bindparam("after"), incident.c.id <= bindparam("last")
)
PROGRESS = select(original_import.c.last_id, original_import.c.imported).where(
    original_import.c.origin == bindparam("origin")
)

# The filters that a question may have or not; `place` is worked into the order.
_GIVEN: dict[str, ColumnElement[bool]] = {
    "created_after": incident.c.created_at >= bindparam("created_after"),
    "created_before": incident.c.created_at < bindparam("created_before"),
    "filed_by": incident.c.filed_by == bindparam("filed_by"),
    "partner_id": incident.c.partner_id == bindparam("partner_id"),
}

WORDS = ("description", "partner_words")
CHANGING = (
    "status",
    "acknowledged_at",
    "acknowledged_by",
    "resolved_at",
    "closed_at",
    "updated_at",
    "reopened_count",
    "version",
    "severity",
)
