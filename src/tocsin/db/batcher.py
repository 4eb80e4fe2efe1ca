"""Group commit: many waiting wishes, one transaction, and each wish its own result.

Nobody hears of success before the commit. If the database refuses a batch for one wish's sake, the batch is
run again one job at a time, and only that job gets the error.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import structlog

from tocsin.db.once import Kept, Once, keep, kept
from tocsin.db.transaction import Writer
from tocsin.kit import metrics
from tocsin.kit.errors import Broken, Problem, Unavailable

log = structlog.get_logger("tocsin.db")

T = TypeVar("T")
Action = Callable[[Writer, Sequence[Any]], Sequence[Any]]

MOST_WISHES = 512  # in one transaction, unless a single job brings more
MOST_INLINE = 128  # wishes that may be decided on the event loop: a few milliseconds of work
LAST_WAIT = 2.0  # seconds that a stop allows the last batch, when the grace of its callers is over
MOST_WAITING = 20_000  # jobs; beyond it callers are told to come back


CANNOT_WRITE = "The database cannot write at the moment: "


class DatabaseRefused(Exception):
    """The database would not take something in this transaction; nothing of it was stored."""


class Engine(Protocol):
    """What the batcher needs: one transaction, whole or not at all."""

    async def transaction(self, work: Callable[[Writer], T], *, long: bool = False) -> T:
        """Runs `work` and commits; `long` work must not hold up the loop.

        Raises `DatabaseRefused` or `Unavailable`; then nothing is known to be done.
        """
        ...


@dataclass(slots=True, eq=False)
class Job:
    """Wishes that came together and are answered together."""

    action: Action
    wishes: Sequence[Any]
    once: Once | None
    answer: asyncio.Future[Any]
    outcome: Any = field(default=None)


class Batcher:
    """`write` waits until its wishes are committed or refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[Job] = deque()
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.healthy = True
        self.after_commit: list[Callable[[Set[str]], None]] = []

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="batcher")

    async def stop(self) -> None:
        """Ends when everything that waits is done, or when the database has been silent for too long."""
        task, self._task = self._task, None
        if task is not None:
            self._came.set()
            done, _ = await asyncio.wait([task], timeout=LAST_WAIT)
            if not done:
                log.warning("the database did not answer the last writes; their callers were told so")
                task.cancel()

    async def write(self, action: Action, wishes: Sequence[Any], once: Once | None = None) -> Any:
        """One result for each wish, refusals among them; with `once` the `Kept` answer, where there is one."""
        if self._task is None or len(self._waiting) >= MOST_WAITING:
            raise Unavailable("Too many writes are waiting, or the server is stopping; nothing was stored.")
        job = Job(action, wishes, once, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._came.set()
        return await job.answer

    async def _run(self) -> None:
        while self._task is not None or self._waiting:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                await self._gather()
                batch = self._next_batch()
                try:
                    await self._settle(batch)
                except Exception:  # a fault of ours around the transaction: whoever comes next is served all the same
                    log.exception("a batch failed")
                    _tell(batch, Broken())

    async def _gather(self) -> None:
        """Lets in what is on its way: a turn of the loop for as long as each brings somebody more."""
        seen = 0
        while seen < len(self._waiting) < MOST_WISHES:
            seen = len(self._waiting)
            await asyncio.sleep(0)

    def _next_batch(self) -> list[Job]:
        """From the front of the queue; a repeated Idempotency-Key waits for the batch after its first."""
        batch: list[Job] = []
        scopes: set[bytes] = set()
        room = MOST_WISHES
        while self._waiting and (not batch or room >= len(self._waiting[0].wishes)):
            job = self._waiting[0]
            if job.once is not None:
                if job.once.scope in scopes:
                    break
                scopes.add(job.once.scope)
            room -= len(job.wishes)
            batch.append(self._waiting.popleft())
        return batch

    async def _settle(self, batch: list[Job]) -> None:
        wishes = sum(len(job.wishes) for job in batch)
        try:
            touched = await self._engine.transaction(lambda tx: perform(tx, batch), long=wishes > MOST_INLINE)
        except Unavailable as problem:
            self.healthy = False
            metrics.batch_seen("unavailable")
            _tell(batch, problem)
        except Exception as problem:
            metrics.batch_seen("refused")
            # One wish spoils the transaction for all: the others must not pay for it.
            if len(batch) > 1:
                for job in batch:
                    await self._settle([job])
            else:
                await self._settle_alone(batch[0], problem)
        else:
            self.healthy = True
            metrics.batch_seen("committed", wishes)
            _tell(batch)
            for call in self.after_commit:
                call(touched)

    async def _settle_alone(self, job: Job, problem: Exception) -> None:
        if len(job.wishes) > 1 and not isinstance(problem, Problem):
            try:
                await self._engine.transaction(lambda tx: perform(tx, [job], careful=True), long=True)
            except Exception as again:
                problem = again
            else:
                _tell([job])
                return
        if not isinstance(problem, Problem):
            log.error("a write failed", action=job.action.__name__, exc_info=problem)
            problem = Broken()
        _tell([job], problem)


def perform(tx: Writer, batch: Sequence[Job], *, careful: bool = False) -> Set[str]:
    """Everything of one transaction but the commit; may be run again from the start. `careful`: see `_one_by_one`.

    Gives the names of the tables that it wrote.
    """
    known = kept(tx, [job.once for job in batch if job.once is not None])
    fresh = []
    for job in batch:
        job.outcome = known.get(job.once.scope) if job.once is not None else None
        if job.outcome is None:
            fresh.append(job)
    for action, jobs in _by_action(fresh):
        wishes = [wish for job in jobs for wish in job.wishes]
        results = iter(_one_by_one(tx, action, wishes) if careful else action(tx, wishes))
        for job in jobs:
            job.outcome = [next(results) for _ in job.wishes]
    keep(tx, _said(fresh))
    tx.write_log()
    return tx.touched


def _one_by_one(tx: Writer, action: Action, wishes: Sequence[Any]) -> list[Any]:
    """Many wishes of one request, each in a savepoint of its own: a failing one becomes `Broken`, the others stay."""
    results: list[Any] = []
    for wish in wishes:
        try:
            with tx.savepoint():
                results += action(tx, [wish])
        except Unavailable:
            raise  # there is no transaction any more in which the others could be stored
        except Exception:
            log.exception("a wish failed", action=action.__name__)
            results.append(Broken())
    return results


def _by_action(jobs: Iterable[Job]) -> list[tuple[Action, list[Job]]]:
    """Jobs of the same action together. Nobody has had an answer yet, so their order among actions is free.

    It also means that a batch locks incidents once, in id order: two processes cannot block each other.
    """
    groups: dict[Action, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.action, []).append(job)
    return list(groups.items())


def _said(jobs: Iterable[Job]) -> list[tuple[Once, Kept]]:
    """The successes that must be kept; each such job's outcome becomes the answer itself."""
    answers = []
    for job in jobs:
        answer = job.once.say(job.outcome) if job.once is not None else None
        if job.once is not None and answer is not None:
            job.outcome = answer
            answers.append((job.once, answer))
    return answers


def _tell(batch: Sequence[Job], problem: Problem | None = None) -> None:
    for job in batch:
        if job.answer.done():  # the caller has gone; what it wished is done all the same
            continue
        if problem is not None:
            job.answer.set_exception(problem)
        elif isinstance(job.outcome, Problem):
            job.answer.set_exception(job.outcome)
        else:
            job.answer.set_result(job.outcome)
