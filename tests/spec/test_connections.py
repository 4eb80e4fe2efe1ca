"""One connection, several requests: whatever a client does with it, each gets its own answer, in order."""

import gc
import socket
import threading

import pytest

from tests.lines import BODY, PIECE, answer, everything, request, statuses
from tests.world import World


def test_requests_that_come_together_are_answered_in_order(world: World, line: socket.socket) -> None:
    file, see = request(world, "POST", "/api/incidents", body=BODY), request(world, "GET", "/api/incidents/2")
    last = request(world, "GET", "/api/incidents", "connection: close")
    line.sendall(file + file + see + last)
    said = everything(line)
    assert statuses(said) == [201, 201, 200, 200]
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
        refused = [
            request(world, *asked) for asked in (("GET", "/nowhere"), ("PUT", "/livez"), ("GET", "/api/incidents/9"))
        ]
        refused.append(seen.replace(b"x-api-key: ", b"x-api-key: not-"))
        for asked in (filed, seen, filed, seen, request(world, "GET", "/healthz"), *refused):
            line.sendall(asked)
            answer(line).read()
        gc.collect()
        left = {type(each).__name__ for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not left & {"RequestResponseCycle", "Direct"}


@pytest.mark.parametrize("head", [b"GET /livez HTTP/1.1\r\nx: ", b"GET /"], ids=["a header", "an address"])
def test_headers_without_an_end_are_refused(world: World, line: socket.socket, head: bytes) -> None:
    line.sendall(head)
    line.sendall(PIECE * 40)  # 640 KiB
    said = everything(line)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert said.count(b"HTTP/1.1") == 1


def test_many_headers_without_an_end_are_refused(world: World, line: socket.socket) -> None:
    line.sendall(b"GET /livez HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):
        line.sendall(b"x-y: z\r\n" * 16_000_000)  # 122 MiB: to drop so much is more than politeness asks for


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


def test_what_stands_behind_a_chunked_body_must_end(world: World, line: socket.socket) -> None:
    head = request(world, "POST", "/api/incidents", "content-type: application/json", "transfer-encoding: chunked")
    line.sendall(head + b"%x\r\n%b\r\n0\r\nx-trailer: " % (len(BODY), BODY))
    line.sendall(PIECE * 1000)
    said = everything(line)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert said.count(b"HTTP/1.1") == 1
    assert world.ada.lists().ids == []


def test_large_chunks_are_no_headers(world: World, line: socket.socket) -> None:
    head = request(world, "POST", "/api/incidents", "content-type: application/json", "transfer-encoding: chunked")
    body = BODY + b" " * 200_000
    line.sendall(head + b"".join(b"1;%b\r\n%c\r\n" % (b"x" * 200, byte) for byte in BODY))
    line.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - len(BODY), body[len(BODY) :]))
    assert answer(line).status == 201
