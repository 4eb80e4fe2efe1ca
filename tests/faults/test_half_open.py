"""Half-open connections: callers that are gone without a word, and callers that stay, say nothing and read nothing.

The server lets them go in time, and nobody else feels them.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.faults import ledger
from tests.faults.client import ADDRESS, KEY
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ground import Ground
from tests.faults.server import Server, wait_until

CALLERS = size(10, 60)  # of each shape that stay, and as many that go
DEADLINE = size(1.0, 10.0)
DEADLINES = {"TOCSIN_HEADER_DEADLINE": DEADLINE, "TOCSIN_CHUNK_DEADLINE": DEADLINE}
SLACK = 5.0
HEAD = f"host: here\r\nx-api-key: {KEY}\r\n".encode()
SHAPES = (
    b"",
    b"POST /api/incidents HTTP/1.1\r\n" + HEAD,
    b"POST /api/incidents HTTP/1.1\r\n" + HEAD + b'content-length: 90\r\n\r\n{"desc',
)
STREAM = b"GET /api/stream HTTP/1.1\r\n" + HEAD + b"\r\n"
TCP_REPAIR = 19  # of Linux; the module has no name for it


def test_callers_that_are_gone_or_silent_are_let_go(ground: Ground, figures: Figures) -> None:
    with ground.server(**DEADLINES) as server:
        ground.served(server)
        with Crowd(server.port, clients=4) as crowd, ExitStack() as open_ones:
            crowd.wait_for(20)
            before = _connections(server)
            gone = [_caller(server, shape, open_ones) for shape in (*SHAPES, STREAM) for _ in range(CALLERS)]
            silent = [_caller(server, shape, open_ones) for shape in SHAPES for _ in range(CALLERS)]
            assert _connections(server) > before + len(silent)
            unheard = sum(_vanish(caller) for caller in gone)
            took = wait_until(lambda: _connections(server) <= before, DEADLINE + SLACK, what="all are let go")
            crowd.wait_for(20)
        assert crowd.repeats == 0
        assert "Traceback" not in server.said()
        server.kill_all()
    ledger.check(ground.register, crowd)
    told = f"{len(silent)} silent, {len(gone)} gone ({unheard} without a FIN); all let go within {took:.1f} s"
    figures("half-open connections", f"{told}; {crowd.figures()}; 0 lost, 0 double")


def _caller(server: Server, said: bytes, open_ones: ExitStack) -> socket.socket:
    caller = open_ones.enter_context(socket.create_connection((ADDRESS, server.port), 10))
    caller.sendall(said)
    return caller


def _vanish(caller: socket.socket) -> bool:
    """As a machine whose power is cut: no FIN, no reset. Only root may do that; else it is a plain reset."""
    try:
        caller.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False
    finally:
        caller.close()
    return True


def _connections(server: Server) -> int:
    """How many the system still counts as the server's: established, or closed by the other side alone."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{server.port:04X}") and line[3] in ("01", "08") for line in lines)
