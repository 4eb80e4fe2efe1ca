"""`tocsin serve`: one process that serves, or a parent that keeps several workers running.

The parent binds the port, prepares the database and holds the data directory; workers only serve.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from types import FrameType
from typing import Any, cast

import typer
import uvicorn

from tocsin import settings as chosen
from tocsin import start
from tocsin.cli import banner, notify
from tocsin.cli.door import Door
from tocsin.cli.protocol import with_deadline
from tocsin.cli.workers import Workers, handed_over
from tocsin.settings import Settings
from tocsin.start import CannotStart


def serve(
    host: str | None = typer.Option(None, help="Address to listen on instead of TOCSIN_HOST."),
    port: int | None = typer.Option(None, help="Port to listen on instead of TOCSIN_PORT."),
) -> None:
    """Start the register. Ctrl-C stops it."""
    settings = _load(host, port)
    listener = bind(settings)
    prepared = start.prepare(settings)
    try:
        banner.show(settings, prepared, listener.getsockname()[1])
        if settings.workers == 1:
            run(settings, listener)
        else:
            _share_metrics()
            Workers(settings, listener).run()
    finally:
        prepared.release()


def work() -> None:
    """A worker's whole life, in the process that `Workers` has started."""
    listener = handed_over()
    run(chosen.load(), listener)


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve in this process until told to stop."""
    from tocsin.app import create_app

    app = create_app(settings, prepared=True)
    config = uvicorn.Config(
        app,
        http=with_deadline(settings.header_deadline),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.stop_grace)),
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
    )
    Server(config).run(sockets=[listener])


class Server(uvicorn.Server):
    """Uvicorn's server, which tells systemd of the beginning, and the app at once of the end: `/readyz` goes first."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        doors: Any = [Door(listener, self._protocol) for listener in sockets or []]
        self.servers = doors
        notify.ready()

    def _protocol(self) -> asyncio.Protocol:
        made: Any = self.config.http_protocol_class
        return cast("asyncio.Protocol", made(self.config, self.server_state, self.lifespan.state))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Uvicorn tells the connections that it knows, once. One that was let in a moment later would be served for as
        # long as it asks, and the stop would wait for it.
        for door in self.servers:
            await cast("Door", door).shut()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        service = getattr(self.config.app, "service", None)
        if service is not None:
            service.stopping = True
        # Not handed on: uvicorn would raise the signal again in the end, and a stop that was asked for is no failure.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        super().run(sockets)
        if not self.started:  # the log has said why
            sys.exit(1)


def bind(settings: Settings) -> socket.socket:
    """The listening socket, ours alone; raises `CannotStart` where the port is taken."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(*family[:3])  # with its protocol: asyncio sets TCP_NODELAY only where it is named
        # So that a restart need not wait for old connections; unlike SO_REUSEPORT it lets no stranger in.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(family[4])
        listener.listen(2048)
    except OSError as problem:
        raise CannotStart(
            f"cannot listen on {settings.host}:{settings.port}: {problem.strerror}. Another program may have it; "
            "TOCSIN_PORT chooses another port, TOCSIN_HOST another address."
        ) from None
    listener.setblocking(False)
    return listener


def _load(host: str | None, port: int | None) -> Settings:
    given = {"TOCSIN_HOST": host, "TOCSIN_PORT": None if port is None else str(port)}
    environ = dict(os.environ) | {name: value for name, value in given.items() if value is not None}
    return chosen.load(environ)


def _share_metrics() -> None:
    """The workers' figures meet in files; old ones must not be added up again."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tocsin-metrics-")
