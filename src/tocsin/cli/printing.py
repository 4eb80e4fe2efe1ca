"""How commands print. The one rule: a value that a user or a sender wrote is text, never markup and never a command.

Rich would read `[/red]` in a name as markup, and a terminal obeys what stands after an ESC in a summary.
"""

import re
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

# C0, DEL, C1, what turns the direction of writing, and half surrogates, which no terminal can be sent.
ODD = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
BLANK = re.compile(r"[\t\r\n]+")


def plain(text: str) -> str:
    """One line that a terminal only shows: what would command it becomes U+FFFD, a line break a blank."""
    return ODD.sub("\ufffd", BLANK.sub(" ", text))


def cell(value: object) -> Text:
    """A value in a table; None is an empty one, a time is its day and its time of day in UTC."""
    if value is None:
        return Text()
    if isinstance(value, datetime):
        return Text(f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    if isinstance(value, Text):
        return value
    return Text(plain(str(value)))


def table(*titles: str) -> Table:
    """A table without lines; where it is too narrow, words are broken and never left out."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        made.add_column(title, overflow="fold")
    return made


def row(into: Table, *values: object) -> None:
    """One row of it."""
    into.add_row(*map(cell, values))


def show(made: Table) -> None:
    """On stdout."""
    Console().print(made)


def say(text: str, style: str = "dim") -> None:
    """Words beside what a script may take from stdout: on stderr, however many lines they are."""
    lines = "\n".join(map(plain, text.split("\n")))
    Console(stderr=True).print(Text(lines, style), highlight=False, soft_wrap=True)
