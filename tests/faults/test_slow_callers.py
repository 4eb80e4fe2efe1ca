"""Slow loris: callers that send next to nothing are cut off in time, and nobody else waits for them.

The deadlines are lowered; `TOCSIN_SLOW=1` is the long form, with those of a real server.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.faults.client import ADDRESS, KEY
from tests.faults.server import Server

LONG = bool(os.environ.get("TOCSIN_SLOW"))
HEADER, CHUNK, BODY = (10.0, 10.0, 60.0) if LONG else (1.0, 1.0, 2.0)
SLACK = 1.5
CALLERS = 10  # of each shape, at once

HEAD = b"%s /api/incidents HTTP/1.1\r\nhost: here\r\n%scontent-type: application/json\r\ncontent-length: 9000\r\n\r\n"
WITH_KEY = b"x-api-key: " + KEY.encode() + b"\r\n"
POST = HEAD % (b"POST", WITH_KEY)


@dataclass(frozen=True)
class Shape:
    """How a slow caller behaves: what it sends at once, what it drips, and by when it must be cut off."""

    first: bytes
    drip: bytes
    within: float
    answer: bytes
    problem: bool = False

    def call(self, port: int) -> tuple[float, bytes]:
        """Until the server closes the connection: the seconds that it took, and all that it said."""
        began = time.monotonic()
        said = b""
        with socket.create_connection((ADDRESS, port), 10) as caller:
            caller.settimeout(0.1)
            caller.sendall(self.first)
            while time.monotonic() - began < self.within + 10:
                try:
                    more = caller.recv(65536)
                    if not more:
                        break
                    said += more
                except TimeoutError:
                    _drip(caller, self.drip)
                except ConnectionError:
                    break
        return time.monotonic() - began, said


SHAPES = {
    "no byte": Shape(b"", b"", HEADER, b"408"),
    "half a header": Shape(b"POST /api/inc", b"", HEADER, b"408"),
    "a dripped header": Shape(b"POST /api/incidents HTTP/1.1\r\nx-slow: ", b"a", HEADER, b"408"),
    "half a body": Shape(POST + b'{"desc', b"", CHUNK, b"408", problem=True),
    "a dripped body": Shape(POST + b'{"desc', b"a", BODY, b"408", problem=True),
    "a body after a refusal": Shape(HEAD % (b"POST", b"") + b"{", b"", CHUNK, b"401", problem=True),
    "a dripped body after a refusal": Shape(HEAD % (b"POST", b"") + b"{", b"a", CHUNK, b"401", problem=True),
    "a dripped body that nobody reads": Shape(HEAD % (b"GET", WITH_KEY) + b"{", b"a", CHUNK, b"200"),
    "no byte after an answer": Shape(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\nGET /li", b"", HEADER, b"200"),
}


def _drip(caller: socket.socket, drip: bytes) -> None:
    try:
        caller.sendall(drip)
    except OSError:
        return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("slow")
    deadlines = {"header": HEADER, "chunk": CHUNK, "body": BODY}
    settings: dict[str, object] = {f"TOCSIN_{name.upper()}_DEADLINE": seconds for name, seconds in deadlines.items()}
    with Server(home, **settings) as server:
        yield server


def test_slow_callers_are_cut_off_and_others_served(server: Server) -> None:
    """All shapes at once, ten of each."""
    results: list[tuple[str, float, bytes]] = []

    def call(name: str, run: Callable[[int], tuple[float, bytes]]) -> None:
        results.append((name, *run(server.port)))

    callers = [threading.Thread(target=call, args=(n, s.call)) for n, s in SHAPES.items() for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    slowest = _others_are_served(server, callers)
    assert slowest < 1, f"somebody waited {slowest:.2f} s"
    for name, took, said in results:
        shape = SHAPES[name]
        assert took < shape.within + SLACK, f"{name}: cut off only after {took:.1f} s"
        assert said.startswith(b"HTTP/1.1 " + shape.answer), f"{name}: {said!r}"
        if shape.problem:
            assert b"application/problem+json" in said, f"{name}: {said!r}"
    assert len(results) == len(callers)


def _others_are_served(server: Server, callers: list[threading.Thread]) -> float:
    """Writes as an honest caller until every slow one has been cut off; the seconds that the slowest answer took."""
    slowest, number = 0.0, 0
    with server.client as client:
        while any(caller.is_alive() for caller in callers):
            began = time.monotonic()
            assert client.file(f"honest {number}").status == 201
            slowest = max(slowest, time.monotonic() - began)
            number += 1
            time.sleep(0.02)
    return slowest
