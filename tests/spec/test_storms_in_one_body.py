"""One request that holds much: what is kept of it stays near what came, and other callers are answered meanwhile."""

import gzip
import json
import threading
from typing import Any

import pytest

from tests.world import World
from tocsin.intake.dialect import NotUnderstood, Received
from tocsin.intake.dialects import DIALECTS, reading
from tocsin.intake.model import Rules, Said


def read(dialect: str, body: Any, **rules: Any) -> tuple[list[Said], int]:
    """What is read from a body at the dialect's first path, and how many bytes came."""
    raw = json.dumps(body).encode()
    each = DIALECTS[dialect]
    said = each.read(Received("POST", each.paths[0].path, {}, {}, raw), Rules(**rules))
    return [one for one in said if isinstance(one, Said)], len(raw)


def alerts(count: int) -> list[dict[str, Any]]:
    return [{"status": "firing", "labels": {"alertname": f"A{n}"}, "fingerprint": f"f{n}"} for n in range(count)]


@pytest.mark.parametrize("dialect", ["alertmanager", "grafana"])
@pytest.mark.parametrize("shared", ["commonAnnotations", "status", "receiver", "groupKey"])
def test_a_large_group_is_not_kept_once_for_each_alert(dialect: str, shared: str) -> None:
    group = {"version": "4", "receiver": "web", shared: "A" * 1_000_000, "alerts": alerts(600)}
    said, size = read(dialect, group)
    assert len(said) == 600
    assert sum(len(each.raw) for each in said) < 2 * size
    again, _ = read(dialect, json.loads(said[7].raw))
    assert [each.dedup_key for each in again] == ["f7"]


def test_a_small_group_is_kept_whole_with_each_alert() -> None:
    group = {"version": "4", "groupKey": '{}:{alertname="A"}', "commonLabels": {"a": "b"}, "alerts": alerts(3)}
    said, _ = read("alertmanager", group)
    assert [json.loads(each.raw) for each in said] == [{**group, "alerts": [alert]} for alert in group["alerts"]]


def test_a_mapping_that_finds_things_within_each_other_is_refused_in_time() -> None:
    deep: Any = {"title": "x" * 500_000}
    for _ in range(40):
        deep = {"title": "t", "below": deep}
    with pytest.raises(NotUnderstood, match="within each other"):
        read("generic", deep, mapping={"items": "$..below"})


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("generic", [{"id": n, "title": "t"} for n in range(reading.MOST_AT_ONCE + 1)]),
        ("alertmanager", {"alerts": alerts(reading.MOST_AT_ONCE + 1)}),
    ],
)
def test_too_many_at_once_are_counted_and_not_read(world: World, dialect: str, body: Any) -> None:
    machine = getattr(world, dialect)
    answer = machine.sends(body, f"/in/{dialect}")
    assert answer.status == 400
    assert "at most 5,000 in one request, please; these are 5,001" in answer.body.decode()
    (refused,) = world.ada.log_of(machine.id).reports
    assert refused["outcome"] == "refused"


def test_a_large_body_is_read_beside_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[bool, str] = {}
    usual = reading.parsed

    def parsed(request: Received) -> Any:
        seen[len(request.body) > 300_000] = threading.current_thread().name
        return usual(request)

    monkeypatch.setattr(reading, "parsed", parsed)
    machine = world.generic
    assert machine.says({"id": "small", "title": "t"}).status == 200
    assert machine.says({"id": "large", "title": "t", "body": "x" * 300_000}).status == 200
    packed = gzip.compress(json.dumps({"id": "packed", "title": "t", "body": "x" * 300_000}).encode())
    assert machine.sends(packed, "/in/generic", headers={"Content-Encoding": "gzip"}).status == 200
    assert seen[True] != seen[False]
    assert [each["outcome"] for each in world.ada.log_of(machine.id).reports] == ["opened"] * 3


def test_one_alert_that_cannot_be_read_costs_the_others_nothing(world: World) -> None:
    machine = world.alertmanager
    good, bad, late = (machine.alert(name, "firing", name) for name in ("Good", "Bad", "Late"))
    odd: Any = "odd"
    answer = machine.group([good, {**bad, "status": "weird"}, odd, late])
    assert answer.status == 200
    log = world.ada.log_of(machine.id).reports
    assert [each["outcome"] for each in reversed(log)] == ["opened", "refused", "refused", "opened"]
    assert [each["outcome"] for each in answer.reports] == ["opened", "refused", "refused", "opened"]
    assert log[2]["reason"] == "alerts[1].status must be firing or resolved"
    raw = json.loads(world.admin.get(f"/api/reports/{log[2]['id']}").json["raw"]["body"])
    assert [each["labels"]["alertname"] for each in raw["alerts"]] == ["Bad"]
    (again,) = world.admin.post(f"/api/reports/{log[2]['id']}/replay").reports
    assert again["outcome"] == "refused"


def test_one_item_that_cannot_be_read_costs_the_others_nothing(world: World) -> None:
    machine = world.generic
    assert machine.says(["odd", {"id": "a", "title": "one"}, {"id": "b"}, {"id": "c", "title": "two"}]).status == 200
    log = world.ada.log_of(machine.id).reports
    assert [each["outcome"] for each in reversed(log)] == ["refused", "opened", "refused", "opened"]
    body = ["odd", {"id": "a", "title": "one"}]
    tried = world.admin.post(f"/api/integrations/{machine.id}/try", {"body": body})
    assert [each["dedup_key"] for each in tried.reports] == ["a"]
    assert tried.json["problem"] == "each item must be a JSON object"


def test_where_nothing_can_be_read_the_sender_hears_it_and_the_whole_body_is_kept(world: World) -> None:
    machine = world.generic
    answer = machine.says(["odd", 1])
    assert (answer.status, answer.json["message"]) == (400, "each item must be a JSON object")
    (refused,) = world.ada.log_of(machine.id).reports
    raw = world.admin.get(f"/api/reports/{refused['id']}").json["raw"]
    assert json.loads(raw["body"]) == ["odd", 1]
