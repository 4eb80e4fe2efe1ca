"""What many connections have to send goes out in one go, at the end of a turn of the event loop.

The event loop's own way is a system call for each write, at once. A write that wakes a sleeping caller on another
processor costs 40 µs on a virtual machine and leaves the caches cold for what comes next; the second of two in a row
finds the caller awake. After a commit for 64 callers that was a tenth of the time that it takes to answer them.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

MOST_BYTES = 64 * 1024  # of one connection; more goes out at once, so that a slow reader is noticed as ever
PATIENCE = 5.0  # seconds for which somebody may go on after we have ended, and
MOST_DROPPED = 64 * 1024 * 1024  # bytes


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

    Whatever ends the connection politely sends first what waits; `abort` cuts it off with the rest. Where the other
    side is in the midst of saying something (`unread`), its end waits until it has said it: the system answers what
    comes behind an end with a reset, which takes away from it whatever it has not read yet (our refusal, mostly).
    """

    __slots__ = ("_dropped", "_inner", "_size", "_turn", "_waiting", "is_closing", "unread")

    def __init__(self, transport: asyncio.Transport, turn: Turn) -> None:
        self._inner = transport
        self._turn = turn
        self._waiting: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self.unread = False
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
        if not self.is_closing():
            self._inner.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))

    def close(self) -> None:
        """At once where it is called again."""
        self.flush()
        if self.unread and not self.is_closing():
            self.is_closing = _yes
            with suppress(OSError):  # the other side is not there any more
                self._inner.write_eof()
            self._inner.resume_reading()
            asyncio.get_running_loop().call_later(PATIENCE, self._inner.close)
        else:
            self._inner.close()

    def drop(self, data: bytes) -> None:
        """What comes behind our end."""
        self._dropped += len(data)
        if self._dropped > MOST_DROPPED:
            self._inner.abort()

    def write_eof(self) -> None:
        self.flush()
        self._inner.write_eof()

    def abort(self) -> None:
        self._waiting.clear()
        self._inner.abort()


def _yes() -> bool:
    return True
