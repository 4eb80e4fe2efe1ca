"""No file descriptors left: who is connected is served, who comes must wait, and room again is used at once."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults import ledger
from tests.faults.client import ADDRESS
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ground import HEALS, Ground
from tests.faults.server import Server

SPARE = 5  # beyond what is open
STRANGERS = 100
SHORTAGES = size(1, 5)
LASTS = size(2.0, 10.0)


def test_a_server_without_descriptors_serves_on_and_heals(ground: Ground, figures: Figures) -> None:
    slowest = 0.0
    with ground.server(TOCSIN_HEADER_DEADLINE=60) as server:
        ground.served(server)
        with Crowd(server.port) as crowd:
            for _ in range(SHORTAGES):
                crowd.wait_for(40)
                with _shortage(server.workers or [server.pid]), _strangers(server):
                    until = time.monotonic() + LASTS
                    while time.monotonic() < until:
                        crowd.wait_for(10, within=HEALS)
                slowest = max(slowest, _until_served(server))
            crowd.wait_for(40)
        assert "Traceback" not in server.said()
        server.kill_all()
    ledger.check(ground.register, crowd)
    told = f"{SHORTAGES} × {LASTS:.0f} s, newcomers served {slowest:.1f} s later; {crowd.figures()}; 0 lost, 0 double"
    figures("no file descriptors left", told)


@contextmanager
def _shortage(pids: Sequence[int]) -> Iterator[None]:
    """These processes may open next to nothing more."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    try:
        for pid, (_, most) in before.items():
            highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + SPARE, most))
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@contextmanager
def _strangers(server: Server) -> Iterator[None]:
    """More connections than may be open. Whether they are kept waiting or turned away is the system's choice."""
    with ExitStack() as open_ones:
        for _ in range(STRANGERS):
            with contextlib.suppress(OSError):
                open_ones.enter_context(socket.create_connection((ADDRESS, server.port), 1))
        yield


def _until_served(server: Server) -> float:
    """Seconds until a new connection is served."""
    began = time.monotonic()
    while not server.ready():
        assert time.monotonic() - began < HEALS, "newcomers are not served"
        time.sleep(0.02)
    return time.monotonic() - began
