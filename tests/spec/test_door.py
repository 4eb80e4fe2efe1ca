"""Connections come in several at a time, and a shortage of descriptors closes the door for a moment only."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tocsin.cli.door import AT_ONCE, Door


class Guests:
    """Those who are in, each as the turn of the loop in which it came; makes the protocol that notes it."""

    def __init__(self) -> None:
        self.turn = 0
        self.came: list[int] = []

    def __call__(self) -> asyncio.Protocol:
        return Guest(self)


class Guest(asyncio.Protocol):
    def __init__(self, guests: Guests) -> None:
        self._guests = guests

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._guests.came.append(self._guests.turn)
        transport.close()


class Worn:
    """A listening socket that has no descriptor left for the first who comes."""

    def __init__(self, listener: socket.socket, errors: list[int]) -> None:
        self._listener, self._errors = listener, errors

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> Any:
        if self._errors:
            raise OSError(self._errors.pop(), "no room")
        return self._listener.accept()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listener:
        listener.setblocking(False)
        yield listener


async def let_in(listener: Any, count: int) -> list[int]:
    """The turn of the loop in which each of so many came in."""
    guests = Guests()
    door = Door(listener, guests)
    async with asyncio.timeout(30):
        while len(guests.came) < count:
            await asyncio.sleep(0)
            guests.turn += 1
    door.close()
    await door.wait_closed()
    return guests.came


def came(listener: socket.socket, guests: int) -> list[socket.socket]:
    return [socket.create_connection(listener.getsockname()) for _ in range(guests)]


def test_those_who_come_together_do_not_wait_for_a_turn_each(listener: socket.socket) -> None:
    guests = came(listener, 4 * AT_ONCE)
    turns = asyncio.run(let_in(listener, len(guests)))
    assert turns[-1] - turns[0] < len(guests) / 2
    for guest in guests:
        guest.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_who_comes_when_there_is_no_room_is_let_in_later(listener: socket.socket, error: int) -> None:
    (guest,) = came(listener, 1)
    asyncio.run(let_in(Worn(listener, [error, error]), 1))
    assert guest.recv(1) == b""
    guest.close()


@pytest.mark.parametrize("error", [errno.ECONNABORTED, errno.EAGAIN, errno.EINTR])
def test_who_has_gone_again_is_nobodys_trouble(listener: socket.socket, error: int) -> None:
    (guest,) = came(listener, 1)
    asyncio.run(let_in(Worn(listener, [error]), 1))
    assert guest.recv(1) == b""
    guest.close()


async def shut_after(listener: socket.socket, turns: int) -> tuple[int, int]:
    """How many are in when the door has been shut so many turns of the loop later, and how many in the end."""
    guests = Guests()
    door = Door(listener, guests)
    for _ in range(turns):
        await asyncio.sleep(0)
    await door.shut()
    at_once = len(guests.came)
    for _ in range(10):
        await asyncio.sleep(0)
    return at_once, len(guests.came)


def test_when_the_door_is_shut_nobody_comes_in_any_more(listener: socket.socket) -> None:
    # Who came in after the server had told everybody that it stops was served on, and the stop waited for it.
    for turns in range(10):
        (guest,) = came(listener, 1)
        at_once, in_the_end = asyncio.run(shut_after(listener, turns))
        assert at_once == in_the_end, turns
        guest.close()
