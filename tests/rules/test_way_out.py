"""The way out, hurried along by nobody: names that are slow, addresses that do not connect, bodies that stall."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpcore2
import pytest

from tocsin.delivery import names, transport
from tocsin.delivery.model import Answer, Mail, Request
from tocsin.delivery.names import MOST_OF_ONE, Names
from tocsin.delivery.transport import Way
from tocsin.settings import Settings

ANYWHERE = {"TOCSIN_ALLOWED_TARGETS": "127.0.0.0/8", "TOCSIN_ALLOWED_PORTS": "*"}
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names that end in `.slow` are not found before the test is over; which of them were looked up."""
    over, asked, known = threading.Event(), [], socket.getaddrinfo

    def found(host: str, *about: Any, **more: Any) -> Any:
        if host.endswith(".slow"):
            asked.append(host)
            over.wait(30)
            raise socket.gaierror
        if host.endswith(".two"):  # the first one refuses connections
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in ("127.0.0.2", "127.0.0.1")]
        return known(host, *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(names, "DEADLINE", 0.05)
    yield asked
    over.set()


async def refused(look_up: Coroutine[Any, Any, Any]) -> str:
    with pytest.raises(httpcore2.ConnectError) as why:
        await look_up
    return str(why.value)


def test_a_slow_name_keeps_no_other_waiting_and_not_the_end(slow: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up() -> None:
        known = Names()
        waiting = [asyncio.create_task(refused(known.addresses(f"{number}.slow"))) for number in range(20)]
        await asyncio.sleep(0)  # all twenty are on their way, each with the short deadline
        monkeypatch.setattr(names, "DEADLINE", 60)  # the good one may take its time on a busy machine
        assert await known.addresses("127.0.0.1")
        said = await asyncio.gather(*waiting)
        assert all("its name was not found within" in each for each in said)

    asyncio.run(look_up())  # ends, though twenty look-ups do not


def test_a_name_has_two_threads_and_is_not_looked_up_again_at_once(
    slow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up() -> None:
        known = Names()
        together = await asyncio.gather(*(refused(known.addresses("one.slow")) for _ in range(10)))
        assert len(together) == 10
        assert len(slow) == 1
        assert await refused(known.addresses("one.slow")) == "its name is not known"
        monkeypatch.setattr(names, "FAILED_FOR", 0.0)
        known._failed.clear()
        for _ in range(5):
            await refused(known.addresses("one.slow"))
        assert len(slow) == MOST_OF_ONE
        assert "others take too long" in await refused(known.addresses("one.slow"))

    asyncio.run(look_up())


def test_all_names_together_have_a_bounded_number_of_threads(slow: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOST", 8)

    async def look_up() -> None:
        known = Names()
        await asyncio.gather(*(refused(known.addresses(f"{number}.slow")) for number in range(30)))

    asyncio.run(look_up())
    assert len(slow) == 8


@asynccontextmanager
async def server(says: bytes) -> AsyncIterator[int]:
    """Says this to a request, and nothing more; the port."""
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(says)
        await writer.drain()
        await over.wait()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        over.set()
        listening.close()


def sent(says: bytes, host: str = "127.0.0.1") -> tuple[Answer, bytes]:
    async def send() -> tuple[Answer, bytes]:
        way = Way(Settings.model_validate(ANYWHERE), lambda: NOW)
        async with server(says) as port:
            answer = await way.send(Request(f"http://{host}:{port}/", b"{}"), 0.5)
        await way.close()
        return answer

    return asyncio.run(send())


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_status_counts_whatever_becomes_of_the_body(status: int) -> None:
    answer, body = sent(f"HTTP/1.1 {status} x\r\ncontent-length: 100\r\nretry-after: 7\r\n\r\nhalf".encode())
    assert answer == Answer(status, f"it answered {status}", 7.0)
    assert body == b"half"


def test_half_a_status_is_no_answer() -> None:
    answer, _ = sent(b"HTTP/1.1 2")
    assert answer == Answer(None, "no answer within 0.5 seconds", silent=True)


def test_the_next_address_is_tried_when_the_first_does_not_connect(slow: list[str]) -> None:
    answer, _ = sent(b"HTTP/1.1 204 x\r\n\r\n", "host.two")
    assert answer.status == 204


def test_a_mail_server_that_stalls_at_the_end_has_taken_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "GOODBYE", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        in_data = False
        while line := await reader.readline():
            if (in_data and line != b".\r\n") or line.startswith(b"QUIT"):
                continue
            in_data = line.startswith(b"DATA")
            writer.write(b"354 go on\r\n" if in_data else b"250 taken\r\n")
        writer.close()

    async def send() -> Answer:
        listening = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        settings = {"TOCSIN_SMTP_URL": f"smtp://127.0.0.1:{port}", "TOCSIN_MAIL_FROM": "tocsin@example.com"}
        answer = await Way(Settings.model_validate(settings), lambda: NOW).mail(
            Mail(["ada@example.com"], "New", "x", "<p>x</p>", "msg_1"), 5
        )
        listening.close()
        return answer

    assert asyncio.run(send()).status == 250
