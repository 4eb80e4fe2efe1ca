"""`tocsin import original`: takes over the original service's incidents, piece by piece.

The old table is only ever read. A piece and its progress are one transaction, so an interrupted import goes on where
it was, without doubles.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tocsin.db.engine import Database
from tocsin.db.migrate import ORIGINAL_REVISION
from tocsin.incidents import actions, store
from tocsin.incidents.actions import Adopt, Original
from tocsin.kit.errors import Problem
from tocsin.settings import POSTGRES_SCHEMES

# Small enough that nobody who files beside the import waits for it noticeably, and that it never fills the memory.
PIECE = 500
PIECE_BYTES = 4 * 1024 * 1024
IDS_AT_ONCE = 10_000
NAMED = 5

STATUSES = {"NEW": "new", "IN_PROGRESS": "in_progress", "RESOLVED": "resolved", "CLOSED": "closed"}
SOURCES = {"OPERATOR": "operator", "MONITORING": "monitoring", "PARTNER": "partner"}

WHOLE, WORDS = ("smallint", "integer", "bigint"), ("text", "character varying")
COLUMNS = {
    "id": WHOLE,
    "description": WORDS,
    "status": ("an enum", *WORDS),
    "source": ("an enum", *WORDS),
    "created_at": ("timestamp with time zone",),
}

EXAMPLE = "tocsin import original postgresql://user:password@host:5432/database"
# The foreign server's or the network's trouble; a ValueError is text that is no UTF-8.
TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, OverflowError)

Show = Callable[[int, int], None]  # incidents that came, and how many there are


class CannotAdopt(Exception):
    """The message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an import brought: how many incidents, now and with all its runs, and the highest id it has seen."""

    now: int
    in_all: int
    last_id: int


class OldRegister:
    """The original service's database, and the only place that asks it. Every transaction is READ ONLY."""

    def __init__(self, line: Any, name: str) -> None:
        self._line = line
        self.name = name

    async def check(self) -> None:
        """Raises `CannotAdopt` unless every row can be taken over as it is."""
        if not (await self._rows(HAS_TABLE))[0]["here"]:
            raise CannotAdopt(
                f"{self.name} holds no table `incidents` of the original service; name the one that does: {EXAMPLE}"
            )
        if different := _differences(await self._rows(LOOK_AT_COLUMNS)):
            revision = await self._revision()
            raise CannotAdopt(
                f"the table `incidents` in {self.name} is not the original service's (alembic_version is {revision}, "
                f"not {ORIGINAL_REVISION}): {'; '.join(different)}. Nothing was imported."
            )
        await self._check_values()

    async def origin(self) -> str:
        """What this very table is known by: the same from every host name, after a new password and a failover."""
        [place] = await self._rows(PLACE)
        try:
            [cluster] = await self._rows(CLUSTER)
            server = cluster["system_identifier"]
        except CannotAdopt:  # some hosted servers keep it to themselves
            server = self.name
        return f"{server}/{place['database']}/{place['relation']}"

    async def highest(self) -> int:
        """The highest id; 0 where there is no row."""
        return int((await self._rows(HIGHEST))[0]["id"])

    async def count(self, after: int, last: int) -> int:
        """How many rows there are after one id and up to another."""
        return int((await self._rows(COUNT, after, last))[0]["rows"])

    async def ids(self, after: int, last: int) -> AsyncIterator[list[int]]:
        """Every id after one and up to another, some at a time."""
        while found := [row["id"] for row in await self._rows(IDS, after, last, IDS_AT_ONCE)]:
            yield found
            after = found[-1]

    async def piece(self, after: int, last: int) -> list[Original]:
        """The next rows in id order, not too many and not too large."""
        return [self._taken_over(row) for row in await self._rows(NEXT_PIECE, after, last, PIECE, PIECE_BYTES)]

    def _taken_over(self, row: Any) -> Original:
        try:
            status, source = STATUSES[row["status"]], SOURCES[row["source"]]
        except KeyError as unknown:
            raise CannotAdopt(f"{self.name} has come to hold the unknown value {unknown}") from None
        return Original(row["id"], row["description"], status, source, row["created_at"])

    async def _check_values(self) -> None:
        for statement, column, known in ((ALL_STATUSES, "status", STATUSES), (ALL_SOURCES, "source", SOURCES)):
            found = [row["value"] for row in await self._rows(statement)]
            if unknown := sorted(str(value) for value in found if value not in known):
                raise CannotAdopt(
                    f"{self.name} has incidents with a {column} that the original does not know: "
                    f"{', '.join(unknown[:NAMED])}; it knows {', '.join(known)}. Nothing was imported."
                )
        if impossible := [row["id"] for row in await self._rows(IMPOSSIBLE, NAMED)]:
            raise CannotAdopt(
                f"{self.name} has incidents without a description or a time of the years 1 to 9999, or with an id "
                f"below 1: {_listed(impossible)}. Nothing was imported."
            )

    async def _revision(self) -> str:
        try:
            found = await self._rows("SELECT version_num FROM alembic_version")
        except CannotAdopt:
            found = []
        return found[0]["version_num"] if found else "missing"

    async def _rows(self, statement: str, *values: Any) -> list[Any]:
        try:
            async with self._line.transaction(readonly=True):
                return list(await self._line.fetch(statement, *values))
        except TROUBLE as problem:
            raise CannotAdopt(f"{self.name} cannot be read: {_line_of(problem)}") from None


