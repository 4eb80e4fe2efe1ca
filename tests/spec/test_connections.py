"""One connection, several requests: whatever a client does with it, each gets its own answer, in order."""

import gc
import http.client
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.running import ADDRESS
from tests.world import World
from tocsin.cli.protocol import Deadlined
from tocsin.live.hub import Hub

BODY = b'{"description": "A", "source": "operator"}'


@pytest.fixture
def line(world: World) -> Iterator[socket.socket]:
    with socket.create_connection((ADDRESS, world.port), timeout=10) as line:
        yield line


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


def test_requests_that_come_together_are_answered_in_order(world: World, line: socket.socket) -> None:
    file, see = request(world, "POST", "/api/incidents", body=BODY), request(world, "GET", "/api/incidents/2")
    last = request(world, "GET", "/api/incidents", "connection: close")
    line.sendall(file + file + see + last)
    said = everything(line)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"201", b"201", b"200", b"200"]
    assert world.ada.lists().ids == [2, 1]


def test_a_request_byte_by_byte(world: World, line: socket.socket) -> None:
    for byte in request(world, "POST", "/api/incidents", body=BODY):
        line.sendall(bytes([byte]))
    assert answer(line).status == 201


def test_a_body_after_its_headers(world: World, line: socket.socket) -> None:
    head, _, body = request(world, "POST", "/api/incidents", body=BODY).partition(b"\r\n\r\n")
    line.sendall(head + b"\r\n\r\n")
    world.run(world.until(lambda: True))
    line.sendall(body[:7])
    line.sendall(body[7:])
    assert answer(line).status == 201


def test_a_client_that_waits_to_be_asked_for_the_body(world: World, line: socket.socket) -> None:
    head, _, body = request(world, "POST", "/api/incidents", "expect: 100-continue", body=BODY).partition(b"\r\n\r\n")
    line.sendall(head + b"\r\n\r\n")
    assert line.recv(1000).startswith(b"HTTP/1.1 100 ")
    line.sendall(body)
    assert answer(line).status == 201


def test_a_body_in_chunks(world: World, line: socket.socket) -> None:
    head = request(world, "POST", "/api/incidents", "content-type: application/json", "transfer-encoding: chunked")
    line.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert answer(line).status == 201


@pytest.mark.parametrize(("version", "header"), [("1.1", "connection: close"), ("1.0", "x-nothing: x")])
def test_a_connection_that_is_to_be_closed_is_closed(
    world: World, line: socket.socket, version: str, header: str
) -> None:
    line.sendall(request(world, "GET", "/api/incidents", header, version=version))
    said = everything(line)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in said.lower()
    assert said.endswith(b'{"incidents":[],"next":null}')


def test_head_has_no_body_and_the_connection_goes_on(world: World, line: socket.socket) -> None:
    line.sendall(request(world, "HEAD", "/livez") + request(world, "GET", "/livez"))
    said = line.recv(65_536)
    while said.count(b"HTTP/1.1 ") < 2:
        said += line.recv(65_536)
    head, _, rest = said.partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200 "), head


def test_every_answer_says_its_length_and_its_request(world: World, line: socket.socket) -> None:
    for _ in range(3):
        line.sendall(request(world, "GET", "/api/incidents", "x-request-id: mine-1"))
        said = answer(line)
        assert int(said.headers["content-length"]) == len(said.read())
        assert said.headers["x-request-id"] == "mine-1"


