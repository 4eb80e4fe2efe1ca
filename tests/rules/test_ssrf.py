"""What channels may not reach: 60 hostile addresses, and not one connection."""

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import httpcore2
import pytest

from tocsin.delivery.model import Answer, Request
from tocsin.delivery.transport import Way
from tocsin.settings import Settings

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOSTILE = [
    *("http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0/", "http://0.0.0.0/", "http://2130706433/"),
    *("http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://017700000001/", "http://127.255.255.254/"),
    *("http://localhost/", "http://LOCALHOST/", "http://localhost./", "https://localhost/", "http://localhost:8080/"),
    *("http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/"),
    *("http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a00:1]/"),
    *("http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/", "http://[2001:0:7f00:1::]/", "http://[fe80::1]/"),
    *("http://[fe80::1%25lo]/", "http://[fc00::1]/", "http://[fd12:3456::1]/", "http://[ff02::1]/", "http://[100::1]/"),
    *("http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.254/", "http://192.168.0.1/"),
    *("http://169.254.169.254/latest/meta-data/", "http://169.254.0.1/", "http://100.64.0.1/", "http://192.0.2.1/"),
    *("http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/", "http://224.0.0.1/", "http://239.1.1.1/"),
    *("http://240.0.0.1/", "http://255.255.255.255/", "http://192.0.0.1/", "http://2852039166/", "http://0xa9fea9fe/"),
    *("http://93.184.216.34:22/", "http://93.184.216.34:6379/", "http://93.184.216.34:25/", "http://two.example/"),
    *("http://rebind.example/", "http://metadata.example/", "ftp://93.184.216.34/", "gopher://93.184.216.34/"),
    *("file:///etc/passwd", "unix:///var/run/docker.sock"),
    *("http://[fec0::1]/", "http://[3fff::1]/", "http://[5f00::1]/", "http://[64:ff9b:1::7f00:1]/", "http://192.88.99.1/"),
    *("http://168.63.129.16/", "http://[2a00::5efe:a00:1]/", "http://[2a00::200:5efe:127.0.0.1]/"),
    *("http://[::ffff:168.63.129.16]/", "http://[64:ff9b::a83f:8110]/"),
]  # fmt: skip
NAMES = {
    "two.example": ["93.184.216.34", "10.0.0.1"],
    "rebind.example": ["127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "fine.example": ["93.184.216.34"],
}


class Counted:
    """Where connections really went."""

    def __init__(self) -> None:
        self.to: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *more: Any) -> Any:
        self.to.append((host, port))
        raise httpcore2.ConnectError("counted")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    known = socket.getaddrinfo
    seen = Counted()
    monkeypatch.setattr(httpcore2, "AnyIOBackend", lambda: seen)

    def resolved(host: Any, port: Any, *about: Any, **more: Any) -> Any:
        if host in NAMES:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in NAMES[host]]
        return known(host, port, *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return seen


def sent(url: str, **settings: Any) -> Answer:
    async def send() -> Answer:
        way = Way(Settings.model_validate(settings), lambda: NOW)
        answer, _ = await way.send(Request(url, b"{}"), 5)
        await way.close()
        return answer

    return asyncio.run(send())


def test_there_are_sixty_of_them() -> None:
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_never_connected_to(counted: Counted, url: str) -> None:
    answer = sent(url)
    assert counted.to == []
    assert answer.status is None
    assert url not in answer.reason


def test_the_connection_goes_to_the_address_that_was_checked(counted: Counted) -> None:
    sent("http://fine.example/path")
    assert counted.to == [("93.184.216.34", 80)]


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("http://10.1.2.3/", {"TOCSIN_ALLOWED_TARGETS": "10.0.0.0/8"}),
        ("http://rebind.example/", {"TOCSIN_ALLOWED_TARGETS": "ntfy.lan, rebind.example"}),
        ("http://[fd00::1]/", {"TOCSIN_ALLOWED_TARGETS": "fd00::/8"}),
        ("http://93.184.216.34:9000/", {"TOCSIN_ALLOWED_PORTS": "80, 9000"}),
        ("http://93.184.216.34:9000/", {"TOCSIN_ALLOWED_PORTS": "*"}),
        ("http://10.0.0.7:8081/bot/x", {"TOCSIN_TELEGRAM_API": "http://10.0.0.7:8081"}),
    ],
)
def test_the_settings_open_what_they_name(counted: Counted, url: str, settings: dict[str, str]) -> None:
    sent(url, **settings)
    assert len(counted.to) == 1
