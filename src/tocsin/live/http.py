"""How the log is followed over HTTP: `GET /api/stream`, server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.incidents.model import SOURCES, STATUSES, good_source, good_status
from tocsin.kit import errors, ids, openapi
from tocsin.kit.answers import ANSWERED, DIRECT, Answer, Direct, Headers
from tocsin.kit.problems import NO_STORE
from tocsin.live import model
from tocsin.live.hub import Hub, Listener
from tocsin.live.model import Filters, Frame

routes = Routes("live")

STREAM = b"text/event-stream; charset=utf-8"
HEARTBEAT = 15.0  # seconds of silence after which a comment keeps proxies from hanging up
PATIENCE = 10.0  # seconds for which a listener may refuse to read
AT_ONCE = 32 * 1024  # bytes: who reads slowly has that much patience for each of them, and not for a whole page
RETRY = 1000  # milliseconds after which a browser comes back

AFTER = openapi.Parameter("after", "query", "Resume after this entry, as `Last-Event-ID` does.", openapi.PLACE)
STATUS = openapi.Parameter(
    "status",
    "query",
    "Only entries of incidents that have one of these statuses then, by commas; `active` means all but ended ones.",
    openapi.some_of((*STATUSES, "active")),
)
SOURCE = openapi.Parameter(
    "source", "query", "Only of incidents of these sources, by commas.", openapi.some_of(SOURCES)
)
INCIDENT = openapi.Parameter("incident", "query", "Only of this incident.", openapi.ID)

Say = Callable[[list[Frame]], bytes]


class Stream(Answer):
    """A stream to one listener. `say` turns frames into what is sent, so that a page can send its own events."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, listener: Listener, hello: bytes, say: Say, quiet: bytes = model.HEARTBEAT) -> None:
        Response.__init__(self, b"")
        self._hub = hub
        self._listener = listener
        self._hello = hello
        self._say = say
        self._quiet = quiet
        self.raw_headers: Headers = [
            (b"content-type", STREAM),
            NO_STORE,
            (b"x-accel-buffering", b"no"),  # a proxy such as nginx must not wait for more
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"x-request-id", scope["request_id"].encode("ascii"))]
        scope[ANSWERED] = self.status_code
        gone = asyncio.create_task(self._until_gone(receive), name="listener")
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
            async for piece in self._pieces():
                async with asyncio.timeout(PATIENCE):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            # Nothing can be told to a socket that takes nothing. Where it is ours, the connection is cut.
            # Any other server closes it when the answer ends unfinished.
            self._listener.end("gone")
            direct: Direct | None = scope.get(DIRECT)
            if direct is not None:
                direct.hang_up()
        finally:
            gone.cancel()
            self._hub.leave(self._listener)
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield self._hello
        async for frames in self._hub.frames(self._listener, HEARTBEAT):
            for piece in _cut(self._say(frames) if frames else self._quiet):
                yield piece
        why = self._listener.over or "gone"
        if why != "gone":
            yield model.farewell(why)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._listener.end("gone")


@routes.add(
    "GET",
    "/api/stream",
    may="timeline:read",
    parameters=(AFTER, STATUS, SOURCE, INCIDENT),
    refuses=(errors.Invalid,),
    response_class=Stream,
)
async def stream(call: Call) -> Answer:
    """Everything that happens, as it happens, as server-sent events: `hello`, `entry`, at the end `bye`.

    Each `entry` has the entry's id and says what `GET /api/timeline` says of it. With `Last-Event-ID` (or `after`)
    it goes on where it ended, across restarts and processes; without, it begins now.
    """
    asked = call.asked()
    incident = asked.get("incident", [""])[-1]
    filters = Filters(
        frozenset(_statuses(asked.get("status", []))),
        frozenset(good_source(each, "source") for each in _split(asked.get("source", []))),
        ids.whole(incident, "incident") if incident else None,
    )
    who = call.principal
    hub = call.service.part(Hub)
    listener = await hub.join(who, filters, place_of(call))
    hello = b"retry: %d\n" % RETRY + model.event("hello", {"after": listener.last}, listener.last)
    return Stream(hub, listener, hello, lambda frames: b"".join(frame.to(who) for frame in frames))


def _cut(said: bytes) -> Iterator[bytes]:
    for start in range(0, len(said), AT_ONCE):
        yield said[start : start + AT_ONCE]


def place_of(call: Call) -> int | None:
    """After which entry a stream goes on, as the browser or the query says; None: from now on."""
    after = call.headers_seen.get(b"last-event-id", b"").decode("latin-1") or call.asked().get("after", [""])[-1]
    return None if not after else 0 if after == "0" else ids.whole(after, "after")


def _split(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _statuses(values: list[str]) -> list[str]:
    named = _split(values)
    active = [status for status in STATUSES if status not in ("resolved", "closed")] if "active" in named else []
    return active + [good_status(each, "status") for each in named if each != "active"]
