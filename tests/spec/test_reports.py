"""Reports: one trouble is one incident, however many reports come in, and every report says what came of it."""

from typing import Any

import pytest

from tests.world import World

KEY = {"dedup_key": "pos/12"}


def test_a_report_opens_an_incident(world: World) -> None:
    answer = world.probe.reports("POS 12 is down", severity="critical", asset="pos-12", labels={"city": "Kazan"}, **KEY)
    assert answer.status == 201
    assert (answer.report["outcome"], answer.report["reason"]) == ("opened", "nothing active had this dedup key")
    incident = world.ada.sees(answer.report["incident_id"]).incident
    assert (incident["summary"], incident["status"], incident["source"]) == ("POS 12 is down", "new", "monitoring")
    assert (incident["severity"], incident["asset"], incident["labels"]) == ("critical", "pos-12", {"city": "Kazan"})
    assert (incident["reports_count"], incident["last_reported_at"]) == (1, incident["created_at"])
    entry = world.ada.timeline_of(incident).entries[0]
    assert (entry["kind"], entry["refs"]) == ("filed", {"report": answer.report["id"]})


def test_a_second_report_joins_it_and_is_counted_without_a_new_version(world: World) -> None:
    first = world.probe.reports("POS 12 is down", **KEY).report
    world.clock.forward(minutes=5)
    again = world.probe.reports("POS 12 is still down", **KEY).report
    assert (again["outcome"], again["incident_id"]) == ("joined", first["incident_id"])
    incident = world.ada.sees(first["incident_id"]).incident
    assert (incident["summary"], incident["version"]) == ("POS 12 is down", 1)
    assert (incident["reports_count"], incident["last_reported_at"]) == (2, "2026-11-23T08:20:30.167Z")
    last = world.ada.timeline_of(incident).entries[-1]
    assert (last["kind"], last["changes"]) == ("reported", {"reports": [1, 2]})


def test_reports_of_one_batch_are_one_entry_with_the_count(world: World) -> None:
    first = world.probe.reports("POS 12 is down", **KEY).report
    world.together([lambda: world.probe.reports("again", **KEY) for _ in range(9)])
    entries = world.ada.timeline_of(first["incident_id"]).entries
    assert [(entry["kind"], entry["changes"].get("reports")) for entry in entries] == [
        ("filed", None),
        ("reported", [1, 10]),
    ]
    assert len(world.ada.reports_of(first["incident_id"]).reports) == 10


def test_acknowledge_and_resolve_find_it_by_its_key(world: World) -> None:
    id = world.probe.reports("POS 12 is down", **KEY).report["incident_id"]
    assert world.probe.reports(action="acknowledge", **KEY).report["outcome"] == "acknowledged"
    assert world.probe.reports(action="acknowledge", **KEY).report["outcome"] == "nothing"
    world.clock.forward(minutes=1)
    assert world.probe.reports(action="resolve", **KEY).report["outcome"] == "resolved"
    incident = world.ada.sees(id).incident
    assert (incident["status"], incident["resolved_at"]) == ("resolved", "2026-11-23T08:16:30.167Z")
    assert world.ada.timeline_of(id).kinds == ["filed", "acknowledged", "moved"]


def test_a_trigger_after_the_end_opens_a_new_one(world: World) -> None:
    first = world.probe.reports("POS 12 is down", **KEY).report
    world.probe.reports(action="resolve", **KEY)
    second = world.probe.reports("POS 12 is down", **KEY).report
    assert second["outcome"] == "opened"
    assert second["incident_id"] > first["incident_id"]


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
def test_what_concerns_nothing_is_accepted_and_logged(world: World, action: str) -> None:
    answer = world.probe.reports(action=action, **KEY)
    assert answer.status == 201
    assert answer.report["outcome"] == "nothing"
    assert answer.report["incident_id"] is None
    kept = world.admin.get(f"/api/reports/{answer.report['id']}")
    assert kept.report["reason"] == "no active incident has this dedup key"
    assert world.ada.lists().incidents == []


