"""A page of incidents as JSON, each incident encoded once and kept until it changes.

Every page is read from the database, by marks alone: nothing here can be out of date, only forgotten. Reading and
encoding 50 whole incidents takes several times as long (`docs/performance.md`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from tocsin.access.model import Principal
from tocsin.db.engine import Database
from tocsin.db.transaction import Reader
from tocsin.incidents import store
from tocsin.incidents.model import Incident, Mark
from tocsin.incidents.shapes import view
from tocsin.incidents.store import Question

# In one process: some 12,000 incidents of a short description, and pages are of the newest.
MOST_BYTES = 8 * 1024 * 1024


class Line(NamedTuple):
    """One incident as a list shows it, and its place in one."""

    id: int
    created_at: datetime
    body: bytes


Kept = dict[Mark, Line]


class Lines:
    """What this process has encoded. A partner's lines are others than everybody else's."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: tuple[Kept, Kept] = {}, {}
        self.bytes = 0

    async def page(self, db: Database, question: Question, who: Principal) -> list[Line]:
        """Newest first; see `store.page`."""
        kept = self._kept[who.role == "partner"]
        marks, unknown = await db.read(_look, question, kept)
        for incident in unknown:
            self._keep(kept, incident.mark, _encoded(incident, who))
        lines = list(map(kept.get, marks))
        if None in lines:
            # One of them changed between the two looks: once more, in one.
            return [_encoded(incident, who) for incident in await db.read(store.page, question)]
        return lines  # type: ignore[return-value]

    def _keep(self, kept: Kept, mark: Mark, line: Line) -> None:
        """The oldest go when there is no more room, those that nobody will ask for again among them."""
        kept[mark] = line
        self.bytes += len(line.body)
        while self.bytes > self._most_bytes:
            fuller = max(self._kept, key=len)
            self.bytes -= len(fuller.pop(next(iter(fuller))).body)


def joined(lines: Iterable[Line], more: str | None) -> bytes:
    """An `IncidentPage`."""
    return b'{"incidents":[%b],"next":%b}' % (b",".join([line.body for line in lines]), msgspec.json.encode(more))


def _look(reader: Reader, question: Question, kept: Kept) -> tuple[Sequence[Mark], Sequence[Incident]]:
    """The page's marks, and whole those incidents of it that have no line."""
    marks = store.marks(reader, question)
    return marks, store.many(reader, [mark[0] for mark in marks if mark not in kept])


def _encoded(incident: Incident, who: Principal) -> Line:
    return Line(incident.id, incident.created_at, msgspec.json.encode(view(incident, who)))
