"""Raw connections, for what no client library would send."""

import http.client
import socket

from tests.running import ADDRESS
from tests.world import World
from tocsin.cli.protocol import Deadlined

BODY = b'{"description": "A", "source": "operator"}'
PIECE = b"a" * 16_384
UPGRADE = ("upgrade: h2c", "connection: upgrade, http2-settings", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA")


def request(world: World, method: str, path: str, *more: str, body: bytes = b"", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "host: x", f"x-api-key: {world.ada.key}", *more]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer(line: socket.socket, method: str = "GET") -> http.client.HTTPResponse:
    said = http.client.HTTPResponse(line, method=method)
    said.begin()
    return said


def everything(line: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    pieces = []
    while piece := line.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def statuses(said: bytes) -> list[int]:
    """Of the answers in it, in order."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def narrow(world: World) -> socket.socket:
    """A connection whose caller takes little at a time."""
    line = socket.socket()
    line.settimeout(10)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((ADDRESS, world.port))
    return line


def connections(world: World) -> list[Deadlined]:
    """What the server has of them."""
    return [each for each in world._server._uvicorn.server_state.connections if isinstance(each, Deadlined)]
