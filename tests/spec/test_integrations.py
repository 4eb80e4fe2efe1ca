"""Integrations: doors for machines. Made, changed, rotated, removed; what comes in stands in their log."""

import gzip
import json
import time
from typing import Any

import pytest

from tests.senders import MACHINES, Generic, PagerDuty
from tests.world import World


def test_a_door_is_made_with_its_key_shown_once(world: World) -> None:
    answer = world.admin.post("/api/integrations", {"name": "Zabbix", "dialect": "opsgenie"})
    assert answer.status == 201
    made, key = answer.json["integration"], answer.json["key"]
    assert answer.headers["location"] == f"/api/integrations/{made['id']}"
    assert (made["name"], made["dialect"], made["source"]) == ("Zabbix", "opsgenie", "monitoring")
    assert len(key) == 32
    assert key in answer.json["lines"]
    assert key not in world.admin.get("/api/integrations").body.decode()
    entry = world.admin.timeline().entries[-1]
    assert (entry["kind"], entry["refs"]) == ("integration_created", {"integration": made["id"]})


@pytest.mark.parametrize("dialect", MACHINES)
def test_every_dialect_has_a_door_and_lines_to_paste(world: World, dialect: str) -> None:
    machine = MACHINES[dialect](world.admin)
    assert machine.integration["dialect"] == dialect
    assert machine.key in machine.lines


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"name": "", "dialect": "pagerduty"}, "name"),
        ({"name": "a", "dialect": "smoke signals"}, "dialect"),
        ({"name": "a", "dialect": "pagerduty", "source": "nobody"}, "source"),
        ({"name": "a", "dialect": "pagerduty", "source": "partner"}, "partner"),
        ({"name": "a", "dialect": "pagerduty", "partner": "acme"}, "partner"),
        ({"name": "a", "dialect": "pagerduty", "source": "partner", "partner": "nobody"}, "partner"),
        ({"name": "a", "dialect": "pagerduty", "settings": {"when_taken": "dance"}}, "settings.when_taken"),
        ({"name": "a", "dialect": "pagerduty", "settings": {"severity": "bad"}}, "settings.severity"),
        ({"name": "a", "dialect": "pagerduty", "settings": {"asset_pattern": "("}}, "settings.asset_pattern"),
        ({"name": "a", "dialect": "pagerduty", "settings": {"mapping": {"summary": "$.a"}}}, "settings.mapping"),
        ({"name": "a", "dialect": "pagerduty", "signing_secret": "a long secret"}, "signing_secret"),
    ],
)
def test_bad_drafts_say_what_would_be_right(world: World, draft: dict[str, Any], field: str) -> None:
    answer = world.admin.post("/api/integrations", draft)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert answer.fields == [field]


def test_only_administrators_make_doors_and_operators_see_them(world: World) -> None:
    draft = {"name": "a", "dialect": "pagerduty"}
    assert world.ada.post("/api/integrations", draft).problem == "not-allowed"
    assert world.ada.get("/api/integrations").status == 200
    for who in (world.vera, world.probe, world.acme):
        assert who.get("/api/integrations").problem == "not-allowed"


def test_the_log_says_what_came_and_why_it_did_what_it_did(world: World) -> None:
    machine = world.pagerduty
    machine.triggers()
    machine.triggers()
    machine.acknowledges()
    machine.resolves()
    machine.resolves()
    machine.sends({"routing_key": machine.key, "event_action": "trigger"}, "/v2/enqueue")
    log = world.ada.log_of(machine.id).reports
    assert [each["outcome"] for each in log] == ["refused", "nothing", "resolved", "acknowledged", "joined", "opened"]
    assert all(each["reason"] for each in log)
    assert log[0]["incident_id"] is None


def test_a_key_works_in_its_own_dialect_only(world: World) -> None:
    machine = world.pagerduty
    answer = world.alertmanager.sends(
        {"alerts": []}, "/in/alertmanager", headers={"Authorization": f"Bearer {machine.key}"}
    )
    assert answer.status == 403
    assert "is for the dialect `pagerduty`" in answer.body.decode()


def test_a_wrong_or_missing_key_is_the_dialect_s_own_refusal(world: World) -> None:
    machine = world.opsgenie
    missing = machine.sends({"message": "a"}, "/v2/alerts", headers={"Authorization": ""})
    wrong = machine.sends({"message": "a"}, "/v2/alerts", headers={"Authorization": "GenieKey nonsense"})
    assert (missing.status, wrong.status) == (401, 403)
    assert set(missing.json) == {"message", "took", "requestId"}
    assert world.admin.timeline().kinds[-1] == "integration_created"


def test_no_key_is_kept_or_logged(world: World) -> None:
    machine = world.pagerduty
    machine.triggers(summary=f"my key is {machine.key}", custom_details={machine.key: machine.key})
    report = world.ada.log_of(machine.id).reports[0]
    kept = world.admin.get(f"/api/reports/{report['id']}")
    incident = world.ada.sees(report["incident_id"])
    for text in (kept.body, incident.body, json.dumps(world.log.lines).encode()):
        assert machine.key.encode() not in text
    assert b"redacted" in kept.body


