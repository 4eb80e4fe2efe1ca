"""Changing the status: `PATCH` and `PUT /api/incidents/status`. The whole matrix stands in `tests/rules`."""

import pytest

from tests.world import World

MOVES = ["PATCH", "PUT"]


@pytest.mark.parametrize("method", MOVES)
@pytest.mark.parametrize("path", ["/api/incidents/status", "/incidents/status", "/api/incidents/status/"])
def test_a_move_answers_200_with_the_incident_as_it_now_is(world: World, method: str, path: str) -> None:
    incident = world.ada.filed()
    world.clock.forward(minutes=5)
    answer = world.ada.ask(method, path, {"incident_id": incident["id"], "status": "in_progress"})
    assert (answer.status, answer.incident["status"]) == (200, "in_progress")
    assert answer.incident["version"] == 2
    assert answer.headers["etag"] == '"2"'
    assert answer.incident["updated_at"] == "2026-11-23T08:20:30.167Z"
    assert world.ada.sees(incident).incident == answer.incident


@pytest.mark.parametrize("method", MOVES)
def test_an_unknown_id_is_404(world: World, method: str) -> None:
    answer = world.ada.moves(404, "open", by=method)
    assert (answer.status, answer.problem) == (404, "not-found")


@pytest.mark.parametrize(
    ("status", "to", "allowed"),
    [
        ("open", "new", ["in_progress", "on_hold", "resolved", "closed"]),
        ("resolved", "new", ["open", "in_progress", "on_hold", "closed"]),
        ("closed", "resolved", ["open", "in_progress"]),
        ("closed", "on_hold", ["open", "in_progress"]),
    ],
)
def test_a_refused_move_is_409_and_names_the_moves_that_are_allowed(
    world: World, status: str, to: str, allowed: list[str]
) -> None:
    incident = world.ada.filed(status=status)
    answer = world.ada.moves(incident, to)
    assert (answer.status, answer.problem) == (409, "refused-move")
    assert answer.json["allowed"] == allowed
    for name in allowed:
        assert name in answer.detail
    assert world.ada.sees(incident).incident == incident
    assert world.ada.timeline_of(incident).kinds == ["filed"]


def test_an_unknown_status_is_422_and_names_the_right_ones(world: World) -> None:
    answer = world.ada.moves(world.ada.filed(), "done")
    assert (answer.status, answer.fields) == (422, ["status"])
    assert "resolved" in answer.detail


def test_a_move_to_the_status_that_it_has_is_no_move(world: World) -> None:
    incident = world.ada.filed(status="closed")
    world.clock.forward(minutes=5)
    answer = world.bob.moves(incident, "closed")
    assert (answer.status, answer.incident) == (200, incident)
    assert world.ada.timeline_of(incident).kinds == ["filed"]


@pytest.mark.parametrize(("status", "to"), [("resolved", "open"), ("resolved", "on_hold"), ("closed", "in_progress")])
def test_a_way_back_out_of_resolved_or_closed_is_a_reopening_and_is_counted(world: World, status: str, to: str) -> None:
    incident = world.ada.filed(status=status)
    reopened = world.ada.moves(incident, to).incident
    assert reopened["reopened_count"] == 1
    assert (reopened["resolved_at"], reopened["closed_at"]) == (None, None)
    assert world.ada.timeline_of(incident).entries[-1]["changes"] == {"status": [status, to], "reopened": [0, 1]}
    world.ada.moves(incident, "resolved")
    assert world.ada.moves(incident, "open").incident["reopened_count"] == 2


def test_closing_what_was_resolved_keeps_the_time_at_which_it_was_resolved(world: World) -> None:
    incident = world.ada.filed()
    resolved = world.ada.moves(incident, "resolved").incident
    world.clock.forward(hours=1)
    closed = world.ada.moves(incident, "closed").incident
    assert closed["resolved_at"] == resolved["resolved_at"] == "2026-11-23T08:15:30.167Z"
    assert closed["closed_at"] == "2026-11-23T09:15:30.167Z"


def test_a_persons_first_move_to_in_progress_acknowledges(world: World) -> None:
    incident = world.probe.filed()
    world.clock.forward(minutes=3)
    moved = world.ada.moves(incident, "in_progress").incident
    assert moved["acknowledged_at"] == "2026-11-23T08:18:30.167Z"
    world.clock.forward(minutes=3)
    world.bob.moves(incident, "open")
    again = world.bob.moves(incident, "in_progress").incident
    assert again["acknowledged_at"] == moved["acknowledged_at"]
    assert again["acknowledged_by"] == moved["acknowledged_by"] is not None


def test_a_programs_move_to_in_progress_does_not_acknowledge(world: World) -> None:
    incident = world.probe.filed()
    assert world.probe.moves(incident, "in_progress").incident["acknowledged_at"] is None


def test_no_other_move_acknowledges(world: World) -> None:
    incident = world.ada.filed()
    for status in ("open", "on_hold", "resolved", "closed", "open"):
        assert world.ada.moves(incident, status).incident["acknowledged_at"] is None, status


def test_a_monitoring_key_moves_and_resolves_its_own(world: World) -> None:
    incident = world.probe.filed()
    assert world.probe.moves(incident, "resolved").incident["status"] == "resolved"
    assert world.probe.moves(world.ada.filed(), "resolved").problem == "not-found"


def test_a_partner_reopens_its_own_and_makes_no_other_move(world: World) -> None:
    incident = world.acme.filed()
    for status in ("open", "in_progress", "on_hold", "resolved", "closed"):
        assert world.acme.moves(incident, status).problem == "not-allowed"
    world.ada.moves(incident, "resolved")
    assert world.acme.moves(incident, "closed").problem == "not-allowed"
    reopened = world.acme.moves(incident, "open").incident
    assert (reopened["status"], reopened["reopened_count"]) == ("open", 1)
    assert world.globex.moves(incident, "open").problem == "not-found"
