"""Log lines: JSON, one line each, or a human form in a terminal. No secrets and no bodies are ever put in.

Everything goes to stdout, the server's own lines too.
"""

import logging
import sys
import traceback
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from tocsin.kit.clock import rfc3339, utc_now

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def set_up(style: str, level: str) -> None:
    """`style` is `json`, `console`, or `auto` for console in a terminal."""
    human = style == "console" or (style == "auto" and sys.stdout.isatty())
    structlog.configure(
        processors=_human() if human else _json(),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory() if human else structlog.BytesLoggerFactory(sys.stdout.buffer),
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
    """Where access lines go. In JSON they are written past structlog, and wait in the stream's buffer for the next
    other line or for `flush`: the usual way would be a tenth of a request's time."""

    def __init__(self) -> None:
        self.human = True
        self.wanted = True

    def line(self, method: str, path: str, status: int, seconds: float, request_id: str) -> None:
        """Says that a request was answered."""
        if not self.wanted:
            return
        ms = round(seconds * 1000, 2)
        if self.human:
            log.info("request", method=method, path=path, status=status, ms=ms, request_id=request_id)
            return
        told = AccessLine(rfc3339(utc_now()), method, path, status, ms, request_id)
        sys.stdout.buffer.write(encode(told) + b"\n")


log = structlog.get_logger("tocsin")
access = Access()
encode = msgspec.json.Encoder(enc_hook=str).encode


async def flush() -> None:
    """Loop: brings out what waits."""
    sys.stdout.flush()


def _shared() -> list[Processor]:
    return [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")]


def _json() -> list[Processor]:
    def as_json(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        return encode(event)

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