def test_rotation_has_an_overlap_and_removal_has_none(world: World) -> None:
    machine = world.pagerduty
    new = world.admin.post(f"/api/integrations/{machine.id}/rotate", {"overlap_seconds": 60}).json["key"]
    old, machine.key = machine.key, new
    assert machine.triggers().status == 202
    machine.key = old
    assert machine.triggers().status == 202
    world.clock.forward(seconds=61)
    assert machine.triggers().status == 403
    machine.key = new
    assert world.admin.ask("DELETE", f"/api/integrations/{machine.id}").status == 200
    world.run(world.refresh_doors())
    assert machine.triggers().status == 403
    assert len(world.ada.log_of(machine.id).reports) == 2


def test_settings_change_what_the_next_report_does(world: World) -> None:
    machine = PagerDuty(world.admin, settings={"when_taken": "note"})
    id = machine_incident(world, machine)
    world.ada.acknowledges(id)
    machine.resolves()
    assert world.ada.sees(id).incident["status"] == "new"
    assert world.ada.timeline_of(id).kinds == ["filed", "acknowledged", "over"]
    settings = {"when_taken": "resolve", "asset_pattern": r"POS (\d+)"}
    assert world.admin.ask("PATCH", f"/api/integrations/{machine.id}", {"settings": settings}).status == 200
    world.run(world.refresh_doors())
    machine.resolves()
    assert world.ada.sees(id).incident["status"] == "resolved"
    assert world.ada.sees(machine_incident(world, machine)).incident["asset"] == "12"


def machine_incident(world: World, machine: PagerDuty) -> int:
    assert machine.triggers().status == 202
    id: int = world.ada.log_of(machine.id).reports[0]["incident_id"]
    return id


def test_what_failed_can_be_replayed(world: World) -> None:
    machine = world.pagerduty
    machine.triggers()
    first = world.ada.log_of(machine.id).reports[0]
    answer = world.admin.post(f"/api/reports/{first['id']}/replay")
    assert [each["outcome"] for each in answer.reports] == ["joined"]
    again = world.ada.log_of(machine.id).reports[0]
    assert (again["replay_of"], again["incident_id"]) == (first["id"], first["incident_id"])


def test_a_payload_that_was_cut_cannot_be_replayed_and_says_so(world: World) -> None:
    world.restarts(raw_cap=100)
    machine = world.pagerduty
    machine.triggers(custom_details={"text": "long " * 100})
    id = world.ada.log_of(machine.id).reports[0]["id"]
    raw = world.admin.get(f"/api/reports/{id}").json["raw"]
    assert (len(raw["body"]), raw["whole"]) == (100, False)
    assert raw["size"] > 500
    refused = world.admin.post(f"/api/reports/{id}/replay")
    assert refused.problem == "already-there"
    assert f"Only the first 100 of its {raw['size']} bytes were kept (`TOCSIN_RAW_CAP`)" in refused.detail


@pytest.mark.parametrize("pack", [gzip.compress, lambda body: body])
def test_bodies_may_be_packed(world: World, pack: Any) -> None:
    machine = world.pagerduty
    body = json.dumps({"routing_key": machine.key, "event_action": "resolve", "dedup_key": "a"}).encode()
    headers = {"Content-Encoding": "gzip"} if pack is gzip.compress else {}
    assert machine.sends(pack(body), "/v2/enqueue", headers=headers).status == 202


def test_a_bomb_is_not_unpacked(world: World) -> None:
    machine = world.pagerduty
    bomb = gzip.compress(b" " * 200_000_000)
    answer = machine.sends(bomb, "/v2/enqueue", headers={"Content-Encoding": "gzip"})
    assert answer.status == 413
    assert answer.json["status"] == "invalid event"
    broken = machine.sends(bomb[:-20], "/v2/enqueue", headers={"Content-Encoding": "gzip"})
    assert broken.status in (400, 413)


def test_raw_payloads_go_after_their_days_and_reports_stay(world: World) -> None:
    machine = world.pagerduty
    machine.triggers()
    id = world.ada.log_of(machine.id).reports[0]["id"]
    world.clock.forward(days=91)
    world.run(world.forget_payloads())
    kept = world.admin.get(f"/api/reports/{id}")
    assert kept.status == 200
    assert kept.json["raw"] is None
    assert world.admin.post(f"/api/reports/{id}/replay").problem == "already-there"


def test_a_dry_run_shows_what_a_payload_would_say_and_stores_nothing(world: World) -> None:
    machine = world.generic
    settings = {"mapping": {"summary": "$.what", "severity": "$.how_bad", "dedup_key": "$.key"}}
    body = {"what": "POS 12 is down", "how_bad": "critical", "key": "pos/12"}
    answer = world.admin.post(f"/api/integrations/{machine.id}/try", {"body": body, "settings": settings})
    (said,) = answer.reports
    assert (said["summary"], said["severity"], said["dedup_key"]) == ("POS 12 is down", "critical", "pos/12")
    assert world.ada.log_of(machine.id).reports == []


