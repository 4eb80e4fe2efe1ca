"""One piece of work on the database by a short command: beside a running server, and before the first start."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from tocsin import settings as chosen
from tocsin import start
from tocsin.access.http import overlap
from tocsin.cli.printing import plain
from tocsin.db.engine import Database
from tocsin.kit.errors import Problem
from tocsin.kit.keyring import Keyring, open_keyring
from tocsin.settings import Settings
from tocsin.start import CannotStart
from tocsin.timeline import log as timeline

T = TypeVar("T")


def on_database(work: Callable[[Database], Awaitable[T]], settings: Settings | None = None) -> T:
    """What the work gives; a refusal becomes a sentence. The schema is made first where there is none."""
    in_force = settings or chosen.load()
    start.prepare_beside(in_force)

    async def run() -> T:
        db = Database(in_force, log=timeline.append)
        db.start()
        try:
            return await work(db)
        finally:
            await db.close()

    try:
        return asyncio.run(run())
    except Problem as problem:
        raise CannotStart(plain(problem.detail)) from None


def overlap_of(hours: float) -> timedelta:
    """What `--overlap-hours` means; not a number and infinity are none that it can mean."""
    try:
        return overlap(round(timedelta(hours=hours).total_seconds()))
    except (Problem, OverflowError, ValueError):
        raise CannotStart("--overlap-hours must be from 0 to 720 (30 days)") from None


def keyring(settings: Settings) -> Keyring:
    """The same key that the server has."""
    given = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
    return open_keyring(given, settings.data_dir)
