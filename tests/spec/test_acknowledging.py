"""Taking note: `POST` and `DELETE /api/incidents/{id}/acknowledge`. A fact beside the status."""

import pytest

from tests.world import World


def test_acknowledging_says_when_and_by_whom_and_leaves_the_status(world: World) -> None:
    incident = world.ada.filed()
    world.clock.forward(minutes=2)
    answer = world.bob.acknowledges(incident)
    assert answer.status == 200
    assert answer.incident["acknowledged_at"] == "2026-11-23T08:17:30.167Z"
    assert (answer.incident["status"], answer.incident["version"]) == ("new", 2)
    entry = world.ada.timeline_of(incident).entries[-1]
    assert (entry["kind"], entry["actor"]["name"]) == ("acknowledged", "bob")
    assert answer.incident["acknowledged_by"] == entry["actor"]["id"]


@pytest.mark.parametrize("body", [None, b"", b"{}", b" \n"])
def test_acknowledging_takes_an_empty_body_or_none(world: World, body: bytes | None) -> None:
    incident = world.ada.filed()
    assert world.ada.post(f"/api/incidents/{incident['id']}/acknowledge", body).status == 200


def test_acknowledging_twice_is_acknowledging_once(world: World) -> None:
    incident = world.ada.filed()
    first = world.ada.acknowledges(incident).incident
    world.clock.forward(minutes=2)
    assert world.bob.acknowledges(incident).incident == first
    assert world.ada.timeline_of(incident).kinds == ["filed", "acknowledged"]


def test_taking_back_clears_both_fields(world: World) -> None:
    incident = world.ada.filed()
    world.ada.acknowledges(incident)
    answer = world.bob.takes_back(incident)
    assert (answer.status, answer.headers["etag"]) == (200, '"3"')
    assert (answer.incident["acknowledged_at"], answer.incident["acknowledged_by"]) == (None, None)
    assert world.ada.timeline_of(incident).kinds == ["filed", "acknowledged", "unacknowledged"]


def test_taking_back_what_is_not_there_changes_nothing(world: World) -> None:
    incident = world.ada.filed()
    assert world.ada.takes_back(incident).incident == incident
    assert world.ada.timeline_of(incident).kinds == ["filed"]


def test_after_it_was_taken_back_a_move_to_in_progress_acknowledges_again(world: World) -> None:
    incident = world.ada.filed(status="in_progress")
    world.ada.takes_back(incident)
    world.ada.moves(incident, "open")
    assert world.ada.moves(incident, "in_progress").incident["acknowledged_at"] is not None


def test_a_monitoring_key_acknowledges_its_own_and_a_partner_none(world: World) -> None:
    assert world.probe.acknowledges(world.probe.filed()).status == 200
    assert world.probe.acknowledges(world.ada.filed()).problem == "not-found"
    assert world.acme.acknowledges(world.acme.filed()).problem == "not-allowed"


def test_a_partner_sees_that_but_not_who(world: World) -> None:
    incident = world.acme.filed()
    world.ada.acknowledges(incident)
    seen = world.acme.sees(incident).incident
    assert seen["acknowledged_at"] is not None
    assert seen["acknowledged_by"] is None
