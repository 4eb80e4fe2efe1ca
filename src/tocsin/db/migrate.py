"""The schema's version: brought up to date at start, once, by whoever comes first.

The version is one SELECT; Alembic (half a second to import) is loaded only where there is something to do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, inspect, text

from tocsin.db.engine import open_storage
from tocsin.db.transaction import Log, Writer
from tocsin.settings import Settings

TREE = Path(__file__).parent / "migrations"
T = TypeVar("T")

VERSION_TABLE = "tocsin_version"
# Seconds: a migration of a large table takes its time, and so does waiting for the one that another process runs.
PATIENT = {"lock_timeout": 900.0, "statement_timeout": 900.0}
ORIGINAL_REVISION = "0cfb57931f73"  # the original service's one migration


MOVE_TABLE = "unfinished_move"  # in a database that `tocsin move` has begun to fill and not checked yet


class UnusableSchema(Exception):
    """There is something in the database that this program must not work with; the message says what to do."""


class SchemaTooNew(UnusableSchema):
    """The database was used by a newer Tocsin."""


class MoveUnfinished(UnusableSchema):
    """A part of a register: `tocsin move` has not come to its end."""


@dataclass(frozen=True)
class SchemaState:
    """`found` is None for a database without our tables; `originals` counts the original service's incidents."""

    found: str | None
    newest: str
    originals: int | None = None

    @property
    def current(self) -> bool:
        return self.found == self.newest


def known_revisions() -> list[str]:
    """Every revision this program knows, oldest first: the beginnings of the file names."""
    return sorted(file.name[:4] for file in (TREE / "versions").glob("[0-9]*.py"))


def state(connection: Connection) -> SchemaState:
    """What the database holds; raises `UnusableSchema`."""
    names = set(inspect(connection).get_table_names())
    if MOVE_TABLE in names:
        raise MoveUnfinished(
            "a move from SQLite into this database is not finished: the same `tocsin move` goes on where it was. "
            "Until then the SQLite file is the register."
        )
    found = None
    if VERSION_TABLE in names:
        found = connection.execute(text("SELECT version_num FROM tocsin_version")).scalar()
    newest = known_revisions()[-1]
    if found is not None and found not in known_revisions():
        raise SchemaTooNew(
            f"the database is at schema {found}, which this program does not know (its newest is {newest}): "
            "a newer Tocsin has used it. Start that version again, or restore a backup from before."
        )
    return SchemaState(found, newest, _originals(connection, names))


def _originals(connection: Connection, names: set[str]) -> int | None:
    """How many incidents of the original service wait here to be imported; None where it never lived here."""
    if not {"incidents", "alembic_version"} <= names:
        return None
    if connection.execute(text("SELECT version_num FROM alembic_version")).scalar() != ORIGINAL_REVISION:
        return None
    if "original_import" in names and connection.execute(text("SELECT 1 FROM original_import")).first():
        return None
    return connection.execute(text("SELECT count(*) FROM incidents")).scalar()


def look(settings: Settings) -> SchemaState:
    """The state without changing anything; a SQLite file that is not there is not made."""
    if settings.postgres_url is None and not settings.sqlite_file.exists():
        return SchemaState(None, known_revisions()[-1])
    return _with(settings, lambda tx: state(tx.bare))


def bring_up_to_date(
    settings: Settings, log: Log, then: Callable[[Writer], Any] | None = None
) -> tuple[SchemaState, Any]:
    """Upgrades if need be; the state as it was found, and what `then` gave inside the same lock and transaction."""

    def work(tx: Writer) -> tuple[SchemaState, Any]:
        tx.dialect.hold_migration(tx.bare)
        before = state(tx.bare)
        if not before.current:
            upgrade(tx.bare)
            tx.wrote = True
        done = then(tx) if then is not None else None
        tx.write_log()
        return before, done

    return _with(settings.model_copy(update=PATIENT), work, log)


def upgrade(connection: Connection) -> None:
    """Runs the migrations inside the caller's transaction: the old schema or the new one, never half."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(TREE).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _no_log(tx: Writer, told: Any) -> None:
    """For looks that tell nothing."""


def _with(settings: Settings, work: Callable[[Writer], T], log: Log = _no_log) -> T:
    storage = open_storage(settings, log=log)

    async def once() -> T:
        try:
            return await storage.transaction(work)
        finally:
            await storage.close()

    return asyncio.run(once())
