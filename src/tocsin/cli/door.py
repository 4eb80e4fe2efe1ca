"""Where connections come in: several at a time.

The event loop's own server takes one for each of its turns, and a turn answers whoever is already there: of 64 callers
that came together the last one waited for 64 turns (0.8 s with pages of 50).
"""

import asyncio
import socket
from collections.abc import Callable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

import structlog

log = structlog.get_logger("tocsin.door")

AT_ONCE = 16  # in one turn, so that of several workers none takes all that came together
PAUSE = 0.1  # seconds until the next look, when there is no descriptor or memory for one more
FULL = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})


class Door:
    """In place of an `asyncio.Server`; the listening socket stays its owner's."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._coming: set[asyncio.Task[object]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._full = False
        self._open()

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        if self._later is not None:
            self._later.cancel()

    async def shut(self) -> None:
        """Closes, and waits until whoever was just coming in is in: they too have to be told that it is over."""
        self.close()
        await asyncio.gather(*self._coming, return_exceptions=True)

    async def wait_closed(self) -> None:
        """Nothing to wait for: connections that are there belong to their protocols."""

    def _open(self) -> None:
        self._later = None
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another worker was faster, or the caller has gone again
            except OSError as problem:
                self._cannot(problem)
                return
            self._full = False
            self._let_in(connection)

    def _let_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        coming: asyncio.Task[object] = self._loop.create_task(
            self._loop.connect_accepted_socket(self._protocol, connection)
        )
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    def _cannot(self, problem: OSError) -> None:
        """Callers wait in the socket's queue until something is free again."""
        if problem.errno not in FULL:
            raise problem
        if not self._full:
            log.warning("no more connections can be taken for the moment", problem=problem.strerror)
        self._full = True
        self._loop.remove_reader(self._listener)
        self._later = self._loop.call_later(PAUSE, self._open)
