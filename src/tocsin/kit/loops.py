"""Background loops: each is a plain coroutine function that does one unit of work.

A round that fails is logged and tried again at its next turn; nothing that matters lives only in a loop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger("tocsin.loops")


@dataclass(frozen=True)
class Loop:
    """One line of the list in `app.py`: what is done, and how many seconds lie between two rounds."""

    name: str
    once: Callable[[], Awaitable[object]]
    every: float


async def run(loop: Loop) -> None:
    """Until cancelled."""
    while True:
        try:
            await loop.once()
        except Exception as problem:  # a loop outlives whatever one round meets; it is said, not swallowed
            log.warning("a round failed", loop=loop.name, problem=f"{type(problem).__name__}: {problem}")
        await asyncio.sleep(loop.every)
