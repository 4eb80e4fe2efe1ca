"""What a register holds, in numbers: what a backup, a restore and a move show and compare after reading back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, func, inspect, select

from tocsin.db.migrate import state
from tocsin.db.schema import entry, metadata
from tocsin.settings import Settings

Show = Callable[[int, int], None]  # how much is done, and of how much


SQLITE, ARCHIVE = b"SQLite format 3\0", b"PGDMP"  # how the two kinds of backups begin


class CannotCopy(Exception):
    """A backup, a restore or a move that cannot be done; the message says why, and what would help."""


@dataclass(frozen=True)
class Contents:
    """Rows by table, the schema's version, and the newest entry's id and time where there is one."""

    revision: str
    rows: Mapping[str, int]
    newest: tuple[int, datetime] | None

    @property
    def in_all(self) -> int:
        return sum(self.rows.values())


@dataclass(frozen=True)
class Restored:
    """What is in place now, and where that which was there before has gone, if anything was."""

    contents: Contents
    aside: str | None


class Backups(Protocol):
    """What both engines can do: `sqlite_backup` and `postgres_backup`. All of it raises `CannotCopy`."""

    def back_up(self, settings: Settings, target: Path, show: Show) -> Contents: ...

    def holds_register(self, settings: Settings) -> bool: ...

    def put_back(self, settings: Settings, source: Path, stamp: str, show: Show) -> Restored: ...


def backups(settings: Settings) -> Backups:
    """The engine's that the settings name."""
    # Only the engine that is used is imported: SQLAlchemy's async half costs a third of a second.
    if settings.postgres_url is not None:
        from tocsin.db import postgres_backup

        return postgres_backup
    from tocsin.db import sqlite_backup

    return sqlite_backup


def engine_of(file: Path) -> str | None:
    """Whose backup it is, by its first bytes."""
    with file.open("rb") as opened:
        begin = opened.read(len(SQLITE))
    if begin == SQLITE:
        return "SQLite"
    return "PostgreSQL" if begin.startswith(ARCHIVE) else None


def contents(connection: Connection) -> Contents | None:
    """Counted in the caller's transaction; None where there is no register. Raises `UnusableSchema`."""
    revision = state(connection).found
    if revision is None:
        return None
    names = set(inspect(connection).get_table_names())
    # A table that a newer version of the schema brings is not there before the migration.
    tables = [table for table in metadata.sorted_tables if table.name in names]
    rows = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}
    newest = connection.execute(select(entry.c.id, entry.c.at).order_by(entry.c.id.desc()).limit(1)).first()
    return Contents(revision, rows, None if newest is None else (newest.id, newest.at))
