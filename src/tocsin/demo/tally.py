"""What stands in the database after the storm: counted, not remembered."""

from dataclasses import dataclass

from tocsin.db.engine import Database
from tocsin.db.transaction import Reader
from tocsin.incidents import store as incidents
from tocsin.incidents.store import Question
from tocsin.intake import store as intake

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Tally:
    """`kept` are the ids of all reports of the storm."""

    incidents: int
    troubles: int
    kept: frozenset[int]


async def counted(db: Database) -> Tally:
    """Reads every incident and every report."""
    return await db.read(_count)


def _count(reader: Reader) -> Tally:
    found = incidents.page(reader, Question(sources=("monitoring",), limit=AT_ONCE))
    kept: set[int] = set()
    for incident in found:
        before = None
        while page := intake.reports_of_incident(reader, incident.id, before, AT_ONCE):
            kept |= {each.id for each in page}
            before = page[-1].id
    return Tally(len(found), len({each.dedup_key for each in found}), frozenset(kept))
