"""A running Tocsin as a test has it: its clock, its log, its server, and a gate before its database."""

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, TypeVar

import uvicorn

from tests.stage import BEGINNING
from tocsin.access.actions import note_use
from tocsin.access.call import Service
from tocsin.app import create_app
from tocsin.cli import serve
from tocsin.cli.protocol import with_deadline
from tocsin.db.batcher import Batcher
from tocsin.db.engine import try_to_write
from tocsin.db.once import forget
from tocsin.kit import logs
from tocsin.settings import Settings

T = TypeVar("T")

ADDRESS = "127.0.0.1"
HOUSEKEEPING = (try_to_write, note_use, forget)


class Tape(BytesIO):
    """Every line that Tocsin has logged since the test began."""

    @property
    def text(self) -> str:
        logs.access.bring_out()
        return self.getvalue().decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n") if line]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


class Clock:
    """The world's one clock: for Tocsin's times, and for the buckets of its limits."""

    def __init__(self) -> None:
        self.now = BEGINNING

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def forward(self, **by: float) -> None:
        """`forward(minutes=5)`."""
        self.now += timedelta(**by)


class Server:
    """Tocsin on a port of its own, as `tocsin serve` runs it, in the stage's loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.app = create_app(settings, prepared=True, clock=clock)
        self._listener = socket.create_server((ADDRESS, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        config = uvicorn.Config(
            self.app, http=with_deadline(settings.header_deadline), ws="none", lifespan="on", log_config=None,
            access_log=False, server_header=False, proxy_headers=True, forwarded_allow_ips=settings.trusted_proxies,
            timeout_keep_alive=75,
        )  # fmt: skip
        config.load()
        self._uvicorn = serve.Server(config)
        self._uvicorn.lifespan = config.lifespan_class(config)

    @property
    def service(self) -> Service:
        assert self.app.service is not None
        return self.app.service

    async def open(self) -> None:
        try:
            await self._uvicorn.startup(sockets=[self._listener])
        except SystemExit:
            raise AssertionError("Tocsin did not start") from None

    async def close(self) -> None:
        """Uvicorn's own way waits a tenth of a second, which is longer than most tests take."""
        for server in self._uvicorn.servers:
            server.close()
        for connection in list(self._uvicorn.server_state.connections):
            connection.shutdown()
        await self._uvicorn.lifespan.shutdown()


class Gate:
    """Stands where the engine stood, and lets no transaction through before it is opened."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        self._engine = batcher._engine
        self._opened = asyncio.Event()
        self._reached = asyncio.Event()
        batcher._engine = self

    async def transaction(self, work: Callable[[Any], T], *, long: bool = False) -> T:
        self._reached.set()
        await self._opened.wait()
        return await self._engine.transaction(work, long=long)

    async def until_waiting(self, count: int) -> None:
        """As soon as somebody stands here and so many requests have queued up behind; the house's own do not count."""
        await self._reached.wait()
        while sum(job.action not in HOUSEKEEPING for job in self._batcher._waiting) < count:
            await asyncio.sleep(0)

    def open(self) -> None:
        self._batcher._engine = self._engine
        self._opened.set()
