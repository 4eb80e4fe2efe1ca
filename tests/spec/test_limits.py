"""How much and how often: sizes of bodies, requests a second."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.people import Answer
from tests.senders import Generic
from tests.world import World
from tocsin.intake.doors import Doors
from tocsin.kit import errors
from tocsin.kit.shared import Shared

MIB = 1024 * 1024


def head(world: World, path: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: tocsin", f"x-api-key: {world.ada.key}", "Content-Type: application/json"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


@pytest.mark.parametrize(("path", "most"), [("/api/incidents", MIB), ("/api/incidents/batch", 16 * MIB)])
def test_a_body_that_is_announced_too_large_is_413_before_it_is_read(world: World, path: str, most: int) -> None:
    answer = world.raw(head(world, path, f"Content-Length: {most + 1}"))
    assert (answer.status, answer.problem) == (413, "too-large")
    assert f"{most:,}" in answer.detail
    assert answer.headers["connection"] == "close"


def test_a_body_in_chunks_is_413_as_soon_as_it_is_too_large(world: World) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    begun = head(world, "/api/incidents", "Transfer-Encoding: chunked") + chunk * 16
    answer = world.raw(begun + b"1\r\n \r\n")  # one byte over, and no end
    assert (answer.status, answer.problem) == (413, "too-large")
    assert world.ada.lists().ids == []


def test_a_body_of_exactly_the_limit_is_read(world: World) -> None:
    draft = b'{"description": "x", "source": "operator"}'
    assert world.ada.post("/api/incidents", draft.ljust(MIB)).status == 201


def test_a_body_in_chunks_is_as_good_as_any(world: World) -> None:
    request = head(world, "/api/incidents", "Transfer-Encoding: chunked", "Connection: close")
    answer = world.raw(request + b'14\r\n{"description": "x",\r\n16\r\n "source": "operator"}\r\n0\r\n\r\n')
    assert answer.status == 201


def test_a_batch_may_be_larger_than_a_single_incident(world: World) -> None:
    drafts = [{"description": "ж" * 60_000, "source": "operator"}] * 10
    assert len(world.ada.files_many(drafts).json["results"]) == 10


def test_a_key_that_asks_too_often_is_429_and_is_told_when_to_come_back(world: World) -> None:
    world.restarts(rate_limit=3)
    assert [world.ada.lists().status for _ in range(3)] == [200, 200, 200]
    answer = world.ada.files()
    assert (answer.status, answer.problem) == (429, "too-many-requests")
    assert answer.headers["retry-after"] == "1"
    world.clock.forward(seconds=1)
    assert world.ada.lists().ids == []


def test_every_answer_says_what_is_left(world: World) -> None:
    world.restarts(rate_limit=3)
    answers = [world.ada.lists(), world.ada.sees(404), world.ada.post("/api/incidents", b"x"), world.ada.lists()]
    assert [answer.status for answer in answers] == [200, 404, 400, 429]
    assert [answer.headers["ratelimit"] for answer in answers] == [f'"key";r={left};t=1' for left in (2, 1, 0, 0)]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"key";q=3;w=1'}


def test_each_key_has_a_limit_of_its_own(world: World) -> None:
    world.restarts(rate_limit=1)
    world.ada.lists()
    assert world.ada.lists().status == 429
    assert world.bob.lists().status == 200


def test_what_was_used_up_comes_back_evenly(world: World) -> None:
    world.restarts(rate_limit=10)
    assert [world.ada.lists().status for _ in range(11)] == [200] * 10 + [429]
    world.clock.forward(milliseconds=250)
    assert [world.ada.lists().status for _ in range(3)] == [200, 200, 429]


def test_a_refused_request_costs_nothing(world: World) -> None:
    world.restarts(rate_limit=1)
    assert [world.ada.lists().status for _ in range(5)] == [200, 429, 429, 429, 429]
    world.clock.forward(seconds=1)
    assert world.ada.lists().status == 200


def test_without_a_limit_nothing_is_counted(world: World) -> None:
    world.restarts(rate_limit=0)
    answers = [world.ada.lists() for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert answers[0].headers["ratelimit"] is None


def test_an_address_that_tries_too_often_without_a_good_key_is_429(world: World) -> None:
    world.restarts(address_rate_limit=2)
    tries: list[Answer] = [world.stranger.lists(), world.ada.with_key("nonsense").lists(), world.stranger.lists()]
    assert [answer.status for answer in tries] == [401, 403, 429]
    assert world.ada.with_key("nonsense").lists().headers["retry-after"] == "1"
    assert world.ada.lists().status == 200, "who has a good key must not suffer from a neighbour"
    world.clock.forward(seconds=1)
    assert world.stranger.lists().status == 401


def test_who_was_just_given_a_key_is_no_stranger(world: World) -> None:
    world.restarts(address_rate_limit=1)
    admin = world.admin
    made = admin.post("/api/keys", {"name": "new", "role": "operator"}).json
    machine = Generic(admin)
    rotated = admin.post(f"/api/integrations/{machine.id}/rotate", {"overlap_seconds": 60}).json
    assert [world.stranger.lists().status for _ in range(2)] == [401, 429]
    assert admin.with_key(made["secret"]).lists().status == 200
    assert machine.says({"id": 1, "title": "t"}).status == 200
    machine.key = rotated["key"]
    assert machine.says({"id": 1, "title": "t"}).status == 200


def test_many_who_ask_at_once_are_told_by_one_look_that_begins_after_they_asked() -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def look() -> None:
        done.append("begins")
        await gate.wait()
        done.append("ends")
        if len(done) > 4:
            raise errors.Unavailable("It is away.")

    async def ask() -> list[Any]:
        shared = Shared(look)
        first = [asyncio.ensure_future(shared()) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == ["begins"]
        second = [asyncio.ensure_future(shared()) for _ in range(5)]
        await asyncio.sleep(0)
        first[0].cancel()
        gate.set()
        answers = await asyncio.gather(*first, *second, return_exceptions=True)
        assert done == ["begins", "ends"] * 2
        return [*answers, *await asyncio.gather(shared(), shared(), return_exceptions=True)]

    answers = asyncio.run(ask())
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:10] == [None] * 9
    assert [type(answer) for answer in answers[10:]] == [errors.Unavailable] * 2


def test_many_who_come_at_once_with_a_key_that_another_process_made_are_no_strangers(world: World) -> None:
    world.restarts(address_rate_limit=2)
    machine = Generic(world.admin)
    made = world.admin.post("/api/keys", {"name": "new", "role": "operator"}).json["secret"]
    service = world.service
    service.part(Doors)._by_hash.clear()
    service.part(Doors)._version = -1
    service.directory._keys.clear()
    service.directory._version = -1
    calls: list[Callable[[], Answer]] = [partial(machine.says, {"id": number, "title": "t"}) for number in range(20)]
    answers = world.at_once([*calls, *[world.stranger.with_key(made).lists] * 20])
    assert {answer.status for answer in answers} == {200}


def test_pages_and_probes_need_no_key_and_have_no_limit(world: World) -> None:
    world.restarts(address_rate_limit=1)
    assert {world.stranger.get("/livez").status for _ in range(5)} == {200}


def test_limits_are_no_entry_and_no_line_of_the_log(world: World) -> None:
    world.restarts(rate_limit=1)
    before = world.admin.timeline().entries
    for _ in range(5):
        world.ada.lists()
    world.clock.forward(seconds=1)
    levels: set[Any] = {line["level"] for line in world.log.events("request")}
    assert (levels, world.admin.timeline().entries) == ({"info"}, before)
