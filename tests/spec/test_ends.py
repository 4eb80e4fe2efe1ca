"""How connections end: nobody loses an answer by it, and nobody keeps one for ever."""

import asyncio
import http.client
import socket
import struct

import pytest

from tests.lines import BODY, UPGRADE, answer, connections, everything, narrow, request, statuses
from tests.running import ADDRESS
from tests.world import World
from tocsin.cli.protocol import MOST_WAITING, Deadlined
from tocsin.live.hub import Hub


@pytest.mark.parametrize("offer", [(), UPGRADE], ids=["plain", "with an offer"])
def test_of_too_many_requests_in_a_row_the_first_are_answered(
    world: World, line: socket.socket, offer: tuple[str, ...]
) -> None:
    line.sendall(request(world, "GET", "/livez", *offer) * 1000)
    said = everything(line)
    assert MOST_WAITING <= said.count(b"HTTP/1.1 200 ") == said.count(b"HTTP/1.1 ") < 1000
    assert "Invalid HTTP request" not in world.log.text


WRONG = {
    "no HTTP": (b"GARBAGE\r\n\r\n", 400),
    "a wrong byte": (b"\0\r\n", 400),
    "headers without an end": (b"GET / HTTP/1.1\r\na: " + b"x" * 200_000, 431),
    "no address": (b"CONNECT x:80 HTTP/1.1\r\n\r\n", 400),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_behind_a_request_takes_nothing_from_it(world: World, line: socket.socket, wrong: str) -> None:
    what, status = WRONG[wrong]
    file, see = request(world, "POST", "/api/incidents", body=BODY), request(world, "GET", "/api/incidents/1")
    line.sendall(file + see + what)
    said = everything(line)
    assert statuses(said) == [201, 200, status]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_behind_a_stream_does_not_come_into_it(world: World, line: socket.socket, wrong: str) -> None:
    line.sendall(request(world, "GET", "/api/stream"))
    said = line.recv(10)
    line.sendall(WRONG[wrong][0])
    said += everything(line)
    assert said.count(b"HTTP/1.1") == 1
    hub = world.service.part(Hub)
    world.run(world.until(lambda: not hub._listeners))


def test_a_half_behind_a_slow_answer_is_waited_for_from_its_end(world: World, line: socket.socket) -> None:
    world.run(world.until(lambda: bool(connections(world))))
    (connection,) = connections(world)
    connection.header_deadline = 0.05  # for what comes from now on
    last = max((entry["id"] for entry in world.ada.timeline().entries), default=0)
    wait = request(world, "GET", f"/api/timeline?after={last}&wait=20")
    line.sendall(wait + request(world, "GET", "/livez") + b"GET /livez HTTP/1.1\r\n")
    world.run(world.until(lambda: connection.flow.read_paused))
    line.sendall(b"connection: close\r\n\r\n")  # in time, but nobody reads it yet
    line.settimeout(0.2)  # longer than headers may take
    with pytest.raises(TimeoutError):
        line.recv(1)
    line.settimeout(10)
    world.ada.files("what is waited for")
    said = everything(line)
    assert statuses(said) == [200, 200, 200]


def test_who_sends_too_much_can_read_why(world: World) -> None:
    body = b'{"description": "' + b"a" * 20_000_000 + b'"}'
    for _ in range(5):
        asked = http.client.HTTPConnection(ADDRESS, world.port, timeout=10)
        asked.request("POST", "/api/incidents", body, {"x-api-key": str(world.ada.key)})
        refused = asked.getresponse()
        assert refused.status == 413
        assert b"at most" in refused.read()
        assert refused.headers["connection"] == "close"
        asked.close()


def test_a_stop_does_not_hear_out_half_a_request(world: World, line: socket.socket) -> None:
    line.sendall(request(world, "GET", "/livez")[:-1])
    world.run(world.until(lambda: any(connection.line.unread for connection in connections(world))))

    async def stop() -> None:
        for connection in connections(world):
            connection.shutdown()
        for _ in range(5):
            await asyncio.sleep(0)

    world.run(stop())
    assert not connections(world)


def test_a_stop_cuts_off_who_never_reads_without_a_traceback(world: World) -> None:
    async def out_of_grace() -> None:
        for task in world._server._uvicorn.server_state.tasks:
            task.cancel()

    with narrow(world) as line:
        line.sendall(request(world, "GET", "/openapi.json") * 100)
        world.run(world.until(lambda: any(connection.flow.write_paused for connection in connections(world))))
        world.run(out_of_grace())
        world.run(world.until(lambda: not connections(world)))
    assert "Exception" not in world.log.text
    assert "ASGI" not in world.log.text


def test_who_never_reads_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deadlined, "reader_patience", 0.05)
    with narrow(world) as line:
        line.sendall(request(world, "GET", "/openapi.json") * 100)
        world.run(world.until(lambda: bool(connections(world))))
        world.run(world.until(lambda: not connections(world)))


def test_who_reads_slowly_reads_all(world: World) -> None:
    whole = len(world.ada.ask("GET", "/openapi.json").body)
    with narrow(world) as line:
        line.sendall(request(world, "GET", "/openapi.json") * 50)
        line.shutdown(socket.SHUT_WR)
        assert len(everything(line)) > 50 * whole


@pytest.mark.parametrize("last", [(), UPGRADE], ids=["plain", "with an offer"])
def test_who_ends_its_own_side_is_answered(world: World, line: socket.socket, last: tuple[str, ...]) -> None:
    file, see = request(world, "POST", "/api/incidents", body=BODY), request(world, "GET", "/api/incidents/1", *last)
    line.sendall(file + see + b"GET /api/incidents/1 HTTP/1.1\r\nhost")
    line.shutdown(socket.SHUT_WR)
    said = everything(line)
    assert statuses(said) == [201, 200]


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
    hub = world.service.part(Hub)
    assert hub._listeners
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()  # with what was not read: at once, and for both sides
    world.ada.files("what it would be told")
    world.run(world.until(lambda: not hub._listeners))


def no_longer_idle(world: World) -> None:
    """From the next byte on an idle connection is closed at once; until then it is kept, as ever."""
    for connection in connections(world):
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
