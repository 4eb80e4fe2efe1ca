"""One table of the report: the same on the terminal and in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

Lines = list[list[str]]


@dataclass(frozen=True)
class Section:
    """`note` says how it was measured and what is to be known to read it; `words` counts the columns that are text."""

    title: str
    note: str
    columns: Sequence[str]
    lines: Lines
    words: int = 2

    def table(self) -> Table:
        drawn = Table(title=self.title, title_justify="left")
        for number, name in enumerate(self.columns):
            drawn.add_column(name, justify="left" if number < self.words else "right", overflow="fold")
        for line in self.lines:
            drawn.add_row(*line)
        return drawn

    def markdown(self) -> list[str]:
        return [f"## {self.title}", "", *([self.note, ""] if self.note else []), *markdown([self.columns, *self.lines])]


def markdown(lines: Sequence[Sequence[str]]) -> list[str]:
    drawn = [f"| {' | '.join(line)} |" for line in lines]
    return [drawn[0], f"|{'---|' * len(lines[0])}", *drawn[1:]]


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and each repeat where there were several."""
    if not values:
        return ""
    each = f" ({' '.join(f'{value:,.{digits}f}' for value in values)})" if len(values) > 1 else ""
    return f"{median(values):,.{digits}f}{each}"
