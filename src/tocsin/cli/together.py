"""What many connections have to send goes out in one go, at the end of a turn of the event loop.

The event loop's own way is a system call for each write, at once. A write that wakes a sleeping caller on another
processor costs 40 µs on a virtual machine and leaves the caches cold for what comes next; the second of two in a row
finds the caller awake. After a commit for 64 callers that was a tenth of the time that it takes to answer them.
"""

import asyncio
from collections import deque
from typing import Any

MOST_BYTES = 64 * 1024  # of one connection; more goes out at once, so that a slow reader is noticed as ever


class Turn:
    """The connections that have something to send in this turn of the loop."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()

    def add(self, line: "Line") -> None:
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._end)
        self._lines.append(line)

    def _end(self) -> None:
        try:
            while self._lines:
                self._lines.popleft().flush()
        finally:  # what one of them cannot send is the loop's to log, and costs the others a turn at most
            if self._lines:
                asyncio.get_running_loop().call_soon(self._end)


class Line:
    """A connection's transport whose writes wait for the end of the turn. In all else it is the transport.

    Whatever ends the connection politely sends first what waits; `abort` cuts it off with the rest.
    """

    __slots__ = ("_inner", "_size", "_turn", "_waiting", "is_closing")

    def __init__(self, transport: asyncio.Transport, turn: Turn) -> None:
        self._inner = transport
        self._turn = turn
        self._waiting: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing  # asked at every request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._turn.add(self)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Sends what waits."""
        if not self._waiting:
            return
        waiting, self._waiting, self._size = self._waiting, [], 0
        if not self._inner.is_closing():
            self._inner.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))

    def close(self) -> None:
        self.flush()
        self._inner.close()

    def write_eof(self) -> None:
        self.flush()
        self._inner.write_eof()

    def abort(self) -> None:
        self._waiting.clear()
        self._inner.abort()
