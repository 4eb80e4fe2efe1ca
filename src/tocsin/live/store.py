"""How the log is followed: entries with what listeners ask of their incidents."""

from typing import Any

from sqlalchemy import select

from tocsin.db.among import among
from tocsin.db.schema import incident
from tocsin.db.transaction import Reader
from tocsin.live.model import About
from tocsin.timeline import store as timeline
from tocsin.timeline.model import Entry


def since(reader: Reader, after: int, limit: int) -> list[tuple[Entry, About | None]]:
    """Every entry after an id, oldest first, each with its incident."""
    entries = timeline.everything(reader, after, limit)
    wanted = sorted({entry.incident_id for entry in entries if entry.incident_id is not None})
    abouts = {row.id: _about(row) for row in reader.rows(ABOUT, {"ids": wanted})} if wanted else {}
    return [(entry, abouts.get(entry.incident_id or 0)) for entry in entries]


def _about(row: Any) -> About:
    return About(row.status, row.source, row.filed_by, row.partner_id)


ABOUT = select(incident.c.id, incident.c.status, incident.c.source, incident.c.filed_by, incident.c.partner_id).where(
    among(incident.c.id, "ids")
)
