"""How the timeline is read: always by id, oldest first, so that a follower never skips an entry."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import FromClause, Select, bindparam, func, select

from tocsin.db.schema import api_key, channel, entry, incident, integration
from tocsin.db.transaction import Reader
from tocsin.timeline.model import Entry


def of_incident(reader: Reader, incident_id: int, after: int, limit: int) -> list[Entry]:
    """One incident's entries after an id."""
    values = {"incident": incident_id, "after": after, "limit": limit}
    return [_entry(row) for row in reader.rows(OF_INCIDENT, values)]


def story_of_incident(reader: Reader, incident_id: int, most: int) -> tuple[list[Entry], bool]:
    """What is worth telling of one incident, oldest first, and whether that is all of it.

    A storm leaves thousands of counted repeats: only the newest are read, and of the others the first and the last.
    """
    values = {"incident": incident_id, "after": 0, "limit": most}
    parts = [reader.rows(statement, values) for statement in (FIRST_TOLD, LAST_TOLD, LAST_REPEATS)]
    rows = {row.id: row for part in parts for row in part}
    first, last, repeats = parts
    whole = len(repeats) < most and (len(first) < most or last[-1].id <= first[-1].id)
    return [_entry(rows[id]) for id in sorted(rows)], whole


def everything(reader: Reader, after: int, limit: int) -> list[Entry]:
    """Every entry after an id, those of keys and settings too."""
    return [_entry(row) for row in reader.rows(EVERYTHING, {"after": after, "limit": limit})]


def newest(reader: Reader) -> int:
    """The id of the last entry; 0 where there is none."""
    row = reader.row(NEWEST)
    return 0 if row is None else int(row.id)


def of_incidents(reader: Reader, after: int, limit: int) -> list[Entry]:
    """Every entry about an incident after an id."""
    return [_entry(row) for row in reader.rows(ABOUT_INCIDENTS, {"after": after, "limit": limit})]


def of_key(reader: Reader, key_id: int, after: int, limit: int) -> list[Entry]:
    """Entries about the incidents that one key filed."""
    return [_entry(row) for row in reader.rows(OF_KEY, {"key": key_id, "after": after, "limit": limit})]


def of_partner(reader: Reader, partner_id: int, after: int, limit: int) -> list[Entry]:
    """Entries about one partner's incidents."""
    return [_entry(row) for row in reader.rows(OF_PARTNER, {"partner": partner_id, "after": after, "limit": limit})]


def _page() -> Select[Any]:
    return (
        select(entry, func.coalesce(*(table.c.name for table in NAMED.values())).label("actor_name"))
        .select_from(_named())
        .where(entry.c.id > bindparam("after"))
        .order_by(entry.c.id)
        .limit(bindparam("limit"))
    )


def _named() -> FromClause:
    """Entries with whoever did it; each row finds a name in one table at most."""
    named: FromClause = entry
    for kind, table in NAMED.items():
        named = named.outerjoin(table, (entry.c.actor_type == kind) & (entry.c.actor_id == table.c.id))
    return named


def _about(column: Any, name: str) -> Select[Any]:
    theirs = select(incident.c.id).where(column == bindparam(name))
    return _page().where(entry.c.incident_id.in_(theirs))


def _entry(row: Any) -> Entry:
    name: str | None = row.actor_name
    if row.actor_type == "key" and row.actor_id is None:
        name = "from the environment"
    changes: dict[str, Sequence[Any]] = json.loads(row.changes)
    return Entry(
        id=row.id,
        at=row.at,
        kind=row.kind,
        incident_id=row.incident_id,
        actor_type=row.actor_type,
        actor_id=row.actor_id,
        actor_name=name,
        changes=changes,
        refs=json.loads(row.refs),
        request_id=row.request_id,
    )


LOG = entry.name  # as `Writer.touched` names it
# Where the name of each type of actor stands.
NAMED = {"key": api_key, "integration": integration, "channel": channel}
EVERYTHING = _page()
NEWEST = select(entry.c.id).order_by(entry.c.id.desc()).limit(1)
ABOUT_INCIDENTS = _page().where(entry.c.incident_id.is_not(None))
OF_INCIDENT = _page().where(entry.c.incident_id == bindparam("incident"))
IS_REPEAT = (entry.c.kind == "reported") & entry.c.changes.not_like('%"severity"%')
FIRST_TOLD = OF_INCIDENT.where(~IS_REPEAT)
LAST_TOLD = FIRST_TOLD.order_by(None).order_by(entry.c.id.desc())
LAST_REPEATS = OF_INCIDENT.where(IS_REPEAT).order_by(None).order_by(entry.c.id.desc())
OF_KEY = _about(incident.c.filed_by, "key")
OF_PARTNER = _about(incident.c.partner_id, "partner")