def test_what_is_answered_leaves_nothing_to_the_garbage_collector(world: World, line: socket.socket) -> None:
    # 100,000 objects of requests that were over were collected at once: nobody was answered for 150 ms.
    seen, filed = request(world, "GET", "/api/incidents/1"), request(world, "POST", "/api/incidents", body=BODY)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for asked in (filed, seen, filed, seen, request(world, "GET", "/healthz")):
            line.sendall(asked)
            answer(line).read()
        gc.collect()
        left = {type(each).__name__ for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not left & {"RequestResponseCycle", "Direct"}


PIECE = b"a" * 16_384


@pytest.mark.parametrize("head", [b"GET /livez HTTP/1.1\r\nx: ", b"GET /"], ids=["a header", "an address"])
def test_headers_without_an_end_are_refused(world: World, line: socket.socket, head: bytes) -> None:
    line.sendall(head)
    said = b""
    for _ in range(40):  # 640 KiB
        try:
            line.sendall(PIECE)
        except OSError:  # closed, because it is too much
            break
    try:
        said = everything(line)
    except ConnectionResetError:  # what was sent after the end was not read
        return
    assert said.startswith(b"HTTP/1.1 431 ")
    assert said.count(b"HTTP/1.1") == 1


def test_many_headers_without_an_end_are_refused(world: World, line: socket.socket) -> None:
    line.sendall(b"GET /livez HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):
        line.sendall(b"x-y: z\r\n" * 4_000_000)


def test_many_requests_in_a_row_are_not_taken_for_headers_without_an_end(world: World, line: socket.socket) -> None:
    asked = request(world, "GET", "/livez", f"x-padding: {'a' * 2000}")
    last = request(world, "GET", "/livez", "connection: close")
    threading.Thread(target=line.sendall, args=(asked * 100 + last,)).start()
    assert everything(line).count(b"HTTP/1.1 200 ") == 101


def test_what_stands_behind_a_chunked_body_is_no_header(world: World, line: socket.socket) -> None:
    head = request(world, "POST", "/api/incidents", "content-type: application/json", "transfer-encoding: chunked")
    line.sendall(head + b"%x\r\n%b\r\n0\r\nx-request-id: forged\r\n\r\n" % (len(BODY), BODY))
    said = answer(line)
    assert said.status == 201
    assert said.headers["x-request-id"] != "forged"


UPGRADE = ("upgrade: h2c", "connection: upgrade, http2-settings", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA")


@pytest.mark.parametrize("offer", [UPGRADE, ("upgrade: websocket", "connection: Upgrade")], ids=["h2c", "websocket"])
def test_an_offer_of_another_protocol_is_passed_by(world: World, line: socket.socket, offer: tuple[str, ...]) -> None:
    file = request(world, "POST", "/api/incidents", *offer, body=BODY)
    chunked = request(world, "POST", "/api/incidents", *offer, "transfer-encoding: chunked")
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    line.sendall(file + request(world, "GET", "/api/incidents/1", *offer) + chunked)
    line.sendall(request(world, "GET", "/api/incidents/2", "connection: close"))
    said = everything(line)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"201", b"200", b"201", b"200"]


def test_an_offer_byte_by_byte(world: World, line: socket.socket) -> None:
    for byte in request(world, "POST", "/api/incidents", *UPGRADE, body=BODY):
        line.sendall(bytes([byte]))
    assert answer(line).status == 201


def test_a_thousand_offers_at_once(world: World, line: socket.socket) -> None:
    asked = request(world, "GET", "/livez", *UPGRADE)
    last = request(world, "GET", "/livez", "connection: close")
    threading.Thread(target=line.sendall, args=(asked * 1000 + last,)).start()
    assert everything(line).count(b"HTTP/1.1 200 ") == 1001


@pytest.mark.parametrize("last", [(), UPGRADE], ids=["plain", "with an offer"])
def test_who_ends_its_own_side_is_answered(world: World, line: socket.socket, last: tuple[str, ...]) -> None:
    file, see = request(world, "POST", "/api/incidents", body=BODY), request(world, "GET", "/api/incidents/1", *last)
    line.sendall(file + see + b"GET /api/incidents/1 HTTP/1.1\r\nhost")
    line.shutdown(socket.SHUT_WR)
    said = everything(line)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"201", b"200"]


def test_who_ends_its_own_side_too_early_is_not_waited_for(world: World, line: socket.socket) -> None:
    line.sendall(request(world, "POST", "/api/incidents", body=BODY)[:-1])
    line.shutdown(socket.SHUT_WR)
    assert everything(line) == b""
    assert world.ada.lists().ids == []


def test_a_half_behind_a_whole_one_is_left_when_its_sender_has_ended(world: World, line: socket.socket) -> None:
    file = request(world, "POST", "/api/incidents", body=BODY)
    line.sendall(file + file[:-1])
    line.shutdown(socket.SHUT_WR)
    assert everything(line).count(b"HTTP/1.1 201 ") == 1
    assert world.ada.lists().ids == [1]


@pytest.mark.parametrize("ended", [True, False], ids=["its own side", "all of it"])
def test_a_listener_that_ends_has_gone(world: World, line: socket.socket, ended: bool) -> None:
    line.sendall(request(world, "GET", "/api/stream"))
    assert answer(line).status == 200
    if ended:
        line.shutdown(socket.SHUT_WR)
    else:
        line.close()
    hub = world.service.part(Hub)
    world.run(world.until(lambda: not hub._listeners))


def test_a_listener_with_a_request_behind_it_does_not_outlive_its_connection(world: World, line: socket.socket) -> None:
    line.sendall(request(world, "GET", "/api/stream") + request(world, "GET", "/livez"))
    line.recv(10)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()  # with what was not read: at once, and for both sides
    hub = world.service.part(Hub)
    assert hub._listeners
    world.ada.files("what it would be told")
    world.run(world.until(lambda: not hub._listeners))


def no_longer_idle(world: World) -> None:
    """From the next byte on an idle connection is closed at once; until then it is kept, as ever."""
    for connection in world._server._uvicorn.server_state.connections:
        assert isinstance(connection, Deadlined)
        connection.timeout_keep_alive = 0


@pytest.mark.parametrize("behind", [b"\r\n", b"\r\n\r\n"])
def test_an_empty_line_behind_an_answer_does_not_hold_the_connection(
    world: World, line: socket.socket, behind: bytes
) -> None:
    line.sendall(request(world, "GET", "/livez"))
    answer(line).read()
    no_longer_idle(world)
    line.sendall(behind)
    assert everything(line) == b""


def test_a_body_behind_its_refusal_does_not_hold_the_connection(world: World, line: socket.socket) -> None:
    head, _, body = request(world, "POST", "/nowhere", body=BODY).partition(b"\r\n\r\n")
    line.sendall(head + b"\r\n\r\n")
    refused = answer(line)
    assert refused.status == 404
    refused.read()
    no_longer_idle(world)
    line.sendall(body)
    assert everything(line) == b""


def test_a_connection_goes_on_behind_a_body_that_nobody_read(world: World, line: socket.socket) -> None:
    file = request(world, "POST", "/api/incidents", body=BODY)
    head, _, body = file.replace(b"x-api-key: ", b"x-api-key: not-").partition(b"\r\n\r\n")
    line.sendall(head + b"\r\n\r\n")
    refused = answer(line)
    assert refused.status == 403
    refused.read()
    line.sendall(body + b"\r\n" + file)
    assert answer(line).status == 201


def test_what_stands_behind_a_chunked_body_must_end(world: World, line: socket.socket) -> None:
    head = request(world, "POST", "/api/incidents", "content-type: application/json", "transfer-encoding: chunked")
    line.sendall(head + b"%x\r\n%b\r\n0\r\nx-trailer: " % (len(BODY), BODY))
    with pytest.raises(ConnectionError):
        line.sendall(PIECE * 1000)
    assert world.ada.lists().ids == []


def test_large_chunks_are_no_headers(world: World, line: socket.socket) -> None:
    head = request(world, "POST", "/api/incidents", "content-type: application/json", "transfer-encoding: chunked")
    body = BODY + b" " * 200_000
    line.sendall(head + b"".join(b"1;%b\r\n%c\r\n" % (b"x" * 200, byte) for byte in BODY))
    line.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - len(BODY), body[len(BODY) :]))
    assert answer(line).status == 201
