"""The timeline: whatever happens is one entry, oldest first."""

import pytest

from tests.people import Person
from tests.world import World


def test_an_entry_says_when_what_about_what_by_whom_and_in_which_request(world: World) -> None:
    incident = world.ada.filed()
    world.clock.forward(minutes=1)
    headers = {"X-Request-Id": "from-the-console-7"}
    world.bob.ask("PATCH", "/api/incidents/status", {"incident_id": incident["id"], "status": "open"}, headers=headers)
    first, second = world.ada.timeline_of(incident).entries
    assert list(second) == ["id", "at", "kind", "incident_id", "actor", "changes", "refs", "request_id"]
    assert second == {
        "id": first["id"] + 1,
        "at": "2026-11-23T08:16:30.167Z",
        "kind": "moved",
        "incident_id": incident["id"],
        "actor": {"type": "key", "id": second["actor"]["id"], "name": "bob"},
        "changes": {"status": ["new", "open"]},
        "refs": {},
        "request_id": "from-the-console-7",
    }
    assert (first["kind"], first["changes"], first["actor"]["name"]) == ("filed", {"status": [None, "new"]}, "ada")


def test_the_envelope_is_entries_and_next(world: World) -> None:
    assert list(world.ada.timeline_of(world.ada.filed()).json) == ["entries", "next"]
    assert list(world.ada.timeline().json) == ["entries", "next"]


def test_every_kind_of_change_is_one_entry_in_the_order_in_which_it_happened(world: World) -> None:
    incident = world.ada.filed()
    world.ada.acknowledges(incident)
    world.ada.moves(incident, "in_progress")
    world.ada.edits(incident, description="other words")
    world.ada.takes_back(incident)
    world.ada.moves(incident, "resolved")
    kinds = ["filed", "acknowledged", "moved", "described", "unacknowledged", "moved"]
    answer = world.vera.timeline_of(incident)
    assert answer.kinds == kinds
    numbers = [entry["id"] for entry in answer.entries]
    assert numbers == sorted(set(numbers))
    assert world.vera.timeline().kinds == kinds


def test_a_refusal_is_no_entry(world: World) -> None:
    incident = world.ada.filed(status="closed")
    world.ada.moves(incident, "new")
    world.ada.moves(incident, "closed")
    world.acme.moves(incident, "open")
    world.vera.moves(incident, "open")
    world.ada.files(source="police")
    assert world.ada.timeline().kinds == ["filed"]


def test_who_follows_by_next_skips_nothing(world: World) -> None:
    for _ in range(5):
        world.ada.moves(world.ada.filed(), "open")
    seen, page = [], world.ada.timeline(limit=3)
    while True:
        seen += page.entries
        if page.next is None:
            break
        page = world.ada.timeline(limit=3, after=page.next)
    assert seen == world.ada.timeline().entries
    assert len(seen) == 10


def test_one_incidents_timeline_has_pages_too(world: World) -> None:
    incident = world.ada.filed()
    for status in ("open", "on_hold", "open"):
        world.ada.moves(incident, status)
        world.ada.filed()
    first = world.ada.timeline_of(incident, limit=2)
    last = world.ada.timeline_of(incident, limit=2, after=first.next)
    assert (first.kinds, last.kinds, last.next) == (["filed", "moved"], ["moved", "moved"], None)


def test_a_follower_goes_on_from_the_last_id_that_it_read(world: World) -> None:
    world.ada.filed()
    first = world.ada.timeline()
    assert first.next is None
    last = first.entries[-1]["id"]
    assert world.ada.timeline(after=last).entries == []
    incident = world.ada.filed()
    (entry,) = world.ada.timeline(after=last).entries
    assert (entry["incident_id"], entry["id"] > last) == (incident["id"], True)


def test_from_nothing_on_it_is_everything(world: World) -> None:
    world.ada.filed()
    everything = world.ada.timeline().entries
    assert len(everything) == 1
    for after in ("", "0"):
        assert world.ada.timeline(after=after).entries == everything


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "\0", "MS4x", " 1", "1e3", str(2**63), "9" * 5000])
def test_what_is_no_id_of_an_entry_is_422(world: World, cursor: str) -> None:
    incident = world.ada.filed()
    for answer in (world.ada.timeline(after=cursor), world.ada.timeline_of(incident, after=cursor)):
        assert (answer.status, answer.fields) == (422, ["after"])


def test_what_happens_to_keys_and_partners_is_about_no_incident_and_for_administrators(world: World) -> None:
    before = world.admin.timeline().entries[-1]["id"]  # the cast's keys were made before the curtain rose
    key = world.admin.makes_key(role="partner", partner="initech").json["key"]["id"]
    world.admin.post(f"/api/keys/{key}/rotate")
    world.admin.ask("DELETE", f"/api/keys/{key}")
    page = world.admin.timeline(after=before)
    assert page.kinds == ["partner_created", "key_created", "key_rotated", "key_revoked"]
    assert [entry["incident_id"] for entry in page.entries] == [None] * 4
    assert page.entries[-1]["refs"] == {"key": key}
    assert page.entries[-1]["actor"]["name"] == "first key"
    for person in (world.ada, world.vera, world.probe, world.acme):
        assert person.timeline().entries == []


def test_people_see_the_entries_of_all_incidents_and_the_others_those_of_their_own(world: World) -> None:
    everything = [person.filed()["id"] for person in (world.ada, world.probe, world.acme, world.globex)]

    def seen(person: Person) -> list[int]:
        return [entry["incident_id"] for entry in person.timeline().entries]

    assert seen(world.ada) == seen(world.vera) == everything
    assert seen(world.probe) == everything[1:2]
    assert seen(world.acme) == everything[2:3]
    assert seen(world.globex) == everything[3:]


def test_a_partner_sees_what_sort_of_actor_it_was_and_no_name(world: World) -> None:
    incident = world.acme.filed()
    world.ada.edits(incident, description="a private remark")
    for page in (world.acme.timeline_of(incident), world.acme.timeline()):
        assert [entry["actor"] for entry in page.entries] == [{"type": "key", "id": None, "name": None}] * 2
        assert [(entry["refs"], entry["request_id"]) for entry in page.entries] == [({}, None)] * 2


def test_an_entry_holds_no_words_of_anybody(world: World) -> None:
    incident = world.ada.filed("MARKER one")
    world.ada.edits(incident, description="MARKER two")
    assert b"MARKER" not in world.admin.timeline(limit=1000).body
