"""Slow loris: callers that send next to nothing are cut off in time, and nobody else waits for them.

The deadlines are lowered; the long form has those of a real server.
"""

import contextlib
import itertools
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.client import ADDRESS, KEY
from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.faults.ground import Ground
from tests.faults.server import Server, wait_until

HEADER, CHUNK, BODY = size(1.0, 10.0), size(1.0, 10.0), size(2.0, 60.0)
DEADLINES = {"TOCSIN_HEADER_DEADLINE": HEADER, "TOCSIN_CHUNK_DEADLINE": CHUNK, "TOCSIN_BODY_DEADLINE": BODY}
SLACK = 1.5
CALLERS = 10  # of each shape, at once
PATIENCE = size(3.0, 10.0)  # with the flood: as many as can come again with the deadlines above come too quickly
FLOOD = 500  # connections, all the time
LASTS = size(5.0, 30.0)
ENDED = 15.0  # seconds in which the last of a flood is cut off
PATIENT = size(1.0, 0.5)  # seconds: what the slowest of a hundred honest answers may take; the suite shares its cores

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


def test_slow_callers_are_cut_off_and_others_served(tmp_path: Path) -> None:
    """All shapes at once, ten of each. No database has a part in it."""
    results: list[tuple[str, float, bytes]] = []

    with Server(tmp_path, **DEADLINES) as server:

        def call(name: str, run: Callable[[int], tuple[float, bytes]]) -> None:
            results.append((name, *run(server.port)))

        callers = [threading.Thread(target=call, args=(n, s.call)) for n, s in SHAPES.items() for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        answers = _others_are_served(server, lambda: any(caller.is_alive() for caller in callers))
    assert max(answers) < 1, f"somebody waited {max(answers):.2f} s"
    for name, took, said in results:
        shape = SHAPES[name]
        assert took < shape.within + SLACK, f"{name}: cut off only after {took:.1f} s"
        assert said.startswith(b"HTTP/1.1 " + shape.answer), f"{name}: {said!r}"
        if shape.problem:
            assert b"application/problem+json" in said, f"{name}: {said!r}"
    assert len(results) == len(callers)


class Flood(threading.Thread):
    """So many slow callers, each in one of the four shapes; one that is cut off is replaced until the flood ends."""

    SHAPES = tuple(SHAPES[name] for name in ("no byte", "half a header", "half a body", "a dripped body"))

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._lines = selectors.DefaultSelector()
        self._shapes = itertools.cycle(self.SHAPES)
        self.cut = self.most = 0
        self.ending = False

    @property
    def open(self) -> int:
        """How many have not been cut off."""
        return len(self._lines.get_map())

    def run(self) -> None:
        dripped = 0.0
        while not (self.ending and self.open == 0):
            while not self.ending and self.open < FLOOD:
                self._call()
            self.most = max(self.most, self.open)
            for key, _ in self._lines.select(0.05):
                self._hear(key)
            if not self.ending and time.monotonic() - dripped > 0.2:
                dripped = time.monotonic()
                for key in list(self._lines.get_map().values()):
                    assert isinstance(key.fileobj, socket.socket)
                    _drip(key.fileobj, key.data.drip)

    def _call(self) -> None:
        line, shape = socket.create_connection((ADDRESS, self._port), 10), next(self._shapes)
        line.sendall(shape.first)
        line.setblocking(False)
        self._lines.register(line, selectors.EVENT_READ, shape)

    def _hear(self, key: selectors.SelectorKey) -> None:
        """What it is told, or that it is cut off."""
        assert isinstance(key.fileobj, socket.socket)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if key.fileobj.recv(65536):
                return
        self._lines.unregister(key.fileobj)
        key.fileobj.close()
        self.cut += 1


def test_500_slow_callers_at_a_time_slow_down_nobody(ground: Ground, figures: Figures) -> None:
    slower = {name: max(PATIENCE, deadline) for name, deadline in DEADLINES.items()}
    with ground.server(**slower) as server:
        ground.served(server)
        flood = Flood(server.port)
        flood.start()
        wait_until(lambda: flood.most == FLOOD, what="they are all there")
        ends = time.monotonic() + LASTS
        answers = _others_are_served(server, lambda: time.monotonic() < ends)
        assert flood.is_alive()
        flood.ending = True
        began = time.monotonic()
        flood.join(ENDED)
        assert not flood.is_alive(), f"{flood.open} were not cut off within {ENDED} s"
        ended = time.monotonic() - began
        assert "Traceback" not in server.said()
        server.kill_all()
    stored = ground.register.rows("SELECT description FROM incident ORDER BY id")
    assert [row[0] for row in stored] == [f"honest {number}" for number in range(len(answers))]
    ground.register.check_itself()
    p99 = statistics.quantiles(answers, n=100)[98]
    told = f"{flood.most} at a time for {LASTS:.0f} s, {flood.cut:,} cut off, the last {ended:.1f} s after the end"
    figures("slow loris in four shapes", f"{told}; {len(answers)} honest writes meanwhile, p99 {p99 * 1000:.0f} ms")
    assert p99 < PATIENT


def _others_are_served(server: Server, goes_on: Callable[[], bool]) -> list[float]:
    """Writes as an honest caller for as long as it goes on; the seconds that each answer took."""
    answers: list[float] = []
    with server.client as client:
        while goes_on():
            began = time.monotonic()
            assert client.file(f"honest {len(answers)}").status == 201
            answers.append(time.monotonic() - began)
            time.sleep(0.02)
    return answers
