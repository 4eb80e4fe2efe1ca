"""The test language: a `World` owns the clock, a database of its own and a running Tocsin, and has people in it.

They speak to it over real HTTP. Nothing here sleeps: time moves when a test says `world.clock.forward(minutes=5)`.
"""

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from tests.people import Answer, Person
from tests.phones import Mailbox, Phone, Receiver
from tests.running import ADDRESS, Clock, Gate, Server, Tape
from tests.senders import Alertmanager, Generic, Grafana, Opsgenie, PagerDuty
from tests.stage import Stage, Template
from tests.visitors import Visitor
from tocsin.access.call import Service
from tocsin.db.engine import try_to_write
from tocsin.db.schema import notification
from tocsin.db.transaction import Reader
from tocsin.delivery.buttons import Buttons
from tocsin.delivery.sender import Sender
from tocsin.intake.doors import Doors, Payloads
from tocsin.settings import Settings

T = TypeVar("T")
R = TypeVar("R", "Receiver", "Phone", "Mailbox")


class World:
    """`world.ada.files("Scooter 875643 is offline")`. See the cast in `stage.py`."""

    def __init__(self, stage: Stage, template: Template, folder: Path, clock: Clock, log: Tape) -> None:
        self.clock = clock
        self._log = log
        self._stage = stage
        self._where = template.engine.copy(folder)
        self._lines: list[http.client.HTTPConnection] = []
        self._receivers: list[Receiver | Mailbox] = []
        self._ends: dict[str, Any] = {"allowed_targets": "127.0.0.1", "allowed_ports": "*"}
        self.admin = Person(self, "admin", template.keys["admin"])
        self.ada = Person(self, "ada", template.keys["ada"])
        self.bob = Person(self, "bob", template.keys["bob"])
        self.vera = Person(self, "vera", template.keys["vera"])
        self.probe = Person(self, "probe", template.keys["probe"], "monitoring")
        self.acme = Person(self, "acme", template.keys["acme"], "partner")
        self.globex = Person(self, "globex", template.keys["globex"], "partner")
        self.stranger = Person(self, "stranger", None)
        self.open()

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def service(self) -> Service:
        return self._server.service

    @property
    def log(self) -> Tape:
        """A request's line comes a moment after its answer; one turn of the loop, and it is there."""
        self.run(_do(lambda: None))
        return self._log

    @property
    def app(self) -> Any:
        return self._server.app

    def open(self, **settings: Any) -> None:
        # Strangers' limit is lifted, or else a test that walks through every path would meet it.
        usual: dict[str, Any] = {"address_rate_limit": 0, "log_format": "json"}
        self._server = Server(Settings(**(usual | self._where | self._ends | settings)), self.clock)
        self.run(self._server.open())

    def restarts(self, **settings: Any) -> None:
        """Tocsin ends and starts again, on the same data, with these settings."""
        self.hang_up()
        self._lines.clear()
        self.run(self._server.close())
        self.open(**settings)

    def close(self) -> None:
        self.hang_up()
        self.run(self._server.close())
        for each in self._receivers:
            each.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """In the server's own loop."""
        return self._stage.run(coroutine)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """The same, but the test goes on meanwhile."""
        return self._stage.begin(coroutine)

    def newcomer(self, role: str, name: str = "newcomer", **more: Any) -> Person:
        """Somebody new, with a key that the administrator has made."""
        made = self.admin.makes_key(name, role, **more)
        assert made.status == 201, made
        return Person(self, name, made.json["secret"], role if role in ("monitoring", "partner") else "operator")

    def visits(self, person: Person) -> Visitor:
        """Somebody at the pages, signed in."""
        visitor = Visitor(self)
        assert visitor.signs_in(person.key).leads_to == "/"
        return visitor

    @cached_property
    def alertmanager(self) -> Alertmanager:
        return Alertmanager(self.admin)

    @cached_property
    def pagerduty(self) -> PagerDuty:
        return PagerDuty(self.admin)

    @cached_property
    def opsgenie(self) -> Opsgenie:
        return Opsgenie(self.admin)

    @cached_property
    def grafana(self) -> Grafana:
        return Grafana(self.admin)

    @cached_property
    def generic(self) -> Generic:
        return Generic(self.admin)

    @cached_property
    def receiver(self) -> Receiver:
        """Somebody's server, for webhooks and ntfy."""
        return self._with(Receiver())

    @cached_property
    def phone(self) -> Phone:
        """A phone with Telegram; Tocsin starts again, because Telegram's address is a setting."""
        phone = self._with(Phone())
        self._ends["telegram_api"] = phone.url
        self.restarts()
        return phone

    @cached_property
    def mailbox(self) -> Mailbox:
        """A mailbox with its server; Tocsin starts again, for the same reason."""
        mailbox = self._with(Mailbox())
        self._ends |= {"smtp_url": mailbox.url, "mail_from": "Tocsin <tocsin@example.com>"}
        self.restarts()
        return mailbox

    def _with(self, receiver: R) -> R:
        self._receivers.append(receiver)
        return receiver

    def tells(self) -> None:
        """Everything that is due by now has been sent, or has failed."""
        self.run(self._told())

    async def _told(self) -> None:
        sender, db = self.service.part(Sender), self.service.db
        while sender.in_flight or await db.read(due_or_sending, db.clock()):
            sender.nudge.give()
            await asyncio.sleep(0)

    async def asks_telegram(self) -> None:
        """Tocsin asks for pressed buttons; it does so all the time, so that one question may be under way already."""
        for _ in range(2):
            await self.service.part(Buttons).once()

    def reads(self, query: Callable[..., T], *args: Any) -> T:
        """What stands in the database."""

        async def read() -> T:
            return await self.service.db.read(query, *args)

        return self.run(read())

    async def refresh_doors(self) -> None:
        """Half a second has passed: every process has looked whether an integration has changed."""
        await self.service.part(Doors).refresh()

    async def forget_payloads(self) -> None:
        """A minute has passed: the loop has looked for old payloads."""
        await self.service.part(Payloads).forget()

    def without_loop(self, name: str) -> None:
        """One of the background loops stands still: the test does its round itself."""

        async def stop() -> None:
            (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
            task.cancel()
            await asyncio.wait([task])

        self.run(stop())

    def raw(self, request: bytes) -> Answer:
        """A request byte for byte, on a connection of its own; the server is not waited for to take all of it."""
        with socket.create_connection((ADDRESS, self.port), timeout=10) as line:
            line.sendall(request)
            said = http.client.HTTPResponse(line)
            said.begin()
            return Answer(said.status, said.headers, said.read())

    def hangs_up_after(self, request: bytes) -> None:
        """Half a request, and then nobody is there; returns when the server has noticed."""
        before = len(self._log.events("request"))
        with socket.create_connection((ADDRESS, self.port), timeout=10) as line:
            line.sendall(request)
        self.run(self.until(lambda: len(self._log.events("request")) > before))

    async def until(self, true: Callable[[], bool]) -> None:
        """In the server's loop: as soon as it is true."""
        while not true():
            await asyncio.sleep(0)

    def aside(self, call: Callable[[], T]) -> Future[T]:
        """A call in a thread of its own, while the test goes on."""
        with_one = ThreadPoolExecutor(1)
        try:
            return with_one.submit(call)
        finally:
            with_one.shutdown(wait=False)

    def at_once(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Each call in a thread of its own, all of them let go at the same moment."""
        ready = threading.Barrier(len(calls))

        def begin(call: Callable[[], T]) -> T:
            ready.wait()
            return call()

        with ThreadPoolExecutor(len(calls)) as crowd:
            return list(crowd.map(begin, calls))

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The calls' writes, queued in this order while the database is busy; it finds all of them waiting."""
        with self._busy() as gate, ThreadPoolExecutor(len(calls)) as crowd:
            begun: list[Future[T]] = []
            self.run(gate.until_waiting(0))
            for call in calls:
                begun.append(crowd.submit(call))
                self.run(gate.until_waiting(len(begun)))
            self.run(_do(gate.open))
            return [each.result(30) for each in begun]

    @contextmanager
    def _busy(self) -> Iterator[Gate]:
        gate: Gate = self.run(_do(lambda: Gate(self.service.db.batcher)))
        first = self._stage.begin(self.service.db.write(try_to_write, None))
        try:
            yield gate
        finally:
            self.run(_do(gate.open))
            first.result(30)

    def connection(self) -> http.client.HTTPConnection:
        line = http.client.HTTPConnection(ADDRESS, self.port, timeout=30)
        self._lines.append(line)
        return line

    def hang_up(self) -> None:
        """Everybody hangs up; whoever speaks again calls anew."""
        for line in self._lines:
            line.close()


async def _do(call: Callable[[], T]) -> T:
    """A plain call, in the loop."""
    return call()


def due_or_sending(reader: Reader, now: datetime) -> bool:
    """Whether a message is to be sent by now, and nobody knows yet what came of it."""
    unsettled = notification.c.state.in_(("waiting", "sending"))
    due = (unsettled, notification.c.follows.is_(None), notification.c.due_at <= now)
    return reader.row(select(notification.c.id).where(*due)) is not None
