"""One piece of work that many ask for at the same time."""

import asyncio
from collections.abc import Awaitable, Callable


class Shared:
    """Does the work once for all who ask before it begins. Who asks while it is under way shares the next time: what it
    has seen by then may be older than the question.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._now: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Returns when the work has been done since the call; raises what it raised."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._now))
        await asyncio.shield(self._next)  # one who goes away does not take it from the others

    async def _after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._now, self._next = self._next, None
        await self._work()
