"""Uvicorn's HTTP protocol with what it lacks: a request must arrive in time, and its headers must end.

Without it a caller that sends half a header keeps its connection for ever (slow loris), and one that never stops takes
the memory. The body's limits stand in `kit/receiving.py`. Requests sent behind one another are told apart, an offer of
another protocol is passed by, and whoever has only ended its own side is still answered. And it hands the application
shorter ways than ASGI's for what nearly every request is.
"""

from asyncio import TimerHandle, Transport
from typing import Any, cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tocsin.cli.together import Line, Turn
from tocsin.kit.answers import DIRECT, Headers


class Deadlined(HttpToolsProtocol):
    """`header_deadline` is in seconds, counted from the connection or from the first byte of a later request.

    What is left of a body when its request has been answered gets as long: nobody reads it, but it holds a connection.
    """

    header_deadline = 10.0
    turn = Turn()
    line: Line  # what `transport` is
    _timer: TimerHandle | None = None
    _running: RequestResponseCycle | None = None  # uvicorn's `cycle` is the newest, which may wait for this one
    _in_request = False
    _in_headers = False
    _offered = False  # the request that is being read offers to go on in another protocol
    _unheard = 0  # bytes since the piece in which the parser last told of something

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.parser = Parser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        self.line = Line(transport, self.turn)
        super().connection_made(cast("Transport", self.line))
        self._expect(TOO_LATE)

    def data_received(self, data: bytes) -> None:
        self._unheard += len(data)
        super().data_received(data)
        if self._in_request and self._unheard > MOST_HEAD:
            self._end(TOO_LARGE if self._in_headers else b"")
        # Most requests come whole: for those no timer is set and taken back.
        elif self._in_headers and self._timer is None:
            self._expect(TOO_LATE)
        elif self._idle():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whoever will say no more may still listen (`nc -N`): what came whole is answered, then we end it too.

        Of a stream's listener this means that it has gone.
        """
        self._came()
        self.line.flush()  # what waits there would not go out any more
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is None or last.more_body or last.response_complete or last.chunked_encoding:
            return False
        last.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        self.pipeline.clear()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_request = self._in_headers = True
        self._unheard = 0  # what else is in this piece may be of the request before: it is not counted

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:  # and not behind a body: nobody may add a header there that others have looked for before
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._unheard = 0
        self._came()
        self._offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._offered:
            super().on_headers_complete()
            self.scope[DIRECT] = Direct(self, self.cycle)  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_request = False
        self._came()
        if not self._offered:
            super().on_message_complete()
            self.cycle.more_body = False  # also of one that has been answered before

    def on_response_complete(self) -> None:
        answered = cast("RequestResponseCycle", self._running)
        # A ring of scope, cycle and `Direct` would wait for the garbage collector: eight objects for each request,
        # and a pause of 150 ms when there were 100,000 of them.
        answered.scope.pop(DIRECT, None)  # type: ignore[misc]
        super().on_response_complete()
        if answered.more_body:
            self._expect(b"")

    def without_offer(self) -> bytes:
        """The head of the request that offers another protocol, as it would be without."""
        self._offered = False
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([first, *headers, b"\r\n"])

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _idle(self) -> bool:
        """Whether nobody works for this connection and no timer will ever end it: what came was no new request."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and self._timer is None
            and self.timeout_keep_alive_task is None
            and not self.transport.is_closing()
        )

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


class Parser(HttpRequestParser):
    """A parser that reads on behind an offer of another protocol, with which it would leave the body to that one.

    We speak no other, and may pass it by (RFC 9110, 7.8): `curl --http2` offers one with every request.
    """

    def __init__(self, protocol: Deadlined) -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        while True:
            try:
                super().feed_data(data)
            except HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
                super().feed_data(self._protocol.without_offer())
            else:
                return


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