@pytest.mark.parametrize(
    "path",
    [
        *("$[?@.a =~ /(/]", "$[1e400]", "$[?@.a==1e999999]", '$[?typeof(@)=="x"]', '$[?isinstance(@,"zz")]'),
        *("$.e.f[?count(@)>1]", "$[?match(@.a, 'x')]", '$[?search(@.a, "(a+)+$")]', "$..a..b..c", "$.a[", "a.b"),
        *("$" + ".a" * 5000, "$" + "[?@.a" * 200 + "]" * 200),
    ],
)
def test_a_path_that_cannot_work_is_refused_with_its_field(world: World, path: str) -> None:
    machine = world.generic
    settings = {"mapping": {"asset": path}}
    made = world.admin.post("/api/integrations", {"name": "a", "dialect": "generic", "settings": settings})
    tried = world.admin.post(f"/api/integrations/{machine.id}/try", {"body": {"a": "b"}, "settings": settings})
    for answer in (made, tried):
        assert (answer.status, answer.fields) == (422, ["settings.mapping.asset"])


def test_a_path_that_fails_on_what_comes_costs_its_field_and_no_alert(world: World) -> None:
    settings = {"mapping": {"summary": "$.what", "asset": "$.things[?value(@.a) > 1].name", "label.n": "$..n"}}
    machine = Generic(world.admin, settings=settings)
    deep: Any = "x"
    for _ in range(60):
        deep = {"d": deep}
    for body in ({"what": "a", "things": 5}, {"what": "b", "things": [[1], "x", None]}, {"what": "c", "things": deep}):
        assert machine.says(body).reports[0]["outcome"] == "opened"


ITEMS = {"mapping": {"items": "$.events[*]", "dedup_key": "$.door", "summary": "$.title"}}


@pytest.mark.parametrize("events", [[], None])
def test_an_empty_list_of_items_is_only_noted(world: World, events: Any) -> None:
    path = "$.events[*]" if events is None else "$.events"
    machine = Generic(world.admin, settings={"mapping": ITEMS["mapping"] | {"items": path}})
    answer = machine.says({"title": "All doors", "events": []})
    assert answer.status == 200
    (report,) = world.ada.log_of(machine.id).reports
    assert (report["action"], report["outcome"], report["words"]) == ("note", "noted", "the list that came is empty")
    assert world.ada.lists().incidents == []


def test_an_item_is_replayed_alone_whatever_stands_in_it(world: World) -> None:
    machine = Generic(world.admin, settings=ITEMS)
    machine.says({"events": [{"door": "1", "title": "a"}, {"door": "2", "title": "b", "events": [{"door": "3"}]}]})
    for report in world.ada.log_of(machine.id).reports:
        (again,) = world.admin.post(f"/api/reports/{report['id']}/replay").reports
        assert (again["outcome"], again["incident_id"]) == ("joined", report["incident_id"])
    assert len(world.ada.lists().incidents) == 2


@pytest.mark.parametrize("letter", ["a", "т", "💥"])
def test_labels_take_a_kibibyte_each_and_are_cut_between_characters(world: World, letter: str) -> None:
    world.pagerduty.triggers(custom_details={"name": letter * 2000, letter * 2000: letter * 2000, "short": "s"})
    (id,) = world.ada.lists().ids
    labels: dict[str, str] = world.ada.sees(id).incident["labels"]
    for name, value in labels.items():
        assert len(name.encode()) <= 256
        assert len((name + value).encode()) <= 1024
        assert "\ufffd" not in name + value
    assert labels["name"].startswith(letter * 200)
    assert labels["name"].endswith("…")
    assert labels["short"] == "s"


@pytest.mark.parametrize(
    ("pattern", "summary", "asset"),
    [
        (r"POS (\d+) in (\w+)", "POS 12 in Kazan", "12"),
        (r"POS (\d+)|scooter (\d+)", "scooter 875643 is offline", "875643"),
        (r"POS \d+", "The POS 12 is down", "POS 12"),
        (r"POS( \d+)?", "POS is down", "POS"),
        (r"till", "POS 12 is down", "pos-12"),
    ],
)
def test_an_asset_is_found_in_the_words(world: World, pattern: str, summary: str, asset: str) -> None:
    machine = PagerDuty(world.admin, settings={"asset_pattern": pattern})
    machine.triggers(summary=summary)
    (id,) = world.ada.lists().ids
    assert world.ada.sees(id).incident["asset"] == asset


def test_a_pattern_that_would_take_hours_costs_a_moment_and_no_report(world: World) -> None:
    machine = Generic(world.admin, settings={"asset_pattern": "(a|aa|a?b?)+$"})
    began = time.perf_counter()
    answer = machine.says([{"id": number, "title": "a" * 60 + "!"} for number in range(100)])
    assert [each["outcome"] for each in answer.reports] == ["opened"] * 100
    assert time.perf_counter() - began < 5
