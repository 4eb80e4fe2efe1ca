"""Uvicorn's HTTP protocol with the one deadline that it lacks: a request's headers must arrive in time.

Without it a caller that sends half a header keeps its connection for ever (slow loris). The body's deadlines stand
in `kit/receiving.py`. And it hands the application a way to cut a connection that takes nothing any more.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tocsin.kit.answers import HANG_UP


class Deadlined(HttpToolsProtocol):
    """`header_deadline` is in seconds, counted from the connection or from the first byte of a later request.

    What is left of a body when its request has been answered gets as long: nobody reads it, but it holds a connection.
    """

    header_deadline = 10.0
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(TOO_LATE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[HANG_UP] = self.transport.abort  # type: ignore[literal-required]
        if self._timer is None:
            self._expect(TOO_LATE)

    def on_headers_complete(self) -> None:
        self._came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._came()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        unread = self.cycle.response_complete and self.cycle.more_body
        super().on_response_complete()
        if unread:
            self._expect(b"")

    def _expect(self, last_word: bytes) -> None:
        self._timer = self.loop.call_later(self.header_deadline, self._too_late, last_word)

    def _came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self, last_word: bytes) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.write(last_word)
            self.transport.close()


TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def with_deadline(seconds: float) -> Any:
    """The protocol class for uvicorn's `http=` option."""
    return type("Deadlined", (Deadlined,), {"header_deadline": seconds})
