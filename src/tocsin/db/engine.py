"""The database as the rest of the house sees it: `read` a query, `write` wishes, wait until it is committed."""

from collections.abc import Awaitable, Callable, Sequence, Set
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import delete, select, update

from tocsin.db.batcher import Action, Batcher, Engine
from tocsin.db.once import Kept, Once
from tocsin.db.schema import key_version, last_batch
from tocsin.db.transaction import Log, Writer
from tocsin.kit import metrics
from tocsin.kit.clock import Clock, utc_now
from tocsin.kit.errors import Problem
from tocsin.settings import Settings

T = TypeVar("T")
log = structlog.get_logger("tocsin.db")


class Storage(Engine, Protocol):
    """One of the two engines."""

    name: str

    async def read(self, query: Callable[..., T], *args: Any) -> T: ...

    async def probe(self) -> None: ...

    async def close(self) -> None: ...


class Database:
    """`clock` is the process's one clock; `log` writes the timeline (`timeline.log.append`)."""

    def __init__(self, settings: Settings, *, log: Log, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.storage = open_storage(settings, log=log, clock=clock)
        self.batcher = Batcher(self.storage)
        self.reachable = True

    @property
    def name(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.storage.name

    def start(self) -> None:
        """From here on wishes are granted; needs a running loop."""
        self.batcher.start()

    def after_commit(self, call: Callable[[Set[str]], None]) -> None:
        """`call` is made after each of this process's batches, with the names of the tables that it wrote.

        A hint, never the truth: others commit as well.
        """
        self.batcher.after_commit.append(call)

    async def close(self) -> None:
        """Ends when everything that waits is done."""
        await self.batcher.stop()
        await self.storage.close()

    def read(self, query: Callable[..., T], *args: Any) -> Awaitable[T]:
        """A query: a plain function of a `Reader` and `args`. Raises `Unavailable`."""
        return self.storage.read(query, *args)

    async def write(self, action: Action, wish: Any) -> Any:
        """One wish: its result, after the commit. A refusal is raised."""
        (result,) = await self.batcher.write(action, [wish])
        if isinstance(result, Problem):
            raise result
        return result

    async def write_many(self, action: Action, wishes: Sequence[Any]) -> list[Any]:
        """Several wishes in one transaction: a result or a `Problem` for each, in order."""
        return list(await self.batcher.write(action, wishes)) if wishes else []

    async def write_once(self, action: Action, wishes: Sequence[Any], once: Once) -> Kept | list[Any]:
        """The same under an Idempotency-Key: the answer to send, or the results where none is kept."""
        answer: Kept | list[Any] = await self.batcher.write(action, wishes, once)
        return answer

    async def probe(self) -> None:
        """One round of the watch: can it be read, and, where the last write failed, written again?"""
        try:
            await self.storage.probe()
            if not self.batcher.healthy:
                await self.batcher.write(try_to_write, [None])
        except Problem as problem:
            if self.reachable:
                log.warning("the database is away", problem=problem.detail)
            self.reachable = False
        else:
            if not self.reachable:
                log.info("the database is back")
            self.reachable = True
        metrics.READY.set(self.ready)

    @property
    def ready(self) -> bool:
        """What the last round of the watch and the last write saw."""
        return self.reachable and self.batcher.healthy


def try_to_write(tx: Writer, wishes: Sequence[None]) -> list[None]:
    """Action: change nothing, but take the way that every write takes, to the disk and back."""
    tx.run(TOUCH)
    return [None for _ in wishes]


def forget_writers(tx: Writer, wishes: Sequence[datetime]) -> list[None]:
    """Action: forget the marks of processes that have committed nothing since; nobody asks for those any more."""
    gone = last_batch.c.at < max(wishes)
    if tx.row(select(last_batch.c.writer).where(gone).limit(1)) is not None:
        tx.run(delete(last_batch).where(gone))
    return [None for _ in wishes]


def open_storage(settings: Settings, *, log: Log, clock: Clock = utc_now) -> Storage:
    """The engine that the settings name; nothing is connected yet."""
    # Only the engine that is used is imported: SQLAlchemy's async half costs a third of a second at start.
    if settings.postgres_url is not None:
        from tocsin.db.postgres import PostgresStorage

        return PostgresStorage(settings, clock=clock, log=log)
    from tocsin.db.sqlite import SqliteStorage

    return SqliteStorage(settings.sqlite_file, clock=clock, log=log)


# A row that says the same as before: written and committed all the same.
TOUCH = update(key_version).values(version=key_version.c.version)
