"""Names looked up in threads of our own, because nobody can make a look-up end.

The loop's own look-ups share four threads with everything else and are waited for at the end: one host with a slow
name server kept every other channel from being told, and the process from stopping. Here a host has at most two
threads, all hosts together a bounded number, nobody waits longer than the deadline, and the end waits for none.
"""

import asyncio
import ipaddress
import socket
import threading
import time
from collections import Counter
from contextlib import suppress

import httpcore2

DEADLINE = 5.0  # seconds for one look-up
FAILED_FOR = 5.0  # seconds in which a name that was not found is not looked up again
MOST_OF_ONE = 2  # threads for one host: one may hang in a look-up that nobody waits for any more
MOST = 64  # threads for all hosts together
MOST_FAILED = 1000  # names that are remembered as not found

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Found = list[Address] | None


class Names:
    """Belongs to one loop. Who asks for a name that is being looked up gets the same answer."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[Found]] = {}
        self._threads: Counter[str] = Counter()
        self._failed: dict[str, float] = {}

    async def addresses(self, host: str) -> list[Address]:
        """All addresses of a host, each once; raises `ConnectError`."""
        if self._failed.get(host, 0.0) > time.monotonic():
            raise httpcore2.ConnectError("its name is not known")
        answer = self._asked.get(host) or self._ask(host)
        try:
            async with asyncio.timeout(DEADLINE):
                found = await asyncio.shield(answer)
        except TimeoutError:
            if self._asked.get(host) is answer:
                del self._asked[host]
            self._remember_failed(host)
            raise httpcore2.ConnectError(f"its name was not found within {DEADLINE:g} seconds") from None
        if not found:
            self._remember_failed(host)
            raise httpcore2.ConnectError("its name is not known")
        return found

    def _ask(self, host: str) -> asyncio.Future[Found]:
        if self._threads[host] >= MOST_OF_ONE or self._threads.total() >= MOST:
            raise httpcore2.ConnectError("its name cannot be looked up: others take too long")
        loop = asyncio.get_running_loop()
        answer = self._asked[host] = loop.create_future()
        self._threads[host] += 1
        threading.Thread(target=self._look_up, args=(host, loop, answer), name="look up", daemon=True).start()
        return answer

    def _look_up(self, host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Found]) -> None:
        """In a thread."""
        found: Found = None
        with suppress(OSError, UnicodeError, ValueError):
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(ipaddress.ip_address(row[4][0]) for row in rows))
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._answered, host, answer, found)

    def _answered(self, host: str, answer: asyncio.Future[Found], found: Found) -> None:
        self._threads[host] -= 1
        if not self._threads[host]:
            del self._threads[host]
        if self._asked.get(host) is answer:
            del self._asked[host]
        if not answer.done():
            answer.set_result(found)

    def _remember_failed(self, host: str) -> None:
        if len(self._failed) >= MOST_FAILED:
            self._failed.clear()
        self._failed[host] = time.monotonic() + FAILED_FOR
