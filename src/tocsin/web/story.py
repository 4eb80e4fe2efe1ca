"""A timeline as people read it: repeats folded into one line, things called by their names. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tocsin.timeline.model import Entry

FOLDED = "reported"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story. `count` says how many reports it stands for, `last` when the last of them came.

    `who` is None for the clock and for the key from the environment.
    """

    kind: str
    at: datetime
    last: datetime
    who: str | None
    by: str
    changes: Mapping[str, Sequence[Any]]
    refs: Mapping[str, int]
    count: int = 1


def story(entries: Iterable[Entry]) -> list[Line]:
    """The lines, oldest first."""
    lines: list[Line] = []
    for entry in entries:
        line = _line(entry)
        if lines and _together(lines[-1], line):
            lines[-1] = _folded(lines[-1], line)
        else:
            lines.append(line)
    return lines


def _folded(first: Line, last: Line) -> Line:
    """Both as one. The counts say themselves from where to where they went, also past entries that were not read."""
    changes = {"reports": [first.changes["reports"][0], last.changes["reports"][1]]}
    return replace(first, count=changes["reports"][1] - changes["reports"][0], last=last.last, changes=changes)


def _line(entry: Entry) -> Line:
    before, after = entry.changes.get("reports", (0, 1))
    count = max(1, after - before) if entry.kind == FOLDED else 1
    who = entry.actor_name if entry.actor_id is not None else None
    return Line(entry.kind, entry.at, entry.at, who, entry.actor_type, entry.changes, entry.refs, count)


def _together(before: Line, line: Line) -> bool:
    return (
        before.kind == line.kind == FOLDED
        and before.who == line.who
        and "severity" not in (*before.changes, *line.changes)
    )
