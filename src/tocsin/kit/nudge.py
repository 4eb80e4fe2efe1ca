"""A hint that there may be something to do: whoever waits looks at once, and looks now and then without one."""

import asyncio


class Nudge:
    """For one waiter. `give` is cheap and may be called at any time, from the loop that waits."""

    def __init__(self) -> None:
        self._given = asyncio.Event()

    def give(self) -> None:
        """Wakes the waiter, or lets its next wait end at once."""
        self._given.set()

    async def wait(self, seconds: float) -> bool:
        """Until a nudge, at most so long; whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._given.wait()
        except TimeoutError:
            return False
        self._given.clear()
        return True
