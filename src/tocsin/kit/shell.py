"""The outermost layer: every request gets an id, an answer, a log line and a count, whatever happens inside.

Pure ASGI: Starlette's `BaseHTTPMiddleware` costs two thirds of the throughput.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.kit import ids, problems
from tocsin.kit.answers import ANSWERED, DIRECT, SHOWN_PATH
from tocsin.kit.errors import Broken, NoSuchPath, Problem, Unavailable
from tocsin.kit.logs import access
from tocsin.kit.receiving import CallerGone

log = structlog.get_logger("tocsin")

Seen = Callable[[str, str, int, float], None]  # method, route, status, seconds


class Shell:
    """`seen` is told of every request that was answered."""

    def __init__(self, inside: ASGIApp, seen: Seen) -> None:
        self.inside = inside
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inside(scope, receive, _brief(send))
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        scope["request_id"] = ids.request_id(_header(scope, b"x-request-id"))
        path = scope["path"]
        if len(path) > 1 and path[-1] == "/" and path[-2] != "/":
            scope["path"] = path[:-1]
        try:
            await self.inside(scope, receive, send)
        except CallerGone:
            scope[ANSWERED] = 499
        except (Exception, asyncio.CancelledError) as trouble:
            if ANSWERED not in scope:
                # The problem is under no name here: it keeps this frame, and the two would wait for the collector.
                answer = problems.answer(_told(trouble, scope["request_id"]), scope["request_id"])
                await answer(scope, receive, send)
            elif isinstance(trouble, asyncio.CancelledError) and DIRECT in scope:
                scope[DIRECT].hang_up()  # whoever did not take its answer until the stop's grace was over
            else:  # half an answer is out: the server must cut the connection
                _told(trouble, scope["request_id"])
                raise
        self._done(scope, scope.get(ANSWERED, 0), time.perf_counter() - began)

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        self.seen(scope["method"], route.path if route is not None else "", status, seconds)
        service = scope["app"].service
        if service is not None and service.settings.access_log:
            access.line(scope["method"], scope.get(SHOWN_PATH, scope["path"]), status, seconds, scope["request_id"])


def _brief(send: Send) -> Send:
    """A start that failed is told as one sentence: Starlette would send the whole traceback."""

    async def told(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            lines = message.get("message", "").strip().splitlines()
            message = {**message, "message": lines[-1].partition(": ")[2] or lines[-1]} if lines else message
        await send(message)

    return told


async def no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    """The router's last resort."""
    raise NoSuchPath


def _told(trouble: BaseException, request_id: str) -> Problem:
    """What the caller hears of whatever came out of the inside."""
    if isinstance(trouble, Problem):
        return trouble
    if isinstance(trouble, asyncio.CancelledError):  # the server stops, and its grace is over
        return Unavailable("The server stopped before this was answered.")
    log.error("a request failed", request_id=request_id, exc_info=trouble)
    return Broken()


def _header(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None
