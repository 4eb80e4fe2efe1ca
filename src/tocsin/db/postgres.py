"""PostgreSQL through asyncpg: one batch in flight per process, reads on an AUTOCOMMIT engine.

What a connection that breaks at COMMIT leaves open is settled here: see `_was_committed`.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import structlog
from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tocsin.db.batcher import CANNOT_WRITE, DatabaseRefused
from tocsin.db.dialect import HOLD, LOG_LOCK, Postgres
from tocsin.db.postgres_errors import AGAIN, AWAY, GONE, RACES, TROUBLE, broken, in_a_line, is_ours, sqlstate
from tocsin.db.schema import last_batch
from tocsin.db.transaction import Log, Reader, Writer
from tocsin.kit.clock import Clock
from tocsin.kit.errors import Unavailable
from tocsin.settings import Settings

T = TypeVar("T")
log = structlog.get_logger("tocsin.db")

UNREADABLE = (
    "its URL cannot be understood: postgresql://user:password@host:port/name, and in a password `@`, `:`, `/`, `?`, "
    "`#` and `%` are written %40, %3A, %2F, %3F, %23 and %25"
)
TRIES = 6
GOODBYE = 0.5  # seconds in which connections may be closed politely
READERS = 16  # connections for reads; none beyond them, because opening one costs more than waiting for one
POOL_TIMEOUT = 5  # seconds that anybody waits for a connection
NOT_STORED = "The connection broke each time the change was to be stored; it was not stored."


class _Again(Exception):
    """Nothing was committed, and the same batch may go through if it is run once more; `otherwise` ends the trying."""

    def __init__(self, reason: str, otherwise: Exception) -> None:
        super().__init__(reason)
        self.otherwise = otherwise


class PostgresStorage:
    """The register in a PostgreSQL."""

    name = "postgresql"

    def __init__(self, settings: Settings, *, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        pooled = settings.database_pooler
        self.dialect = Postgres(secrets.token_hex(8), pooled=pooled)
        self._beginning = beginning(settings)
        self._writing = make_engine(settings, pool_size=1, max_overflow=1, **AUTOCOMMIT)
        # Behind a pooler a prepared statement and its use must share a transaction.
        self._reading = make_engine(settings, pool_size=READERS, max_overflow=0, **({} if pooled else AUTOCOMMIT))
        self._turns = asyncio.Semaphore(READERS)

    async def transaction(self, work: Callable[[Writer], T], *, long: bool = False) -> T:
        """See `batcher.Engine`. Races are run again; what cannot be settled is `Unavailable`.

        However `long` the work, every statement leaves the loop free here.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(work)
            except _Again as problem:
                if attempt == TRIES:
                    raise problem.otherwise from problem
                log.info("a batch is run again", attempt=attempt, reason=str(problem))
                # A little disorder, so that two processes that met do not meet again.
                await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))  # noqa: S311 - no secret

    async def _attempt(self, work: Callable[[Writer], T]) -> T:
        self.dialect.batch += 1
        try:
            async with self._begun(self._patience * 3) as connection:
                wrote, done = await connection.run_sync(self._perform, work)
                if wrote:
                    await self._commit(connection)
                return done
        except TROUBLE as problem:
            raise _said(problem) from problem

    @asynccontextmanager
    async def _begun(self, patience: float) -> AsyncIterator[AsyncConnection]:
        """A transaction on the writing connection; what is not committed inside is rolled back."""
        async with line(self._writing, patience) as connection:
            driven = _driven(connection)
            # In one go with the session's settings; SQLAlchemy would say each by itself, each there and back.
            await driven.execute(self._beginning)
            try:
                yield connection
            finally:
                if not driven.is_closed() and driven.is_in_transaction():
                    await driven.execute("ROLLBACK")

    async def _commit(self, connection: AsyncConnection) -> None:
        try:
            said = await _driven(connection).execute("COMMIT")
            if said != "COMMIT":  # how the server ends a transaction in which something was refused
                raise _Again(f"a commit that was answered with {said}", Unavailable(NOT_STORED))
        except TROUBLE as problem:
            if sqlstate(problem) and not broken(problem):
                raise  # the server said no, so it is known not to be done
            log.warning("the connection broke at COMMIT", batch=self.dialect.batch, problem=in_a_line(problem))
            await connection.invalidate()
            if not await self._was_committed():
                raise _Again("a commit that did not happen", Unavailable(NOT_STORED)) from problem

    def _perform(self, connection: Connection, work: Callable[[Writer], T]) -> tuple[bool, T]:
        tx = Writer(connection, self.dialect, now=self._clock(), log=self._log)
        done = work(tx)
        return tx.wrote, done

    async def _was_committed(self) -> bool:
        """Whether the batch whose COMMIT broke is there. Raises `Unavailable` where that cannot be known.

        The old backend holds the log's lock until it has committed or died, so the lock comes first: a look
        without it saw nothing where a row was about to be.
        """
        try:
            async with self._begun(self._patience) as connection:
                await connection.execute(HOLD, {"lock": LOG_LOCK})
                found = await connection.scalar(MARK, {"writer": self.dialect.writer})
                return found is not None and found >= self.dialect.batch
        except TROUBLE as problem:
            raise Unavailable("The connection broke while the change was being stored.") from problem

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        """A query on a connection of its own."""
        try:
            return await self._read(query, args)
        except TROUBLE as problem:
            if broken(problem):
                # The server may only have been restarted since this connection was last used.
                return await self._read_again(query, args)
            raise Unavailable(f"The database cannot be read at the moment: {in_a_line(problem)}.") from None

    async def _read(self, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        async with self._turn(), line(self._reading, self._patience) as connection:
            return await connection.run_sync(lambda sync: query(Reader(sync, self.dialect), *args))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Whoever came first reads first: the pool gives a free connection to whoever asks next, and of 64 callers
        some waited for a third of a second.
        """
        async with asyncio.timeout(POOL_TIMEOUT):
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def _read_again(self, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        try:
            return await self._read(query, args)
        except TROUBLE as problem:
            raise Unavailable(f"The database cannot be reached at the moment: {in_a_line(problem)}.") from None

    async def probe(self) -> None:
        """Raises `Unavailable` where a read fails."""
        await self.read(lambda reader: reader.row(text("SELECT 1")))

    async def close(self) -> None:
        for engine in (self._writing, self._reading):
            with contextlib.suppress(TimeoutError):  # a silent server: its lines end with this process
                async with asyncio.timeout(GOODBYE):
                    await engine.dispose()

    @property
    def _patience(self) -> float:
        """Seconds after which a silent server counts as gone: its own time-out would have come before."""
        return self._settings.statement_timeout + 1


def beginning(settings: Settings) -> str:
    """How a transaction begins. Its settings are `LOCAL`, because startup parameters break poolers."""
    limits = {
        "lock_timeout": settings.lock_timeout,
        "statement_timeout": settings.statement_timeout,
        "idle_in_transaction_session_timeout": settings.idle_timeout,
    }
    local = (f"SET LOCAL {name} = '{int(seconds * 1000)}ms'" for name, seconds in limits.items())
    return "; ".join(("BEGIN ISOLATION LEVEL READ COMMITTED", *local))


@asynccontextmanager
async def line(engine: AsyncEngine, patience: float) -> AsyncIterator[AsyncConnection]:
    """A connection that is cut off when its work takes longer: a silent server counts as gone.

    A time-out around the work would not do: asyncpg, when it is cancelled, waits for the server's word.
    """
    async with engine.connect() as connection:
        assert connection.sync_connection is not None
        scissors = asyncio.get_running_loop().call_later(patience, _driven(connection).terminate)
        try:
            yield connection
        except (asyncpg.PostgresError, *GONE) as problem:
            if broken(problem):  # the driver's own word, which SQLAlchemy has not heard: nobody may get this one again
                # Nor one that is as old: where one fell silent the others in the pool most likely did, and whoever
                # asked again got the next of them. SQLAlchemy does just this for errors that it sees itself.
                engine.pool._invalidate(connection.sync_connection.connection)  # noqa: SLF001
                await connection.invalidate()
            raise
        finally:
            scissors.cancel()


def _driven(connection: AsyncConnection) -> Any:
    """asyncpg's own connection."""
    assert connection.sync_connection is not None
    return connection.sync_connection.connection.driver_connection


def make_engine(settings: Settings, **options: Any) -> AsyncEngine:
    """An engine for the settings' PostgreSQL. The URL is libpq's and goes to asyncpg as it is."""
    url = settings.postgres_url
    assert url is not None
    pooled = settings.database_pooler

    async def connect() -> Any:
        try:
            return await asyncpg.connect(url, timeout=5, statement_cache_size=0 if pooled else 100)
        except ValueError:  # what asyncpg says of a URL may repeat a part of the password
            raise asyncpg.InterfaceError(UNREADABLE) from None

    def creator() -> Any:
        caches: dict[str, Any] = {}
        if pooled:
            # A statement without a name ends with the next one. Those with names would pile up on the pooler's
            # connections: the transaction after, which should close them, may come to another one.
            caches = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
        return engine.sync_engine.dialect.loaded_dbapi.connect(async_creator_fn=connect, **caches)

    engine = create_async_engine(
        "postgresql+asyncpg://", creator=creator, pool_timeout=POOL_TIMEOUT, hide_parameters=True, **options
    )
    return engine


def _said(problem: Exception) -> Exception:
    """What a failed attempt means: run it again, away, or refused."""
    code, text = sqlstate(problem), in_a_line(problem)
    refused = isinstance(problem, DBAPIError | asyncpg.PostgresError) or is_ours(problem)
    away = code.startswith(AWAY) or code in RACES or not refused or broken(problem)
    verdict = Unavailable(f"{CANNOT_WRITE}{text}.") if away else DatabaseRefused(text)
    return _Again(text, verdict) if code in AGAIN or broken(problem) else verdict


AUTOCOMMIT: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
MARK = select(last_batch.c.batch).where(last_batch.c.writer == bindparam("writer"))
