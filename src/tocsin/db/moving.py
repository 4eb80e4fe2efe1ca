"""From SQLite to PostgreSQL, piece by piece. A piece and the note how far it has come are one transaction.

So a move that is killed at any moment goes on where it was. While its notes are there no Tocsin starts on the new
database: they go in the end, when both sides were read whole and are the same.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.db.columns import Checksum, counted
from tocsin.db.contents import CannotCopy, Show
from tocsin.db.dialect import Postgres
from tocsin.db.move_notes import Note, listed, note, start_over, take_up, tear_up
from tocsin.db.move_source import AT_ONCE, TABLES, Source
from tocsin.db.neighbours import refuse_neighbours
from tocsin.db.postgres import make_engine
from tocsin.db.postgres_errors import TROUBLE, in_a_line
from tocsin.settings import Settings

T = TypeVar("T")

GOES_ON = "; the same command goes on where it was"


class Move:
    """`source` is held by the caller. Every method raises `CannotCopy`, and may be called again."""

    def __init__(self, source: Source, target: Settings) -> None:
        self._source = source
        self._engine = make_engine(target, pool_size=1, max_overflow=0)
        self._notes: dict[str, Note] = {}

    async def close(self) -> None:
        await self._engine.dispose()

    async def begin(self) -> int:
        """Looks whether the database can be moved into; how many rows are there from before."""
        try:
            async with self._engine.connect() as connection:
                await connection.run_sync(refuse_neighbours)
        except TROUBLE as problem:
            raise CannotCopy(f"the new database cannot be used: {in_a_line(problem)}") from None
        self._notes = await self._sync(lambda connection: take_up(connection, self._source))
        return sum(each.came for each in self._notes.values())

    async def copy(self, show: Show) -> None:
        """Everything that has not come yet."""
        for table in TABLES:
            for piece in self._source.pieces(table, self._notes[table.name].last):
                before = self._notes[table.name]
                after = Note(before.came + len(piece.rows), piece.last)
                async with self._transaction(table.name) as connection:
                    # The note first: its row is locked from here on, so a resumed move waits for this transaction.
                    await connection.run_sync(note, table, before, after)
                    await _put(connection, table, piece.rows)
                self._notes[table.name] = after
                show(sum(each.came for each in self._notes.values()), self._source.rows)

    async def compare(self, show: Show) -> None:
        """Reads both sides whole. Where they differ, what came is taken out again, and the next run starts over."""
        done = 0
        for table in TABLES:
            here = self._source.checksum(table)
            show(done := done + here.rows, 2 * self._source.rows)
            there = await self._checksum(table)
            show(done := done + there.rows, 2 * self._source.rows)
            if here != there:
                await self._sync(lambda connection: start_over(connection, self._source))
                raise CannotCopy(
                    f"the table {table.name} is not the same on both sides ({here.rows:,} and {there.rows:,} rows): "
                    "the register was changed while the move was interrupted. The same command starts over"
                )

    async def finish(self) -> None:
        """Ids go on after the highest that was ever given out; then the database is a register."""
        await self._sync(self._finish)

    def _finish(self, connection: Connection) -> None:
        dialect = Postgres("")
        for table in TABLES:
            if last := self._source.ids.get(table.name):
                dialect.ids_go_on_after(connection, table, last)
        tear_up(connection)
        # Without it the planner knows nothing of the tables until autovacuum comes by.
        connection.execute(text(f"ANALYZE {listed(table.name for table in TABLES)}"))

    async def _checksum(self, table: Table) -> Checksum:
        found = Checksum()
        async with self._transaction(table.name) as connection:
            options = {"yield_per": AT_ONCE}
            async for row in await connection.stream(select(*map(counted, table.c)), execution_options=options):
                found.add(row)
        return found

    async def _sync(self, work: Callable[[Connection], T]) -> T:
        async with self._transaction("the new database") as connection:
            return await connection.run_sync(work)

    @asynccontextmanager
    async def _transaction(self, what: str) -> AsyncIterator[AsyncConnection]:
        """Committed when the block ends well; waits for as long as it takes."""
        try:
            async with self._engine.begin() as connection:
                await connection.execute(PATIENT)
                yield connection
        except TROUBLE as problem:
            raise CannotCopy(f"{what}: {in_a_line(problem)}{GOES_ON}") from None


async def _put(connection: AsyncConnection, table: Table, rows: list[list[Any]]) -> None:
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(table.name, records=rows, columns=[column.name for column in table.c])


PATIENT = text(
    "SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true),"
    " set_config('idle_in_transaction_session_timeout', '0', true)"
)
