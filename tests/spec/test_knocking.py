"""Who knocks: the header `x-api-key`."""

import pytest

from tests.world import World

DOORS = ["/api/incidents", "/incidents", "/api/incidents/1", "/api/timeline", "/api/keys", "/api/partners"]


@pytest.mark.parametrize("door", DOORS)
def test_without_a_key_it_is_401_and_says_which_header_to_send(world: World, door: str) -> None:
    answer = world.stranger.get(door)
    assert (answer.status, answer.problem) == (401, "no-key")
    assert "x-api-key" in answer.detail
    assert "x-api-key" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_key_is_403_and_says_whom_to_ask(world: World, door: str) -> None:
    answer = world.ada.with_key("nonsense").get(door)
    assert (answer.status, answer.problem) == (403, "wrong-key")
    assert "administrator" in answer.detail


def test_an_empty_key_is_none(world: World) -> None:
    assert world.ada.with_key("").lists().problem == "no-key"
    assert world.ada.with_key("   ").lists().problem == "no-key"


def test_a_key_is_good_only_whole(world: World) -> None:
    assert world.ada.key is not None
    assert world.bob.key is not None
    _, number, secret = world.ada.key.split("_", 2)
    others = world.bob.key.split("_", 2)[2]
    spoilt = [f"tcs_{number}_{others}", f"tcs_{number}_{secret[:-1]}", f"tcs_999_{secret}", f"{world.ada.key} x"]
    spoilt += [f"tcs_{2**64}_{secret}", "tcs_", "\xff", "tcs_1_" + "x" * 4000, world.ada.key.upper()]
    for key in spoilt:
        assert world.ada.with_key(key).lists().problem == "wrong-key", key


def test_neither_key_nor_secret_stands_in_an_answer(world: World) -> None:
    key = "tcs_1_" + "s" * 43
    assert key.encode() not in world.ada.with_key(key).lists().body


def test_a_refused_request_stores_nothing(world: World) -> None:
    assert world.stranger.files().status == 401
    assert world.ada.with_key("nonsense").files().status == 403
    assert world.ada.lists().ids == []


def test_the_key_from_the_environment_is_an_administrators(world: World) -> None:
    world.restarts(api_key="your_api_key_here")
    outside = world.stranger.with_key("your_api_key_here")
    assert outside.get("/api/keys").status == 200
    incident = outside.filed()
    (entry,) = world.ada.timeline_of(incident).entries
    assert entry["actor"] == {"type": "key", "id": None, "name": "from the environment"}


def test_the_key_from_the_environment_dies_when_it_is_taken_away(world: World) -> None:
    world.restarts(api_key="your_api_key_here")
    world.restarts()
    assert world.stranger.with_key("your_api_key_here").lists().problem == "wrong-key"
