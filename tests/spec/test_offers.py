"""A request that offers to go on in another protocol is answered as if it did not."""

import socket

import pytest

from tests.lines import BODY, UPGRADE, answer, everything, request, statuses
from tests.world import World


@pytest.mark.parametrize("offer", [UPGRADE, ("upgrade: websocket", "connection: Upgrade")], ids=["h2c", "websocket"])
def test_an_offer_of_another_protocol_is_passed_by(world: World, line: socket.socket, offer: tuple[str, ...]) -> None:
    file = request(world, "POST", "/api/incidents", *offer, body=BODY)
    chunked = request(world, "POST", "/api/incidents", *offer, "transfer-encoding: chunked")
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    line.sendall(file + request(world, "GET", "/api/incidents/1", *offer) + chunked)
    line.sendall(request(world, "GET", "/api/incidents/2", "connection: close"))
    said = everything(line)
    assert statuses(said) == [201, 200, 201, 200]


def test_an_offer_byte_by_byte(world: World, line: socket.socket) -> None:
    for byte in request(world, "POST", "/api/incidents", *UPGRADE, body=BODY):
        line.sendall(bytes([byte]))
    assert answer(line).status == 201


def test_a_hundred_offers_at_once(world: World, line: socket.socket) -> None:
    asked = request(world, "GET", "/livez", *UPGRADE)
    last = request(world, "GET", "/livez", "connection: close")
    line.sendall(asked * 100 + last)
    assert everything(line).count(b"HTTP/1.1 200 ") == 101


@pytest.mark.parametrize(
    ("offer", "version"),
    [(("upgrade: h2c", "connection: close, upgrade"), "1.1"), (("upgrade: websocket", "connection: upgrade"), "1.0")],
    ids=["to be closed", "HTTP/1.0"],
)
def test_an_offer_with_the_last_request(
    world: World, line: socket.socket, offer: tuple[str, ...], version: str
) -> None:
    line.sendall(request(world, "POST", "/api/incidents", *offer, body=BODY, version=version))
    said = everything(line)
    assert said.startswith(b"HTTP/1.1 201 ")
    assert b"\r\nconnection: close\r\n" in said.lower()


def test_connect_is_refused_once_and_nothing_behind_it_is_a_request(world: World, line: socket.socket) -> None:
    line.sendall(request(world, "CONNECT", "/livez") + request(world, "GET", "/livez"))
    line.sendall(request(world, "GET", "/livez"))
    said = everything(line)
    assert said.startswith(b"HTTP/1.1 405 ")
    assert said.count(b"HTTP/1.1") == 1
