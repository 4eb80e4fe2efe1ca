"""The bell: rings when the log has grown. One look for all who wait in this process, whoever committed."""

import asyncio
from collections.abc import Set

from tocsin.db.engine import Database
from tocsin.kit.nudge import Nudge
from tocsin.timeline import store

LOOK = 0.1  # seconds between two looks while somebody waits; a commit of this process is noticed at once
IDLE = 1.0  # seconds in which a first waiter is noticed, if its own nudge is lost


class Bell:
    """`seen = bell.newest`, read the log, and where it had nothing new: `await bell.rung(seen, seconds)`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._nudge = Nudge()
        self._waiting: set[asyncio.Future[None]] = set()
        self.newest = 0
        db.after_commit(self._committed)

    async def rung(self, seen: int, seconds: float) -> bool:
        """Until an entry after `seen` is there, at most so long; whether one is. It may ring once too often."""
        if self.newest > seen:
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        self._nudge.give()
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiter)
        return True

    async def once(self) -> None:
        """Loop: look whether the log has grown, if anybody waits for it."""
        await self._nudge.wait(LOOK if self._waiting else IDLE)
        if self._waiting:
            newest = await self._db.read(store.newest)
            if newest > self.newest:
                self.newest = newest
                self.ring()

    def ring(self) -> None:
        """Lets everybody go on, as at the end of the server."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _committed(self, touched: Set[str]) -> None:
        if self._waiting and store.LOG in touched:
            self._nudge.give()
