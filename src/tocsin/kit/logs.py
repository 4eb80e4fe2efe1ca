"""Log lines: JSON, one line each, or a human form in a terminal. No secrets and no bodies are ever put in.

Everything goes to stdout, the server's own lines too.
"""

import io
import logging
import sys
import traceback
from datetime import datetime
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from tocsin.kit.clock import rfc3339, utc_now

MOST_LINES = 1000  # that wait to be written
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def set_up(style: str, level: str) -> None:
    """`style` is `json`, `console`, or `auto` for console in a terminal."""
    human = style == "console" or (style == "auto" and sys.stdout.isatty())
    out.file = sys.stdout if human else sys.stdout.buffer
    safe: Any = out
    structlog.configure(
        processors=_human() if human else _json(),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(safe) if human else structlog.BytesLoggerFactory(safe),
        cache_logger_on_first_use=True,
    )
    access.human, access.wanted = human, LEVELS[level] <= LEVELS["info"]
    _take_over("uvicorn", logging.WARNING if level in ("info", "warning") else LEVELS[level])


def quiet() -> None:
    """For short commands: their own sentences are enough, and stdout is for what a script may read."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS["error"]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


class Out:
    """Where lines go. What cannot be written, on a full disk or to a reader that has gone, is lost and counted: a write
    that failed because its log line did would be a register that fails for the sake of its diary.
    """

    def __init__(self) -> None:
        self.file: Any = io.BytesIO()
        self.lost = 0  # pieces that were refused since the last time that somebody could be told
        self.well = True

    def write(self, lines: str | bytes) -> None:
        try:
            self.file.write(lines)
        except (OSError, ValueError):
            self.lost += 1
            self.well = False

    def flush(self) -> None:
        try:
            self.file.flush()
        except (OSError, ValueError):
            self.well = False
        else:
            self.well = True


class AccessLine(msgspec.Struct):
    """One request that was answered."""

    at: str
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    event: str = "request"
    level: str = "info"
    logger: str = "tocsin"


class Access:
    """Where access lines go. In JSON they are written past structlog, many in a row: before the next other line, or by
    `flush`. One for each request, between other work, took seven times as long.
    """

    def __init__(self) -> None:
        self.human = True
        self.wanted = True
        self._waiting: list[tuple[datetime, str, str, int, float, str]] = []

    def line(self, method: str, path: str, status: int, seconds: float, request_id: str) -> None:
        """Says that a request was answered."""
        if not self.wanted:
            return
        if self.human:
            ms = round(seconds * 1000, 2)
            log.info("request", method=method, path=path, status=status, ms=ms, request_id=request_id)
            return
        self._waiting.append((utc_now(), method, path, status, seconds, request_id))
        if len(self._waiting) >= MOST_LINES:
            self.bring_out()

    def bring_out(self) -> None:
        """Writes what waits."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        told = [
            AccessLine(rfc3339(at), method, path, status, round(seconds * 1000, 2), request_id)
            for at, method, path, status, seconds, request_id in waiting
        ]
        out.write(encoder.encode_lines(told))


log = structlog.get_logger("tocsin")
out = Out()
access = Access()
encoder = msgspec.json.Encoder(enc_hook=str)


async def flush() -> None:
    """Loop: brings out what waits, and says so where lines are missing."""
    access.bring_out()
    out.flush()
    if out.well and out.lost:
        lost, out.lost = out.lost, 0
        log.warning("log lines could not be written and are lost", writes=lost)


def _shared() -> list[Processor]:
    return [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")]


def _json() -> list[Processor]:
    def as_json(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        access.bring_out()  # what happened before stands before it
        return encoder.encode(event)

    told = structlog.processors.ExceptionRenderer(without_values)
    return [*_shared(), told, _logger_name, as_json]


def _human() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _logger_name,
        structlog.dev.ConsoleRenderer(exception_formatter=_plainly),
    ]


def without_values(exc_info: ExcInfo) -> str:
    """A traceback, each message cut to its first line: further down a database shows the row that it refused."""
    told: list[str] = []
    problem: BaseException | None = exc_info[1]
    while problem is not None:
        frames = "".join(traceback.format_tb(problem.__traceback__))
        told.append(f"{frames}{type(problem).__name__}: {str(problem).partition(chr(10))[0]}")
        problem = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
    return "\nfrom\n".join(told)


def _plainly(out: TextIO, exc_info: ExcInfo) -> None:
    out.write("\n" + without_values(exc_info))


def _logger_name(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event.setdefault("logger", "tocsin")
    return event


class _Handler(logging.Handler):
    """Lines of libraries that log the standard way, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            line["exc_info"] = record.exc_info
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), **line)


def _take_over(name: str, level: int) -> None:
    logger = logging.getLogger(name)
    logger.handlers = [_Handler()]
    logger.propagate = False
    logger.setLevel(level)
