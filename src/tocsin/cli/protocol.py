"""Uvicorn's HTTP protocol with what it lacks: a request must arrive in time and end, and an answer must be read.

Without it a caller that sends half a header, or never reads, keeps its connection for ever (slow loris), and one that
never stops takes the memory. The body's limits stand in `kit/receiving.py`. Requests behind one another are told
apart: what is wrong with one, or the end of its caller's side, takes nothing from those before. And it hands the
application shorter ways than ASGI's for what nearly every request is.
"""

from asyncio import TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tocsin.cli.parsing import Enough, Parser
from tocsin.cli.together import Line, Turn
from tocsin.kit.answers import DIRECT, Headers


class Deadlined(HttpToolsProtocol):
    """`header_deadline` is in seconds, counted from the connection or from the first byte of a later request.

    What is left of a body when its request has been answered gets as long: nobody reads it, but it holds a connection.
    """

    header_deadline = 10.0
    reader_patience = 60.0  # seconds in which a caller must have read something of what waits for it
    turn = Turn()
    line: Line  # what `transport` is
    offered = False  # the request that is being read offers to go on in another protocol
    _timer: TimerHandle | None = None
    _reader: TimerHandle | None = None
    _running: RequestResponseCycle | None = None  # uvicorn's `cycle` is the newest, which may wait for this one
    _in_headers = False
    _unheard = 0  # bytes since the piece in which the parser last told of something
    _last_word: bytes | None = None  # once it is there, nothing more is heard

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.parser = Parser(self)

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(0)  # so that we hear of it when the system takes no more
        self.line = Line(transport, self.turn)
        super().connection_made(cast("Transport", self.line))
        self._expect(TOO_LATE)

    def data_received(self, data: bytes) -> None:
        if self._last_word is not None or self.line.is_closing():
            self.line.drop(data)
            return
        self._unheard += len(data)
        super().data_received(data)
        if self.line.unread:
            if self._unheard > MOST_HEAD:
                self.stop_hearing(TOO_LARGE)
            # Most requests come whole: for those no timer is set and taken back.
            elif self._in_headers:
                self._expect_the_rest()
        elif self._idle():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whoever will say no more may still listen (`nc -N`). A stream's listener that says no more has gone."""
        self.line.flush()  # what waits there would not go out any more
        self.stop_hearing(more=False)
        self.line.unread = False  # also where it had been stopped before
        return not self.line.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        if self._running is not None:
            _untie(self._running)
        for queued, _ in self.pipeline:
            _untie(queued)
        self.pipeline.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self.resume_writing()
        self._nobody_waits()

    def shutdown(self) -> None:
        self.line.unread = False  # a stop does not wait for whoever is in the midst of saying something
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader is not None:
            self._reader.cancel()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.line.unread = self._in_headers = True
        self._unheard = 0  # what else is in this piece may be of the request before: it is not counted

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:  # and not behind a body: nobody may add a header there that others have looked for before
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._unheard = 0
        self._came()
        self.offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self.offered:
            return
        if len(self.pipeline) == MOST_WAITING:
            self.stop_hearing()
            raise Enough
        super().on_headers_complete()
        self.scope[DIRECT] = Direct(self, self.cycle)  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.line.unread = False
        self._came()
        if not self.offered:
            super().on_message_complete()
            self.cycle.more_body = False  # also of one that has been answered before

    def on_response_complete(self) -> None:
        answered = cast("RequestResponseCycle", self._running)
        _untie(answered)
        super().on_response_complete()
        if self._last_word is not None:
            if self._running is answered:
                self._leave()
        elif answered.more_body:
            self._expect(b"")
        elif self._in_headers:
            self._expect_the_rest()

    def without_offer(self) -> bytes:
        """The head of the request that offers another protocol, as it would be without."""
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([first, *headers, b"\r\n"])

    def send_400_response(self, msg: str) -> None:
        self.stop_hearing(NO_HTTP % (len(msg), msg.encode()))

    def stop_hearing(self, last_word: bytes = b"", *, more: bool = True) -> None:
        """What came whole is still answered, in order; then the last word is said, and the connection ends.

        `more`: the other side may go on speaking.
        """
        if self._last_word is not None or self.line.is_closing():
            return
        self._came()
        self._last_word = last_word
        self.line.unread = more
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()  # the newest, which will never be whole
        running = self._running
        if running is None or running.response_complete or running.more_body or running.chunked_encoding:
            self._leave()

    def _leave(self) -> None:
        """The last word stands where an answer is waited for, and never within or behind one."""
        if self.line.is_closing():
            return
        last, word = self._running, self._last_word
        if word and (last is None or not (last.more_body if last.response_complete else last.response_started)):
            self.line.write(word)
        self.line.close()
        self._nobody_waits()

    def _nobody_waits(self) -> None:
        """What still works for this connection hears that it has gone."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _idle(self) -> bool:
        """Whether nobody works for this connection and no timer will ever end it: what came was no new request."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and self._timer is None
            and self.timeout_keep_alive_task is None
            and not self.line.is_closing()
        )

    def _expect_the_rest(self) -> None:
        """Of the headers. While we do not read, nobody is late."""
        if self._timer is None and not self.flow.read_paused:
            self._expect(TOO_LATE)

    def _expect(self, last_word: bytes) -> None:
        self._timer = self.loop.call_later(self.header_deadline, self._too_late, last_word)

    def _came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self, last_word: bytes) -> None:
        self._timer = None
        self.stop_hearing(last_word, more=False)

    def _watch_reader(self) -> None:
        waiting = self.line.get_write_buffer_size()
        self._reader = self.loop.call_later(self.reader_patience, self._still_reading, waiting)

    def _still_reading(self, waited: int) -> None:
        if self.line.get_write_buffer_size() < waited:
            self._watch_reader()
        else:
            self.line.abort()


def _untie(cycle: RequestResponseCycle) -> None:
    """Without it a ring of scope, cycle and `Direct` would wait for the garbage collector.

    Eight objects for each request, and a pause of 150 ms when there were 100,000 of them.
    """
    cycle.scope.pop(DIRECT, None)  # type: ignore[misc]  # ours, which ASGI's scope does not know


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
        self._cycle.disconnected = True  # or uvicorn would complain of an answer without an end
        self._protocol.transport.abort()


MOST_HEAD = 64 * 1024  # bytes
MOST_WAITING = 128  # requests that may wait behind the one that is being answered
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
NO_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\n\r\n%b"
)


def with_deadline(seconds: float) -> Any:
    """The protocol class for uvicorn's `http=` option."""
    return type("Deadlined", (Deadlined,), {"header_deadline": seconds, "turn": Turn()})
