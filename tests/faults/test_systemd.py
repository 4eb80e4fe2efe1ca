"""What systemd hears: a start is over when requests are answered, with one process and with several."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import PATIENCE, Server


class Systemd:
    """The socket that systemd listens on."""

    def __init__(self, address: str) -> None:
        self.name = "@" + address[1:] if address.startswith("\0") else address
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(address)
        self._line.settimeout(PATIENCE)

    def hears(self) -> bytes:
        return self._line.recv(4096)

    def close(self) -> None:
        self._line.close()


@pytest.fixture(params=["a file", "an abstract name"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    place = str(tmp_path / "notify")
    found = Systemd(place if request.param == "a file" else "\0" + place)
    yield found
    found.close()


def test_it_is_told_when_requests_are_answered(systemd: Systemd, tmp_path: Path) -> None:
    server = Server(tmp_path, NOTIFY_SOCKET=systemd.name, TOCSIN_PORT=0)
    try:
        server.launch()
        assert systemd.hears() == b"READY=1"
        assert '"starting"' in server.said()
        server.port = server._told_port()
        with server.client as client:
            assert client.ask("GET", "/livez").status == 200
    finally:
        server.kill_all()


def test_each_of_several_workers_tells_it(systemd: Systemd, database: str, tmp_path: Path) -> None:
    with Server(tmp_path, NOTIFY_SOCKET=systemd.name, TOCSIN_DATABASE_URL=database, TOCSIN_WORKERS=2):
        assert [systemd.hears(), systemd.hears()] == [b"READY=1"] * 2


def test_a_socket_that_nobody_listens_on_stops_no_start(tmp_path: Path) -> None:
    with Server(tmp_path, NOTIFY_SOCKET=str(tmp_path / "gone")) as server:
        assert server.ready()
