"""`tocsin import original`: brings in what the original service kept."""

import asyncio

import typer

from tocsin import settings as chosen
from tocsin import start
from tocsin.cli.progress import progress
from tocsin.db.engine import Database
from tocsin.incidents import adopt
from tocsin.incidents.adopt import Adopted, CannotAdopt
from tocsin.kit.errors import Problem
from tocsin.settings import Settings
from tocsin.start import CannotStart
from tocsin.timeline import log as timeline

app = typer.Typer(help="Bring in what another register kept.", no_args_is_help=True)


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
        with progress("Importing", "imported") as show:
            return await adopt.adopt(db, url, show)
    finally:
        await db.close()


def _sentence(done: Adopted) -> str:
    if not done.in_all:
        return "The original service has no incidents; there is nothing to import."
    if not done.now:
        return f"Nothing is new: all {done.in_all:,} incidents of the original service were imported before."
    many = "1 incident" if done.now == 1 else f"{done.now:,} incidents"
    more = f", {done.in_all:,} in all" if done.in_all > done.now else ""
    return f"Imported {many} of the original service{more}, up to id {done.last_id}; its own table is as it was."