def test_the_same_key_of_another_owner_is_another_trouble(world: World) -> None:
    ours = world.probe.reports("POS 12 is down", **KEY).report
    other = world.newcomer("monitoring", "other probe").reports("POS 12 is down", **KEY).report
    assert other["outcome"] == "opened"
    assert other["incident_id"] != ours["incident_id"]


def test_without_a_key_each_report_is_its_own_trouble(world: World) -> None:
    assert world.probe.reports("one").report["outcome"] == "opened"
    assert world.probe.reports("one").report["outcome"] == "opened"


def test_reports_raise_the_severity_and_only_people_lower_it(world: World) -> None:
    id = world.probe.reports("POS 12 is slow", severity="low", **KEY).report["incident_id"]
    world.probe.reports("POS 12 is down", severity="critical", **KEY)
    world.probe.reports("POS 12 is slow", severity="info", **KEY)
    incident = world.ada.sees(id).incident
    assert (incident["severity"], incident["version"], incident["reports_count"]) == ("critical", 2, 3)
    assert world.probe.edits(id, severity="low").problem == "not-allowed"
    assert world.ada.edits(id, severity="low").incident["severity"] == "low"
    assert world.ada.timeline_of(id).entries[-1]["changes"] == {"severity": ["critical", "low"]}


def test_one_batch_may_hold_a_whole_life(world: World) -> None:
    answers = world.together(
        [
            lambda: world.probe.reports("first", **KEY),
            lambda: world.probe.reports("again", **KEY),
            lambda: world.probe.reports(action="resolve", **KEY),
            lambda: world.probe.reports("second", **KEY),
        ]
    )
    assert [answer.report["outcome"] for answer in answers] == ["opened", "joined", "resolved", "opened"]
    first, second = answers[0].report["incident_id"], answers[3].report["incident_id"]
    assert first != second
    assert world.ada.timeline_of(first).kinds == ["filed", "reported", "moved"]
    assert world.ada.sees(first).incident["status"] == "resolved"
    assert world.ada.sees(second).incident["status"] == "new"


def test_an_end_and_a_new_beginning_in_one_batch_cost_the_others_nothing(world: World) -> None:
    """The database must not be asked for two active incidents of one trouble, or it refuses the whole batch."""
    machine = world.alertmanager
    machine.group([machine.alert("Disk", "firing", "Full"), machine.alert("Door", "firing", "Open")])
    door, disk = world.ada.lists().ids
    again = [("Disk", "resolved"), ("Door", "firing"), ("Disk", "firing"), ("Door", "firing")]
    machine.group([machine.alert(name, status, "again") for name, status in again])
    assert world.ada.timeline_of(disk).kinds == ["filed", "moved"]
    entries = world.ada.timeline_of(door).entries
    assert [(each["kind"], each["changes"].get("reports")) for each in entries] == [
        ("filed", None),
        ("reported", [1, 3]),
    ]
    assert [each["status"] for each in world.ada.lists().incidents] == ["new", "new", "resolved"]


def test_a_reopening_gives_way_to_the_one_that_is_active(world: World) -> None:
    first = world.probe.reports("POS 12 is down", **KEY).report["incident_id"]
    world.probe.reports(action="resolve", **KEY)
    second = world.probe.reports("POS 12 is down", **KEY).report["incident_id"]
    refused = world.ada.moves(first, "open")
    assert refused.problem == "refused-move"
    assert f"Incident {second} is active for the same trouble" in refused.detail
    world.ada.moves(second, "closed")
    assert world.ada.moves(first, "open").status == 200
    assert world.probe.reports("POS 12 is down", **KEY).report["incident_id"] == first


