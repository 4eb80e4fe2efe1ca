"""One incident: `GET` and `PATCH /api/incidents/{id}`, and the words that it had before."""

import pytest

from tests.world import World

WRONG_IDS = ["0", "-1", "1.0", "one", "1e3", "+1", "%201", "%D9%A3", "9" * 40, str(2**63), "0x1", "null"]


def test_reading_one(world: World) -> None:
    incident = world.ada.filed()
    answer = world.vera.sees(incident)
    assert (answer.status, answer.incident) == (200, incident)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store"


def test_reading_is_never_answered_with_304(world: World) -> None:
    incident = world.ada.filed()
    answer = world.ada.ask("GET", f"/api/incidents/{incident['id']}", headers={"If-None-Match": '"1"'})
    assert answer.status == 200


@pytest.mark.parametrize("id", [1, 2**63 - 1])
def test_an_unknown_id_is_404(world: World, id: int) -> None:
    assert world.ada.sees(id).problem == "not-found"
    assert world.ada.edits(id, status="open").problem == "not-found"
    assert world.ada.acknowledges(id).problem == "not-found"
    assert world.ada.timeline_of(id).problem == "not-found"
    assert world.ada.descriptions_of(id).problem == "not-found"


@pytest.mark.parametrize("id", WRONG_IDS)
def test_an_id_that_is_none_is_422_and_names_the_field(world: World, id: str) -> None:
    for answer in (
        world.ada.sees(id),
        world.ada.edits(id, status="open"),
        world.ada.acknowledges(id),
        world.ada.takes_back(id),
        world.ada.timeline_of(id),
        world.ada.descriptions_of(id),
    ):
        assert (answer.status, answer.fields) == (422, ["incident_id"])
    key = world.admin.get(f"/api/keys/{id}")
    assert (key.status, key.fields) == (422, ["key_id"])


@pytest.mark.parametrize("id", [0, -1, 2**63, 2**64, 10**40, -(10**40), "1", 1.5, True, None])
def test_an_id_in_a_body_that_is_none_is_422_likewise(world: World, id: object) -> None:
    answer = world.ada.ask("PATCH", "/api/incidents/status", {"incident_id": id, "status": "open"})
    assert (answer.status, answer.fields) == (422, ["incident_id"])


def test_editing_the_description_keeps_the_words_before(world: World) -> None:
    incident = world.ada.filed("Scooter offline")
    world.clock.forward(minutes=1)
    edited = world.bob.edits(incident, description="Scooter 875643 offline").incident
    assert (edited["description"], edited["version"]) == ("Scooter 875643 offline", 2)
    assert edited["summary"] == "Scooter 875643 offline"
    (former,) = world.vera.descriptions_of(incident).json["descriptions"]
    assert former == {"id": former["id"], "description": "Scooter offline", "replaced_at": "2026-11-23T08:16:30.167Z"}
    entry = world.ada.timeline_of(incident).entries[-1]
    assert (entry["kind"], entry["changes"]) == ("described", {})
    assert entry["refs"] == {"former_description": former["id"]}


def test_editing_status_and_description_at_once_is_one_version_and_two_entries(world: World) -> None:
    incident = world.ada.filed()
    edited = world.ada.edits(incident, status="open", description="other words").incident
    assert (edited["status"], edited["description"], edited["version"]) == ("open", "other words", 2)
    assert world.ada.timeline_of(incident).kinds == ["filed", "moved", "described"]


def test_an_edit_is_done_whole_or_not_at_all(world: World) -> None:
    incident = world.ada.filed(status="closed")
    answer = world.ada.edits(incident, description="other words", status="new")
    assert answer.problem == "refused-move"
    assert world.ada.sees(incident).incident == incident
    assert world.ada.descriptions_of(incident).json == {"descriptions": []}
    assert world.ada.timeline_of(incident).kinds == ["filed"]


def test_an_edit_that_changes_nothing_is_no_edit(world: World) -> None:
    incident = world.ada.filed("as it was")
    assert world.ada.edits(incident).incident == incident
    assert world.ada.edits(incident, description="as it was", status="new").incident == incident
    assert world.ada.edits(incident, description=None, status=None).incident == incident
    assert world.ada.timeline_of(incident).kinds == ["filed"]


@pytest.mark.parametrize("field", ["id", "created_at", "source", "version", "acknowledged_at", "partner"])
def test_other_fields_cannot_be_edited(world: World, field: str) -> None:
    incident = world.ada.filed()
    answer = world.ada.edits(incident, **{field: "1"})
    assert (answer.status, answer.fields) == (422, [field])
    assert world.ada.sees(incident).incident == incident


def test_a_partner_describes_its_own_more_and_never_overwrites_anothers_words(world: World) -> None:
    mine = world.acme.filed("Scooter 12")
    assert (
        world.acme.edits(mine, description="Scooter 12, left wheel").incident["description"] == "Scooter 12, left wheel"
    )
    assert world.ada.sees(mine).incident["description"] == "Scooter 12, left wheel"
    world.ada.edits(mine, description="Wheel lost; crew is out")
    assert (
        world.acme.edits(mine, description="it is the right wheel").incident["description"] == "it is the right wheel"
    )
    seen = world.ada.sees(mine).incident
    assert (seen["description"], seen["partner_words"]) == ("Wheel lost; crew is out", "it is the right wheel")


def test_a_monitoring_key_does_not_describe(world: World) -> None:
    assert world.probe.edits(world.probe.filed(), description="x").problem == "not-allowed"


def test_former_words_are_not_for_partners(world: World) -> None:
    mine = world.acme.filed("Scooter 12")
    world.ada.edits(mine, description="a private remark")
    world.ada.edits(mine, description="another")
    assert world.acme.descriptions_of(mine).json == {"descriptions": []}
    assert len(world.ada.descriptions_of(mine).json["descriptions"]) == 2
