"""Uvicorn's HTTP protocol with what it lacks: a request's headers must arrive in time, and they must end.

Without it a caller that sends half a header keeps its connection for ever (slow loris), and one that never stops takes
the memory. The body's limits stand in `kit/receiving.py`. And it hands the application shorter ways than ASGI's for
what nearly every request is.
"""

from asyncio import TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tocsin.cli.together import Line, Turn
from tocsin.kit.answers import DIRECT, Headers


class Deadlined(HttpToolsProtocol):
    """`header_deadline` is in seconds, counted from the connection or from the first byte of a later request.

    What is left of a body when its request has been answered gets as long: nobody reads it, but it holds a connection.
    """

    header_deadline = 10.0
    turn = Turn()
    _timer: TimerHandle | None = None
    _in_headers = False
    _head = 0  # bytes since the piece in which this request began

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("Transport", Line(transport, self.turn)))
        self._expect(TOO_LATE)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if not self._in_headers:
            return
        if self._head > MOST_HEAD:
            self._end(TOO_LARGE)
        # Most requests come whole: for those no timer is set and taken back.
        elif self._timer is None:
            self._expect(TOO_LATE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._head = 0  # what else is in this piece may be of the request before: it is not counted

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:  # and not behind a body: nobody may add a header there that others have looked for before
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._came()
        super().on_headers_complete()
        self.scope[DIRECT] = Direct(self, self.cycle)  # type: ignore[literal-required]

    def on_message_complete(self) -> None:
        self._came()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # A ring of scope, cycle and `Direct` would wait for the garbage collector: eight objects for each request,
        # and a pause of 150 ms when there were 100,000 of them.
        self.cycle.scope.pop(DIRECT, None)  # type: ignore[misc]
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
        self._end(last_word)

    def _end(self, last_word: bytes) -> None:
        """Closes the connection; the last word would be taken for a part of an answer that still goes on."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(last_word)
        self.transport.close()


class Direct:
    """See `kit.answers.Direct`. Each way gives up where anything is unusual, and leaves it to uvicorn."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: HttpToolsProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def body(self) -> bytes | None:
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()  # what is received next is the end of the connection
        self._protocol.flow.resume_reading()
        return body

    def send(self, status: int, headers: Headers, body: bytes | memoryview) -> bool:
        cycle, protocol = self._cycle, self._protocol
        if cycle.response_started or cycle.disconnected or not cycle.keep_alive or protocol.flow.write_paused:
            return False
        lines = [b"%b: %b" % header for header in (*protocol.server_state.default_headers, *headers)]
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1:
            return False  # a header that would become two: uvicorn refuses it
        protocol.transport.write(b"".join((STATUS_LINE[status], head, b"\r\n\r\n", body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def hang_up(self) -> None:
        self._protocol.transport.abort()


MOST_HEAD = 64 * 1024  # bytes
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def with_deadline(seconds: float) -> Any:
    """The protocol class for uvicorn's `http=` option."""
    return type("Deadlined", (Deadlined,), {"header_deadline": seconds, "turn": Turn()})
