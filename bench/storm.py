"""A storm: 10,000 reports of 50 troubles from 64 senders at once, in each dialect; what counts is when all are taken.

The same storm goes to Alertmanager, which keeps alerts in memory only; a 2xx of Tocsin's means that it is on disk.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import secrets
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import cast

from bench.load import Target, percentile, raw
from bench.processes import HOST, Server, call, free_port
from bench.sayings import SAYINGS, TO_ALERTMANAGER, Saying
from bench.stage import Stage
from bench.subjects import Dishonest, Subject

TROUBLES = 50
SENDERS = 64
LONGEST = 120.0  # seconds; then something has been lost
ALERTMANAGER = "Alertmanager itself"
QUIET = "route:\n  receiver: nobody\n  group_wait: 1h\nreceivers:\n  - name: nobody\n"


@dataclass(frozen=True)
class Storm:
    """One taker's storms of one kind, one figure for each repeat.

    `taker` and `sender` are the processor time, in seconds, of who takes it (its database server included) and of the
    senders.
    """

    engine: str
    said: str
    at_once: int
    reports: int
    seconds: Sequence[float]
    p99_ms: Sequence[float]
    taker: Sequence[float]
    sender: Sequence[float]

    @property
    def took(self) -> float:
        return median(self.seconds)


@dataclass(frozen=True)
class _Blow:
    seconds: float
    p99_ms: float
    taker: float
    sender: float


def storms(stage: Stage) -> list[Storm]:
    """By each dialect and, where Debian's is installed, by Alertmanager; by turns."""
    with Acceptor(stage.folder("alertmanager")) as alertmanager:
        sayings = [*SAYINGS, *(TO_ALERTMANAGER if alertmanager.there and stage.postgres is None else ())]
        if not alertmanager.there:
            stage.say("Alertmanager is not installed (Debian: `apt install prometheus-alertmanager`): left out")
        blows: dict[Saying, list[_Blow]] = defaultdict(list)
        for _ in range(stage.plan.repeats):
            for saying in sayings:
                blows[saying].append(blow := _blow(stage, saying, alertmanager))
                stage.say(f"storm of {stage.plan.reports:,}, {saying.name}: {blow.seconds:.2f} s")
    return [
        Storm(
            ALERTMANAGER if saying in TO_ALERTMANAGER else stage.engine,
            saying.name,
            saying.at_once,
            stage.plan.reports,
            [each.seconds for each in of_it],
            [each.p99_ms for each in of_it],
            [each.taker for each in of_it],
            [each.sender for each in of_it],
        )
        for saying, of_it in blows.items()
    ]


class Acceptor:
    """A real Alertmanager, where there is one; `there` says so."""

    def __init__(self, home: Path) -> None:
        self._program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        self._home, self.port = home, free_port()
        self._server: Server | None = None

    @property
    def there(self) -> bool:
        return self._program is not None

    def __enter__(self) -> Acceptor:
        if self._program is not None:
            config = self._home / "alertmanager.yml"
            config.write_text(QUIET)
            where = [f"--web.listen-address={HOST}:{self.port}", "--cluster.listen-address="]
            command = [self._program, f"--config.file={config}", f"--storage.path={self._home / 'data'}", *where]
            self._server = Server(command, {}, self._home, self.port, "/-/ready").__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.__exit__()

    def cpu_seconds(self) -> float:
        assert self._server is not None
        return self._server.cpu_seconds()

    def holds(self, storm: str) -> int:
        """How many troubles of a storm it knows."""
        _, alerts = call(self.port, "GET", f'/api/v2/alerts?filter=storm="{storm}"', "")
        return len(alerts)


