"""A TCP proxy before PostgreSQL that knows a COMMIT when it sees one, and can cut the line there.

What happens at a COMMIT is a `Cut`; every other message goes through as it is.
"""

from __future__ import annotations

import contextlib
import enum
import re
import socket
import threading
from collections.abc import Callable
from typing import Self

ADDRESS = "127.0.0.1"
SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Cut(enum.Enum):
    """What becomes of a COMMIT."""

    NOT = "it goes through"
    BEFORE = "both lines are cut and the server never sees it"
    AFTER = "the server gets it, and its client's line is cut before the answer"
    HELD = "the client's line is cut, and the server waits for a COMMIT that never comes"


Choose = Callable[[], Cut]


class Proxy:
    """`with Proxy(port, choose) as proxy: … proxy.port`; `choose` is asked at every COMMIT."""

    def __init__(self, upstream: int, choose: Choose) -> None:
        self.choose = choose
        self.cuts: list[Cut] = []
        self._upstream = upstream
        self._listener = socket.create_server((ADDRESS, 0))
        self._open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for line in list(self._open):
            self._cut(line)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((ADDRESS, self._upstream), 5)
        except OSError:
            client.close()
            return
        for line in (client, server):
            line.settimeout(None)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(line)
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()
        self._forth(client, server)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(65536):
                client.sendall(piece)
        for line in (client, server):  # the server too: it has answered, to nobody
            self._cut(line)

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        cut = Cut.NOT
        with contextlib.suppress(OSError, EOFError):
            _start(client, server)
            while cut is Cut.NOT:
                message = _message(client)
                cut = self.choose() if _is_commit(message) else Cut.NOT
                if cut in (Cut.NOT, Cut.AFTER):
                    server.sendall(message)
        if cut is not Cut.NOT:
            self.cuts.append(cut)
            self._cut(client)
        if cut in (Cut.NOT, Cut.BEFORE):
            self._cut(server)

    def _cut(self, line: socket.socket) -> None:
        self._open.discard(line)
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()


def _start(client: socket.socket, server: socket.socket) -> None:
    """The messages without a type that come first: requests for encryption, then the start itself."""
    while True:
        head = _exactly(client, 8)
        size, code = int.from_bytes(head[:4]), int.from_bytes(head[4:])
        server.sendall(head + _exactly(client, size - 8))
        if code not in (SSL_REQUEST, GSS_REQUEST):
            return


def _message(client: socket.socket) -> bytes:
    head = _exactly(client, 5)
    return head + _exactly(client, int.from_bytes(head[1:]) - 4)


COMMIT = re.compile(rb"\bCOMMIT\b", re.IGNORECASE)  # and not `READ COMMITTED`


def _is_commit(message: bytes) -> bool:
    """By a simple query, or parsed as a statement."""
    return message[:1] in (b"Q", b"P") and COMMIT.search(message[5:40]) is not None


def _exactly(line: socket.socket, size: int) -> bytes:
    pieces = b""
    while len(pieces) < size:
        piece = line.recv(size - len(pieces))
        if not piece:
            raise EOFError
        pieces += piece
    return pieces
