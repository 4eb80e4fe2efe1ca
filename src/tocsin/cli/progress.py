"""How long work shows how far it is: a bar on a terminal, else a line for every tenth; always on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Show = Callable[[int, int], None]

STEPS = 10  # lines that say how far it is, where there is no terminal


@contextmanager
def progress(doing: str, done: str | None) -> Iterator[Show]:
    """`doing` stands before the bar and `done` begins the lines: `Importing`, `imported`. None: no lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(done)
        return
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        yield lambda count, of: bar.update(task, completed=count, total=of or None)


def _lines(done: str | None) -> Show:
    said = 0

    def show(count: int, of: int) -> None:
        nonlocal said
        step = count * STEPS // max(of, 1)
        if step > said and done is not None:
            said = step
            print(f"{done} {count:,} of {of:,}", file=sys.stderr, flush=True)

    return show
