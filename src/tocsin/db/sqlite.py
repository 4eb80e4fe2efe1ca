"""SQLite: one writing connection whose lock and commit have a thread, and short reads inline on a read-only one.

A commit is on disk when it returns (WAL, `synchronous=FULL`); the batcher makes it a commit for many.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, create_engine, event
from sqlalchemy import Engine as SyncEngine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import StaticPool

from tocsin.db.among import FROM_HEX
from tocsin.db.batcher import CANNOT_WRITE, DatabaseRefused
from tocsin.db.dialect import Sqlite
from tocsin.db.transaction import Log, Reader, Writer
from tocsin.kit.clock import Clock
from tocsin.kit.errors import Unavailable

try:
    from pysqlite3 import dbapi2 as driver
except ImportError:  # no wheel for this machine: the standard library's module serves
    import sqlite3 as driver

__all__ = ["BUSY_SECONDS", "PRAGMAS", "SqliteStorage", "driver", "library_warning", "make_engine"]

T = TypeVar("T")
log = structlog.get_logger("tocsin.db")

BUSY_SECONDS = 5.0  # how long a write waits for a command that writes beside the server
BUSY_PAUSE = 0.005
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-16384",
    "temp_store=MEMORY",
    "busy_timeout=0",  # from here on `_begin` waits, and not on the event loop
)


def library_warning() -> str | None:
    """Why this machine's SQLite library should not be trusted with a storm, if that is so."""
    version = driver.sqlite_version_info
    if (3, 7, 0) <= version <= (3, 51, 2):
        return (
            f"SQLite {driver.sqlite_version} has the WAL-reset bug (sqlite.org/wal.html#walresetbug), mended in "
            "3.51.3; on this machine there is no bundled one, so keep Tocsin the only program that writes the file"
        )
    return None


class SqliteStorage:
    """The register in one file."""

    name = "sqlite"

    def __init__(self, file: Path, *, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self.dialect = Sqlite()
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._writing = make_engine(file, "rwc", PRAGMAS)
        self._reading: SyncEngine | None = None
        self._look: Connection | None = None

    async def transaction(self, work: Callable[[Writer], T], *, long: bool = False) -> T:
        """See `batcher.Engine`.

        What may wait for others, the lock and the disk, is done in the thread. The statements of a short batch run
        here: in the thread they would wait for the interpreter's lock at every row (a third of the throughput).
        """
        try:
            if long:
                return await self._aside(self._whole, work)
            return await self._in_steps(work)
        except OperationalError as problem:
            log.warning("the database cannot write", problem=str(problem.orig))
            raise Unavailable(f"{CANNOT_WRITE}{problem.orig}.") from None
        except DBAPIError as problem:
            raise DatabaseRefused(str(problem.orig)) from problem

    async def _in_steps(self, work: Callable[[Writer], T]) -> T:
        connection = self._begin()
        if connection is None:
            connection = await self._aside(self._wait_and_begin)
        try:
            tx = self._writer(connection)
            done = work(tx)
            if tx.wrote:
                await self._aside(connection.commit)
            return done
        finally:
            connection.close()  # rolls back what was not committed

    def _whole(self, work: Callable[[Writer], T]) -> T:
        with self._wait_and_begin() as connection:
            tx = self._writer(connection)
            done = work(tx)
            if tx.wrote:
                connection.commit()
            return done

    def _begin(self) -> Connection | None:
        """A transaction with the write lock, or None where a command beside the server has it."""
        connection = self._writing.connect()
        try:
            connection.begin()
        except OperationalError as problem:
            connection.close()
            if getattr(problem.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                return None
            raise
        return connection

    def _wait_and_begin(self) -> Connection:
        """The same, but waits for the lock."""
        deadline = time.monotonic() + BUSY_SECONDS
        while (connection := self._begin()) is None:
            if time.monotonic() > deadline:
                raise Unavailable("Another process has held the database's write lock for too long.")
            time.sleep(BUSY_PAUSE)
        return connection

    def _writer(self, connection: Connection) -> Writer:
        return Writer(connection, self.dialect, now=self._clock(), log=self._log)

    async def _aside(self, step: Callable[..., T], *args: Any) -> T:
        """One step in the writer thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, step, *args)

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        """A short query, inline: handing it to a thread would cost more than it takes."""
        try:
            return query(self._reader(), *args)
        except DBAPIError as problem:
            raise Unavailable(f"The database cannot be read at the moment: {problem.orig}.") from None

    def _reader(self) -> Reader:
        if self._look is None:
            self._reading = make_engine(self._file, "ro", ("cache_size=-8192",))
            self._look = self._reading.connect().execution_options(isolation_level="AUTOCOMMIT")
        return Reader(self._look, self.dialect)

    async def probe(self) -> None:
        """Raises `Unavailable` where a read fails."""
        await self.read(lambda reader: reader.bare.exec_driver_sql("SELECT 1 FROM tocsin_version").all())

    async def close(self) -> None:
        self._thread.shutdown()
        if self._look is not None and self._reading is not None:
            self._look.close()
            self._reading.dispose()
        self._writing.dispose()


def make_engine(file: Path, mode: str, pragmas: tuple[str, ...] = ()) -> SyncEngine:
    """An engine with one connection; `mode` as in SQLite's URIs: `ro`, `rw` (must be there), `rwc`."""

    def connect() -> sqlite3.Connection:
        connection: sqlite3.Connection = driver.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.create_function(FROM_HEX, 1, bytes.fromhex, deterministic=True)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine("sqlite://", module=driver, creator=connect, poolclass=StaticPool, hide_parameters=True)
    if not mode.startswith("ro"):
        # The driver is in autocommit: a transaction begins here, and takes the write lock at once.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
