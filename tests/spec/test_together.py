"""What many connections have to send goes out together, and nothing of it is lost or overtaken by an end."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from tocsin.cli.together import MOST_BYTES, MOST_DROPPED, Line, Turn


class Wire:
    """A transport that notes what it is told, as text."""

    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self._told.append(f"{self._name}: {data.decode()}")

    def write_eof(self) -> None:
        self._told.append(f"{self._name} says no more")

    def resume_reading(self) -> None:
        self._told.append(f"{self._name} listens")

    def close(self) -> None:
        self._told.append(f"{self._name} is closed")

    def abort(self) -> None:
        self._told.append(f"{self._name} is cut off")

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, what: str) -> str:
        return f"{what} of {self._name}"


Step = Callable[[Line, Line], None]


def said(step: Step) -> list[list[str]]:
    """What the wires of two lines had been told after this step, and at the end of the turn."""
    told: list[str] = []
    turn = Turn()
    first, second = (Line(cast("asyncio.Transport", Wire(told, name)), turn) for name in ("first", "second"))

    async def run() -> list[list[str]]:
        step(first, second)
        during = list(told)
        await asyncio.sleep(0)
        return [during, told]

    return asyncio.run(run())


def test_what_is_said_in_one_turn_goes_out_at_its_end_in_order() -> None:
    def step(first: Line, second: Line) -> None:
        first.write(b"a")
        second.write(b"b")
        first.write(b"c")

    assert said(step) == [[], ["first: ac", "second: b"]]


def test_the_next_turn_is_another() -> None:
    told: list[str] = []
    line = Line(cast("asyncio.Transport", Wire(told, "line")), Turn())

    async def twice() -> None:
        for word in (b"one", b"two"):
            line.write(word)
            await asyncio.sleep(0)

    asyncio.run(twice())
    assert told == ["line: one", "line: two"]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (Line.close, ["first: a", "first is closed"]),
        (Line.write_eof, ["first: a", "first says no more"]),
        (Line.abort, ["first is cut off"]),
    ],
)
def test_a_polite_end_sends_first_what_waits_and_a_rude_one_nothing(
    end: Callable[[Line], None], told: list[str]
) -> None:
    def step(first: Line, second: Line) -> None:
        first.write(b"a")
        end(first)

    assert said(step) == [told, told]


def test_who_is_in_the_midst_of_speaking_is_heard_out() -> None:
    def step(first: Line, second: Line) -> None:
        first.unread = True
        first.write(b"a")
        first.close()
        first.write(b"b")
        assert first.is_closing()
        first.drop(b"c" * MOST_DROPPED)

    heard = ["first: a", "first says no more", "first listens"]
    assert said(step) == [heard, heard]


def test_who_does_not_stop_speaking_is_not_heard_out() -> None:
    def again(first: Line, second: Line) -> None:
        first.unread = True
        first.close()
        first.close()

    def too_much(first: Line, second: Line) -> None:
        first.unread = True
        first.close()
        first.drop(b"c" * (MOST_DROPPED + 1))

    assert said(again)[0][-1] == "first is closed"
    assert said(too_much)[0][-1] == "first is cut off"


def test_much_goes_out_at_once_so_that_a_slow_reader_is_noticed() -> None:
    def step(first: Line, second: Line) -> None:
        first.write(b"a")
        first.write(b"b" * MOST_BYTES)
        first.write(b"c")

    much = "first: a" + "b" * MOST_BYTES
    assert said(step) == [[much], [much, "first: c"]]


def test_whoever_has_gone_meanwhile_is_sent_nothing() -> None:
    def gone(first: Any, second: Line) -> None:
        first.write(b"a")
        first._inner.closing = True

    assert said(gone) == [[], []]


def test_an_error_of_one_connection_keeps_nothing_of_the_others_back() -> None:
    told: list[str] = []
    problems: list[BaseException] = []
    turn = Turn()
    broken, whole = (Line(cast("asyncio.Transport", Wire(told, name)), turn) for name in ("broken", "whole"))

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, what: problems.append(what["exception"]))
        broken.write(b"\xff")  # no text, which the wire cannot note
        whole.write(b"a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(run())
    assert told == ["whole: a"]
    assert [type(problem) for problem in problems] == [UnicodeDecodeError]


def test_in_all_else_it_is_the_transport() -> None:
    line: Any = Line(cast("asyncio.Transport", Wire([], "wire")), Turn())
    assert line.get_extra_info("peername") == "peername of wire"
    assert not line.is_closing()
