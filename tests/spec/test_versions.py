"""`ETag` and `If-Match`: nobody overwrites what somebody else has just changed."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.people import Answer
from tests.world import World

Change = Callable[[World, int, str | None], Answer]

CHANGES: dict[str, Change] = {
    "PATCH status": lambda world, one, match: world.ada.moves(one, "open", if_match=match),
    "PUT status": lambda world, one, match: world.ada.moves(one, "open", by="PUT", if_match=match),
    "PATCH": lambda world, one, match: world.ada.edits(one, description="new", if_match=match),
    "acknowledge": lambda world, one, match: world.ada.acknowledges(one, if_match=match),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


@every_change
def test_the_version_that_was_read_is_good(world: World, change: Change) -> None:
    incident = world.ada.filed()
    answer = change(world, incident["id"], world.ada.sees(incident).headers["etag"])
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')


@every_change
def test_a_version_that_is_past_is_412_and_changes_nothing(world: World, change: Change) -> None:
    incident = world.ada.filed()
    before = world.bob.moves(incident, "in_progress").incident
    world.bob.takes_back(incident)
    before = world.ada.sees(incident).incident
    answer = change(world, incident["id"], '"1"')
    assert (answer.status, answer.problem) == (412, "version-mismatch")
    assert "version 3" in answer.detail
    assert world.ada.sees(incident).incident == before


@every_change
@pytest.mark.parametrize("match", [None, "*", " * ", '"1"', '"7", "1"', '"7","1","x"', 'W/"1", "1"'])
def test_absent_a_star_or_a_list_with_the_version_in_it_are_good(
    world: World, change: Change, match: str | None
) -> None:
    assert change(world, world.ada.filed()["id"], match).status == 200


@every_change
@pytest.mark.parametrize("match", ['W/"1"', '"7"', '"one"', '""', '"01x"', '"-1"', f'"{10**40}"', '"\xb2"'])
def test_a_weak_one_or_another_never_matches(world: World, change: Change, match: str) -> None:
    if match == '"\xb2"':
        assert change(world, world.ada.filed()["id"], match).status in (412, 422)
    else:
        assert change(world, world.ada.filed()["id"], match).problem == "version-mismatch"


@pytest.mark.parametrize("match", ["1", "", '"1', "1 2", '"1" "2"', 'w/"1"', '*, "1"', '"1",'])
def test_a_malformed_one_is_422_and_names_the_header(world: World, match: str) -> None:
    incident = world.ada.filed()
    answer = world.ada.moves(incident, "open", if_match=match)
    assert (answer.status, answer.fields) == (422, ["If-Match"])
    assert world.ada.sees(incident).incident == incident


def test_taking_an_acknowledgement_back_asks_for_the_version_too(world: World) -> None:
    incident = world.ada.filed()
    world.ada.acknowledges(incident)
    assert world.ada.takes_back(incident, if_match='"1"').problem == "version-mismatch"
    assert world.ada.takes_back(incident, if_match='"2"').status == 200


def test_an_unknown_incident_is_404_whatever_the_version(world: World) -> None:
    assert world.ada.moves(404, "open", if_match='"1"').problem == "not-found"
    assert world.acme.edits(world.ada.filed(), description="x", if_match='"7"').problem == "not-found"


def test_of_two_who_read_the_same_version_one_wins(world: World) -> None:
    incident = world.ada.filed()
    calls = [lambda: world.ada.moves(incident, "open", if_match='"1"')]
    calls += [lambda: world.bob.moves(incident, "on_hold", if_match='"1"')]
    assert [answer.status for answer in world.together(calls)] == [200, 412]
    assert world.ada.sees(incident).incident["status"] == "open"


def test_the_version_rises_by_one_with_every_change_and_only_then(world: World) -> None:
    incident = world.ada.filed()
    seen: list[Any] = [incident["version"]]
    changes: list[Callable[[], Answer]] = [
        lambda: world.ada.moves(incident, "open"),
        lambda: world.ada.moves(incident, "open"),
        lambda: world.ada.acknowledges(incident),
        lambda: world.ada.acknowledges(incident),
        lambda: world.ada.edits(incident, description="x", status="closed"),
        lambda: world.ada.moves(incident, "new"),
    ]
    for change in changes:
        change()
        seen.append(world.ada.sees(incident).incident["version"])
    assert seen == [1, 2, 2, 3, 3, 4, 4]
