"""Telling under fire: a target that fails in every way, and five kills; all is told, doubles only under the same id."""

import json
import random
import socket
import statistics
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from tests.faults.conftest import Say
from tests.faults.server import Server, wait_until

MESSAGES = 300
KILLS = 5


class Target:
    """Takes webhooks; with `trouble` it refuses, breaks off, hangs, or takes them and is not heard."""

    def __init__(self, *, trouble: bool) -> None:
        self.came: dict[int, list[str]] = defaultdict(list)  # message ids that were taken, by incident
        self.at: dict[int, float] = {}
        self.seen = 0
        self._trouble = trouble
        self._troubled: Counter[str] = Counter()
        self._dice = random.Random(7)
        self._lock = threading.Lock()
        self._server = Quiet(("127.0.0.1", 0), type("Handler", (Taker,), {"target": self}))

    def luck(self, message: str) -> float:
        """Two troubles are enough for one message: after each it waits twice as long as before."""
        with self._lock:
            self.seen += 1
            self._troubled[message] += 1
            return self._dice.random() if self._trouble and self._troubled[message] <= 2 else 1.0

    def takes(self, incident: int, message: str) -> None:
        with self._lock:
            self.came[incident].append(message)
            self.at.setdefault(incident, time.monotonic())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"


class Taker(BaseHTTPRequestHandler):
    """What the target does with one request, by its luck."""

    protocol_version = "HTTP/1.1"
    target: Target

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = self.headers["webhook-id"]
        luck = self.target.luck(message)
        if luck < 0.30:
            self.answer(500 if luck < 0.2 else 429, {"retry-after": "1"})
        elif luck < 0.34:  # a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        elif luck < 0.35:
            time.sleep(12)
        else:
            self.target.takes(said["data"]["incident"]["id"], message)
            if luck > 0.39:
                self.answer(200, {})
            else:  # taken, and nobody hears of it
                self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *about: Any) -> None:
        """Nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *about: Any) -> None:
        """A caller that was killed is what this test is about."""


def tell_to(server: Server, name: str, target: Target) -> None:
    with server.client as client:
        draft = {"name": name, "kind": "webhook", "config": {"url": target.url}}
        channel = client.ask("POST", "/api/channels", draft).body["channel"]
        assert client.ask("POST", "/api/subscriptions", {"channel_id": channel["id"]}).status == 201


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_everything_is_told_and_a_bad_target_delays_nobody(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, say: Say
) -> None:
    where: dict[str, Any] = {"TOCSIN_RATE_LIMIT": 0, "TOCSIN_ALLOWED_TARGETS": "127.0.0.1", "TOCSIN_ALLOWED_PORTS": "*"}
    if engine == "postgresql":
        where |= {"TOCSIN_DATABASE_URL": request.getfixturevalue("database"), "TOCSIN_WORKERS": 2}
    with Target(trouble=True) as bad, Target(trouble=False) as good, Server(tmp_path, **where) as server:
        tell_to(server, "bad", bad)
        tell_to(server, "good", good)
        filed = file_and_kill(server, engine)
        wait_until(lambda: len(bad.came) == MESSAGES and len(good.came) == MESSAGES, 150, what="all are told")
        wait_until(lambda: nothing_waits(server), 60, what="all are settled")
    for target in (bad, good):
        assert set(target.came) == set(filed)
        assert all(len(set(ids)) == 1 for ids in target.came.values()), "a double has the same id"
    late = sorted(good.at[id] - filed[id] for id in filed)
    p95 = statistics.quantiles(late, n=20)[18]
    doubles = sum(len(ids) - 1 for target in (bad, good) for ids in target.came.values())
    told = f"{MESSAGES} messages to two targets, {KILLS} kills, {bad.seen} attempts at the bad one, {doubles} doubles"
    say(f"{engine}: {told}, p95 at the good one {p95:.2f} s")
    assert p95 < 5


def file_and_kill(server: Server, engine: str) -> dict[int, float]:
    """When each incident was committed, by id. A kill comes after every fiftieth."""
    filed: dict[int, float] = {}
    for number in range(MESSAGES):
        if number and number % (MESSAGES // (KILLS + 1)) == 0 and number // (MESSAGES // (KILLS + 1)) <= KILLS:
            if engine == "sqlite":
                server.kill_parent()
                server.start()
            else:
                server.kill_worker()
        with server.client as client:
            draft = {"description": f"number {number}", "source": "operator"}
            answer = client.insist("POST", "/api/incidents", draft, once=f"number-{number}")
        filed[answer.body["incident"]["id"]] = time.monotonic()
    return filed


def nothing_waits(server: Server) -> bool:
    states = set()
    with server.client as client:
        for id in (1, 2):
            told = client.ask("GET", f"/api/channels/{id}/notifications?limit=1000").body["notifications"]
            states |= {each["state"] for each in told}
    return states == {"sent"}