@asynccontextmanager
async def old_register(url: str) -> AsyncIterator[OldRegister]:
    """The original's database at libpq's URL; raises `CannotAdopt` where it cannot be reached."""
    if not url.startswith(tuple(f"{scheme}://" for scheme in POSTGRES_SCHEMES)):
        raise CannotAdopt(f"the original's database is named by a URL that begins with postgresql://: {EXAMPLE}")
    name = _name(url)
    try:
        # Without a statement cache it works behind a pooler too.
        line = await asyncpg.connect(url, timeout=10, command_timeout=600, statement_cache_size=0)
    except (asyncpg.ClientConfigurationError, ValueError):
        # What asyncpg says of a URL may repeat a part of the password.
        raise CannotAdopt(
            "the original's URL cannot be understood; in a password `@`, `:`, `/`, `?`, `#` and `%` are written "
            "%40, %3A, %2F, %3F, %23 and %25"
        ) from None
    except TROUBLE as problem:
        raise CannotAdopt(f"{name} cannot be reached: {_line_of(problem)}") from None
    try:
        yield OldRegister(line, name)
    finally:
        with suppress(*TROUBLE):
            await line.close(timeout=5)


async def check(url: str) -> None:
    """Raises `CannotAdopt` where this database cannot be taken over; looks only at the database itself."""
    async with old_register(url) as old:
        await old.check()


async def adopt(db: Database, url: str, show: Show) -> Adopted:
    """Brings what is not here yet. Raises `CannotAdopt`, and before anything is written where an id is taken."""
    async with old_register(url) as old:
        origin, highest = await old.origin(), await old.highest()
        before = await db.read(store.progress, origin)
        after = before.last_id
        if came_late := await old.count(0, after) > before.imported:
            # Rows with a lower id were committed after the last look: ids are given out before the commit.
            after = 0
        waiting = await old.count(after, highest) - (before.imported if came_late else 0)
        if waiting <= 0:
            return Adopted(0, before.imported, before.last_id)
        await _make_room(db, old, before.last_id, highest)
        now = before
        try:
            while piece := await old.piece(after, highest):
                now = await db.write(actions.adopt, Adopt(origin, now, piece))
                after = piece[-1].id
                show(now.imported - before.imported, waiting)
        except (CannotAdopt, Problem) as problem:
            so_far = f"{now.imported:,} incidents are imported, and the same command goes on from there"
            raise CannotAdopt(f"{str(problem).removesuffix('.')}; {so_far}") from None
        return Adopted(now.imported - before.imported, now.imported, now.last_id)


async def _make_room(db: Database, old: OldRegister, after: int, last: int) -> None:
    """Nobody has these ids, and nobody gets them from now on, even if the import is interrupted."""
    await _none_taken(db, old, after, last)
    await db.write(actions.reserve, last)
    # Once more: on PostgreSQL a server may have filed one between the look and the reservation.
    await _none_taken(db, old, after, last)


