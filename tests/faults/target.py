"""Somebody's server that takes webhooks; it can be made to fail in every way that a server over there fails."""

import json
import random
import socket
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.faults.figures import size
from tests.faults.server import Server, wait_until
from tests.phones import Quiet

TROUBLES = size(1, 2)  # of one message


class Target:
    """Takes webhooks; with `trouble` it refuses, breaks off, hangs, or takes them and is not heard."""

    def __init__(self, *, trouble: bool) -> None:
        self.came: dict[int, list[str]] = defaultdict(list)  # message ids that were taken, by incident
        self.at: dict[int, float] = {}
        self.seen = 0
        self.down = False  # it refuses everything
        self._trouble = trouble
        self._troubled: Counter[str] = Counter()
        self._dice = random.Random(7)
        self._lock = threading.Lock()
        self._server = Quiet(("127.0.0.1", 0), type("Handler", (Taker,), {"target": self}))

    def luck(self, message: str) -> float:
        """A few troubles are enough for one message: after each it waits twice as long as before."""
        with self._lock:
            self.seen += 1
            self._troubled[message] += 1
            if self.down:
                return 0.0
            return self._dice.random() if self._trouble and self._troubled[message] <= TROUBLES else 1.0

    def takes(self, incident: int, message: str) -> None:
        with self._lock:
            self.came[incident].append(message)
            self.at.setdefault(incident, time.monotonic())

    def until_told(self, incident: int, within: float) -> None:
        """Until something was told of this incident."""
        wait_until(lambda: incident in self.came, within, what=f"incident {incident} is told")

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


def tell_to(server: Server, name: str, target: Target) -> None:
    with server.client as client:
        draft = {"name": name, "kind": "webhook", "config": {"url": target.url}}
        channel = client.ask("POST", "/api/channels", draft).body["channel"]
        assert client.ask("POST", "/api/subscriptions", {"channel_id": channel["id"]}).status == 201
