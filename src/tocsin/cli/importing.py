"""`tocsin import original`: brings in what the original service kept."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tocsin import settings as chosen
from tocsin import start
from tocsin.db.engine import Database
from tocsin.incidents import adopt
from tocsin.incidents.adopt import Adopted, CannotAdopt, Show
from tocsin.kit.errors import Problem
from tocsin.settings import Settings
from tocsin.start import CannotStart
from tocsin.timeline import log as timeline

app = typer.Typer(help="Bring in what another register kept.", no_args_is_help=True)

STEPS = 10  # lines that say how far it is, where there is no terminal


@app.command("original")
def original(
    url: str | None = typer.Argument(
        None,
        help="The original's database, postgresql://user:password@host:port/name; PGPASSWORD may hold the password. "
        "Left out: the database that the settings name.",
        show_default=False,
    ),
) -> None:
    """Copy the original service's incidents, with their ids and times. Its own table is only read.

    After an interruption, or when the original has got new incidents, the same command goes on where it was.
    """
    in_force = chosen.load()
    try:
        done = _adopt(in_force, url or _own(in_force))
    except (CannotAdopt, Problem) as problem:
        raise CannotStart(str(problem)) from None
    except KeyboardInterrupt:
        raise CannotStart("stopped; the same command goes on where it was") from None
    print(_sentence(done))


def _own(settings: Settings) -> str:
    url = settings.postgres_url
    if url is None:
        raise CannotStart(f"say which database the original service used: {adopt.EXAMPLE}")
    return url


def _adopt(settings: Settings, url: str) -> Adopted:
    # The old database first: what cannot be taken over must not leave a new register behind.
    asyncio.run(adopt.check(url))
    release = start.hold_data(settings)
    try:
        start.prepare_beside(settings)
        return asyncio.run(_bring(settings, url))
    finally:
        release()


async def _bring(settings: Settings, url: str) -> Adopted:
    db = Database(settings, log=timeline.append)
    db.start()
    try:
        with _progress() as show:
            return await adopt.adopt(db, url, show)
    finally:
        await db.close()


@contextmanager
def _progress() -> Iterator[Show]:
    """A bar on a terminal, else a line for every tenth; on stderr, so that stdout has the result alone."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _lines() -> Show:
    said = 0

    def show(done: int, of: int) -> None:
        nonlocal said
        step = done * STEPS // max(of, 1)
        if step > said:
            said = step
            print(f"imported {done:,} of {of:,}", file=sys.stderr, flush=True)

    return show


def _sentence(done: Adopted) -> str:
    if not done.in_all:
        return "The original service has no incidents; there is nothing to import."
    if not done.now:
        return f"Nothing is new: all {done.in_all:,} incidents of the original service were imported before."
    many = "1 incident" if done.now == 1 else f"{done.now:,} incidents"
    more = f", {done.in_all:,} in all" if done.in_all > done.now else ""
    return f"Imported {many} of the original service{more}, up to id {done.last_id}; its own table is as it was."
