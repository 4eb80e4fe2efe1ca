"""The table of contents: every feature's routes, every background loop, every layer, a line each.

`app = create_app()` reads no settings and opens nothing; the lifespan does.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

import tocsin
from tocsin import start
from tocsin.access import actions
from tocsin.access import http as access
from tocsin.access.call import Service
from tocsin.access.directory import Directory
from tocsin.access.guard import Guarded
from tocsin.db import once
from tocsin.db.engine import Database, forget_writers
from tocsin.delivery import claiming, heartbeat, outbox, told
from tocsin.delivery import http as delivery
from tocsin.delivery.buttons import Buttons
from tocsin.delivery.heartbeat import Heartbeat
from tocsin.delivery.sender import Sender
from tocsin.incidents import http as incidents
from tocsin.incidents.lines import Lines
from tocsin.intake import http as intake
from tocsin.intake.doors import Doors, Payloads, Refusals
from tocsin.kit import logs, loops, metrics, openapi
from tocsin.kit.answers import SHOWN_PATH
from tocsin.kit.clock import Clock, utc_now
from tocsin.kit.keyring import open_keyring
from tocsin.kit.limits import Limiter
from tocsin.kit.loops import Loop
from tocsin.kit.shell import Shell, no_such_path
from tocsin.live import http as live
from tocsin.live.hub import Hub
from tocsin.settings import Settings, load
from tocsin.timeline import http as timeline
from tocsin.timeline.bell import Bell
from tocsin.web import channel_pages, console, incident_page, integration_pages, one_tap, signing_in
from tocsin.web import http as web

Release = Callable[[], None]

ROUTES: list[Guarded] = [
    *incidents.routes,
    *intake.routes,
    *delivery.routes,
    *told.routes,
    *timeline.routes,
    *live.routes,
    *access.routes,
    *web.routes,
    *signing_in.routes,
    *console.routes,
    *incident_page.routes,
    *integration_pages.routes,
    *channel_pages.routes,
    *one_tap.routes,
]

# Where paths begin that hold a secret: what comes near one is not logged either.
VEILED = tuple({route.path.partition("{")[0] for route in ROUTES if route.veiled})
FIXED = {(method, route.path): route for route in ROUTES if route.fixed for method in route.methods or ()}


def every_loop(service: Service) -> list[Loop]:
    """What runs beside the requests, and how many seconds lie between two rounds."""
    db, directory = service.db, service.directory
    return [
        Loop("watch the database", db.probe, 2.0),
        Loop("notice changed keys", directory.refresh, 0.5),
        Loop("notice changed integrations", service.part(Doors).refresh, 0.5),
        Loop("forget old payloads", service.part(Payloads).forget, 60.0),
        Loop("send what is due", service.part(Sender).once, 0.0),
        Loop("count what waits", service.part(Sender).count_waiting, 10.0),
        Loop("send a sign of life", service.part(Heartbeat).once, heartbeat.LOOK),
        Loop("ask Telegram for pressed buttons", service.part(Buttons).once, 1.0),
        Loop("notice new entries", service.part(Bell).once, 0.0),
        Loop("hand out new entries", service.part(Hub).once, 0.0),
        Loop("end streams when it stops", lambda: end_streams(service), 0.1),
        Loop("write when keys were used", directory.write_last_used, 10.0),
        Loop("forget ended sessions", lambda: db.write(actions.forget_sessions, None), 3600.0),
        Loop("bring out access lines", logs.flush, 0.5),
        Loop("count requests", metrics.count_soon, 0.5),
        Loop("forget who wrote", lambda: db.write(forget_writers, db.clock() - timedelta(days=1)), 3600.0),
        Loop("forget old answers", lambda: db.write(once.forget, db.clock() - once.KEPT_FOR), 60.0),
    ]


async def end_streams(service: Service) -> None:
    """Once the end has begun: streams say goodbye, and whoever waits for news is answered."""
    if service.stopping:
        service.part(Hub).end_all("the server stops")
        service.part(Bell).ring()


class Tocsin(FastAPI):
    """FastAPI for its routing and its description; our own shell is the only middleware.

    `service` is what runs behind it, from the lifespan's start to its end.
    """

    service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Without FastAPI's look for a tracer, which is a twentieth of a request's time: figures are in `/metrics`."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        self.middleware_stack = self.middleware_stack or self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        self.router.default = _nowhere
        return Shell(self._find, metrics.request_seen)

    async def _find(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Most paths are fixed: looked up, and not compared with one route after the other."""
        route = FIXED.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (route.handle if route is not None else self.router)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            shapes = dict.fromkeys(kind for route in ROUTES for kind in route.shapes)
            document["components"] = {
                "schemas": openapi.components(shapes),
                "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            }
            document["security"] = [{"key": []}]
        return self.openapi_schema or document

    def openapi_bytes(self) -> bytes:
        """The description as it is served; worked out once."""
        if not hasattr(self, "_document"):
            self._document = msgspec.json.encode(self.openapi())
        return self._document


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """No such path; a link that was copied badly may hold its secret all the same."""
    near = "/" + scope["path"].lstrip("/")
    for place in VEILED:
        if near.startswith(place):
            scope[SHOWN_PATH] = f"{place}…"
    await no_such_path(scope, receive, send)


def create_app(settings: Settings | None = None, *, prepared: bool = False, clock: Clock = utc_now) -> Tocsin:
    """The application. `tocsin serve` hands it the settings and a `prepared` database; tests own the clock."""

    @asynccontextmanager
    async def lifespan(app: Tocsin) -> AsyncIterator[None]:
        in_force = settings or load()
        logs.set_up(in_force.log_format, "debug" if in_force.debug else in_force.log_level)
        release: Release = _keep if prepared else await asyncio.to_thread(start.prepare_and_say, in_force)
        try:
            async with running(in_force, clock) as service:
                app.service = service
                yield
        finally:
            app.service = None
            metrics.count_seen()
            with suppress(OSError):  # nobody reads the log any more
                await logs.flush()
            release()

    return Tocsin(
        title="Tocsin",
        version=tocsin.__version__,
        description="An incident register: one incident for one trouble, every step on record.",
        routes=list(ROUTES),
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )


@asynccontextmanager
async def running(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Service]:
    """Everything that runs while the server serves; ends when what is in flight is done."""
    db = Database(settings, log=outbox.tell, clock=clock)
    admin_key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    key_limits = Limiter(settings.rate_limit / settings.workers)
    address_limits = Limiter(settings.address_rate_limit / settings.workers)
    secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
    keyring = open_keyring(secret, settings.data_dir)
    service = Service(settings, db, Directory(db, admin_key), key_limits, address_limits, keyring)
    sender = Sender(db, settings, keyring)
    service.parts |= {Doors: Doors(db), Refusals: Refusals(db), Payloads: Payloads(db, settings)}
    service.parts |= {Sender: sender, Lines: Lines(), Heartbeat: Heartbeat(db, settings)}
    bell = Bell(db)
    service.parts |= {Bell: bell, Hub: Hub(db, bell, service.directory)}
    service.parts |= {Buttons: Buttons(db, keyring, sender.way, settings)}
    db.start()
    if settings.postgres_url is None:
        # Alone on this database: what a former process was sending is sent again, at once.
        await db.write(claiming.release, None)
    await service.directory.reload()
    tasks = [asyncio.create_task(loops.run(loop), name=loop.name) for loop in every_loop(service)]
    calm_the_collector()
    try:
        yield service
    finally:
        service.stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.part(Buttons).close()
        await service.part(Heartbeat).close()
        await sender.close()
        await db.close()


def _keep() -> None:
    """Whoever prepared the database gives it up as well."""


def calm_the_collector() -> None:
    """What start-up made stays: looking through it again and again was the write path's p99 (90 ms against 30)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


app = create_app()