def test_two_reopenings_at_once_are_not_both_granted(world: World) -> None:
    first = world.probe.reports("POS 12 is down", **KEY).report["incident_id"]
    world.probe.reports(action="resolve", **KEY)
    second = world.probe.reports("POS 12 is down", **KEY).report["incident_id"]
    world.probe.reports(action="resolve", **KEY)
    answers = world.together([lambda: world.ada.moves(first, "open"), lambda: world.bob.moves(second, "open")])
    assert sorted(answer.status for answer in answers) == [200, 409]


def test_a_partner_reports_for_its_own_company(world: World) -> None:
    id = world.acme.reports("The export failed", dedup_key="night").report["incident_id"]
    mine = world.acme.sees(id).incident
    assert (mine["source"], mine["partner"], mine["summary"]) == ("partner", "acme", "The export failed")
    assert (mine["dedup_key"], mine["labels"], mine["reports_count"]) == (None, {}, None)
    assert world.globex.sees(id).problem == "not-found"
    assert world.acme.reports_of(id).problem == "not-allowed"


def test_a_repeated_idempotency_key_reports_once(world: World) -> None:
    first = world.probe.reports("POS 12 is down", once="a", **KEY)
    again = world.probe.reports("POS 12 is down", once="a", **KEY)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.report == first.report
    assert world.ada.sees(first.report["incident_id"]).incident["reports_count"] == 1


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({}, "summary"),
        ({"action": "resolve"}, "dedup_key"),
        ({"action": "shout", "summary": "a"}, "action"),
        ({"summary": "a", "dedup_key": ""}, "dedup_key"),
        ({"summary": "a", "dedup_key": "k" * 2049}, "dedup_key"),
        ({"summary": "a", "dedup_key": "\u673a" * 683}, "dedup_key"),
        ({"summary": "a" * 141}, "summary"),
        ({"summary": "a", "severity": "bad"}, "severity"),
        ({"summary": "a", "asset": ""}, "asset"),
        ({"summary": "a", "labels": {"a": "b" * 1024}}, "labels.a"),
        ({"summary": "a", "labels": {str(n): "b" for n in range(65)}}, "labels"),
        ({"summary": "a", "source": "nobody"}, "source"),
        ({"summary": "a", "colour": "red"}, "colour"),
        ({"summary": "a", "labels": {"a": 1}}, "labels[...]"),
    ],
)
def test_bad_reports_say_what_would_be_right(world: World, draft: dict[str, Any], field: str) -> None:
    answer = world.probe.post("/api/reports", draft)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert answer.fields == [field]
    assert world.ada.lists().incidents == []


def test_a_role_reports_under_its_own_sources(world: World) -> None:
    assert world.vera.reports("a").problem == "not-allowed"
    assert world.probe.reports("a", source="operator").problem == "not-allowed"
    assert world.acme.reports("a", source="monitoring").problem == "not-allowed"
    id = world.ada.reports("a", source="monitoring").report["incident_id"]
    assert world.ada.sees(id).incident["source"] == "monitoring"


def test_a_report_is_shown_with_what_came_in(world: World) -> None:
    id = world.probe.reports("POS 12 is down", **KEY).report["id"]
    raw = world.admin.get(f"/api/reports/{id}").json["raw"]
    assert (raw["target"], raw["whole"], raw["encoding"]) == ("POST /api/reports", True, "utf-8")
    assert '"POS 12 is down"' in raw["body"]
    assert world.newcomer("monitoring").get(f"/api/reports/{id}").problem == "not-found"
    assert world.probe.get(f"/api/reports/{id}").status == 200


def test_the_reports_of_an_incident_come_in_pages(world: World) -> None:
    id = world.probe.reports("one", **KEY).report["incident_id"]
    for _ in range(4):
        world.probe.reports("again", **KEY)
    first = world.ada.reports_of(id, limit=3)
    second = world.ada.reports_of(id, limit=3, before=first.next)
    assert [len(page.reports) for page in (first, second)] == [3, 2]
    assert second.next is None
    ids = [each["id"] for page in (first, second) for each in page.reports]
    assert ids == sorted(ids, reverse=True)