async def _none_taken(db: Database, old: OldRegister, after: int, last: int) -> None:
    lowest = await db.read(store.lowest_between, after, last)
    if lowest is None:
        return
    taken: list[int] = []
    async for ids in old.ids(lowest - 1, last):
        taken += await db.read(store.taken, ids)
        if len(taken) > NAMED:
            break
    if taken:
        raise CannotAdopt(
            f"ids of the original's incidents are taken here by other incidents: {_listed(taken)}. Nothing was "
            "imported. Import into a register that has none of them yet, such as a new TOCSIN_DATA_DIR or database."
        )


def _differences(columns: Sequence[Any]) -> list[str]:
    """Where a table parts from the original's, in words. A column more counts: what stands in it would be lost."""
    found = {row["name"]: "an enum" if row["is_enum"] else row["type"] for row in columns}
    said = [f"the column `{name}` is missing" for name in COLUMNS if name not in found]
    said += [f"the column `{name}` is unknown" for name in found if name not in COLUMNS]
    wrong = [(name, found[name], right[0]) for name, right in COLUMNS.items() if found.get(name, right[0]) not in right]
    return said + [f"the column `{name}` is {kind}, not {right}" for name, kind, right in wrong]


def _name(url: str) -> str:
    """Host and database, without user and password; nothing of a URL that hides its password badly."""
    try:
        parts = urlsplit(url)
        badly_hidden = parts.port == 0 or "@" in f"{parts.path}{parts.query}{parts.fragment}"
    except ValueError:  # several hosts, or a piece of a password where the port should be
        badly_hidden = True
    if badly_hidden or not parts.hostname:
        return "the original's database"
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(str(id) for id in ids[:NAMED]) + (" and more" if len(ids) > NAMED else "")


def _line_of(problem: Exception) -> str:
    """One line of what went wrong. A value that cannot be decoded is not repeated."""
    if isinstance(problem, UnicodeDecodeError):
        return "it holds text that is not UTF-8"
    if isinstance(problem, TimeoutError):
        return "it does not answer"
    if isinstance(problem, asyncpg.InterfaceError):
        return "the connection broke"
    return (str(problem).splitlines() or [""])[0].removesuffix(".") or type(problem).__name__


HAS_TABLE = "SELECT to_regclass('incidents') IS NOT NULL AS here"
LOOK_AT_COLUMNS = """
    SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type, t.typtype = 'e' AS is_enum
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = 'incidents'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
ALL_STATUSES = "SELECT DISTINCT status::text AS value FROM incidents"
ALL_SOURCES = "SELECT DISTINCT source::text AS value FROM incidents"
IMPOSSIBLE = """
    SELECT id FROM incidents
    WHERE id < 1 OR description IS NULL OR created_at IS NULL
       OR NOT created_at BETWEEN '0001-01-02 00:00:00+00' AND '9999-12-30 23:59:59+00'
    ORDER BY id LIMIT $1 + 1
"""
PLACE = """
    SELECT oid::text AS database, 'incidents'::regclass::oid::text AS relation
    FROM pg_database WHERE datname = current_database()
"""
CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
HIGHEST = "SELECT coalesce(max(id), 0)::bigint AS id FROM incidents"
COUNT = "SELECT count(*) AS rows FROM incidents WHERE id > $1::bigint AND id <= $2::bigint"
IDS = "SELECT id::bigint FROM incidents WHERE id > $1::bigint AND id <= $2::bigint ORDER BY id LIMIT $3"
# `octet_length` does not read what is stored outside the row, so a long description costs nothing before its turn.
NEXT_PIECE = """
    SELECT id::bigint, description, status::text AS status, source::text AS source, created_at FROM (
        SELECT *, sum(octet_length(description)) OVER way AS bytes, row_number() OVER way AS place FROM (
            SELECT * FROM incidents WHERE id > $1::bigint AND id <= $2::bigint ORDER BY id LIMIT $3
        ) AS ahead WINDOW way AS (ORDER BY id)
    ) AS measured
    WHERE place = 1 OR bytes <= $4 ORDER BY id
"""