def _blow(stage: Stage, saying: Saying, alertmanager: Acceptor) -> _Blow:
    """One storm: sent until the last answer, then counted where it was taken."""
    storm = secrets.token_hex(4)
    ours = saying not in TO_ALERTMANAGER
    target, key = _door(stage.ours, saying, storm) if ours else (Target(HOST, alertmanager.port, ""), "")
    reports, troubles = stage.plan.reports, min(TROUBLES, stage.plan.reports // 2)
    requests = [
        raw(target, f"POST {saying.path} {json.dumps(saying.body(storm, numbers, troubles, key))}", saying.headers(key))
        for numbers in _groups(reports, saying.at_once)
    ]
    taken = stage.ours.cpu_in_all if ours else alertmanager.cpu_seconds
    before, cpu, waits, began = taken(), time.process_time(), list[float](), time.perf_counter()
    _run(_send(target, iter(requests), waits, min(SENDERS, len(requests))), saying)
    took, sending = time.perf_counter() - began, time.process_time() - cpu
    blow = _Blow(took, percentile(waits, 0.99) * 1000, taken() - before, sending)
    if len(waits) != len(requests):
        raise Dishonest(f"{len(requests)} requests were sent and {len(waits)} answered")
    if ours:
        _count(stage.ours, storm, reports, troubles)
    elif alertmanager.holds(storm) != troubles:
        raise Dishonest(f"Alertmanager holds {alertmanager.holds(storm)} alerts of {troubles} troubles")
    return blow


def _door(tocsin: Subject, saying: Saying, storm: str) -> tuple[Target, str]:
    """An integration of the storm's own; our own way needs none."""
    if saying.dialect is None:
        return Target(HOST, tocsin.server.port, ""), tocsin.key
    status, made = tocsin.call("POST", "/api/integrations", {"name": f"storm {storm}", "dialect": saying.dialect})
    if status != 201:
        raise Dishonest(f"no integration could be made: {status} {made}")
    return Target(HOST, tocsin.server.port, ""), made["key"]


def _groups(reports: int, at_once: int) -> Iterator[range]:
    return (range(first, min(first + at_once, reports)) for first in range(0, reports, at_once))


def _count(tocsin: Subject, storm: str, reports: int, troubles: int) -> None:
    """One incident for each trouble, and every report counted and kept."""
    where = f"dedup_key LIKE '{storm}/%'"
    ((incidents, counted),) = tocsin.rows(f"SELECT count(*), sum(reports_count) FROM incident WHERE {where}")
    ((kept,),) = tocsin.rows(f"SELECT count(*) FROM report WHERE {where}")
    if (int(incidents), int(counted), int(kept)) != (troubles, reports, reports):
        raise Dishonest(f"of {reports} reports of {troubles} troubles: {incidents=}, {counted=}, {kept=}")


def _run(storm: object, saying: Saying) -> None:
    """On uvloop, where it is: the senders should take as little of the processor as they can."""
    factory = importlib.import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(asyncio.wait_for(storm, LONGEST))  # type: ignore[arg-type]
        except TimeoutError:
            raise Dishonest(f"the storm by {saying.name} was not answered within {LONGEST:.0f} s") from None


async def _send(target: Target, requests: Iterator[bytes], waits: list[float], senders: int) -> None:
    loop = asyncio.get_running_loop()
    ended = [loop.create_future() for _ in range(senders)]
    for each in ended:
        await loop.create_connection(partial(_Sender, requests, waits, each), target.host, target.port)
    await asyncio.gather(*ended)


class _Sender(asyncio.Protocol):
    """Sends the next request when the last one was answered with 2xx."""

    def __init__(self, requests: Iterator[bytes], waits: list[float], ended: asyncio.Future[None]) -> None:
        self._requests, self._waits, self._ended = requests, waits, ended
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._next()

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, rest = self._came.partition(b"\r\n\r\n")
        if not found or len(rest) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._waits.append(time.perf_counter() - self._asked)
        if head[9:10] != b"2":
            self._end(Dishonest(f"a report was answered with {self._came[:500].decode(errors='replace')}"))
            return
        self._came = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Dishonest(f"a connection was closed in the storm: {exc}"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._end(None)
            return
        self._asked = time.perf_counter()
        self._transport.write(request)

    def _end(self, problem: Exception | None) -> None:
        if not self._ended.done():
            if problem is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(problem)
            self._transport.close()
