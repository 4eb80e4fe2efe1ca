"""Requests that are refused at the door: in the dialect's own words, and in the integration's log with the reason."""

import gzip
import json
from typing import Any

import pytest

from tests.senders import Generic, Grafana, Machine, PagerDuty
from tests.world import World


def reasons(world: World, machine: Machine) -> list[str]:
    """Why, of each refused report, oldest first; nothing was read of any, so nothing is kept."""
    reports = world.ada.log_of(machine.id).reports
    for each in reports:
        assert each["outcome"] == "refused"
        assert world.admin.get(f"/api/reports/{each['id']}").json["raw"] is None
    return [each["reason"] for each in reversed(reports)]


def test_a_signature_that_does_not_fit_stands_in_the_log(world: World) -> None:
    machine = Grafana(world.admin, signing_secret="a long secret")
    assert machine.fires().status == 403
    world.clock.forward(seconds=1)
    body: dict[str, Any] = {"alerts": []}
    wrong = machine.sends(body, "/in/grafana", headers={"X-Grafana-Alerting-Signature": "0" * 64})
    assert wrong.status == 403
    assert all("The signature does not fit" in each for each in reasons(world, machine))
    assert len(reasons(world, machine)) == 2


def test_a_key_of_another_dialect_stands_in_its_own_log(world: World) -> None:
    machine = PagerDuty(world.admin)
    assert machine.sends({"id": 1}, f"/in/generic?key={machine.key}").status == 403
    (reason,) = reasons(world, machine)
    assert "This key is for the dialect `pagerduty`" in reason


@pytest.mark.parametrize(
    ("body", "headers", "status", "why"),
    [
        (gzip.compress(b" " * (16 * 1024 * 1024 + 1)), {"Content-Encoding": "gzip"}, 413, "unpacked"),
        (b"{}", {"Content-Encoding": "br"}, 415, "gzip` or `deflate"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "not what its `content-encoding` says"),
    ],
)
def test_a_body_that_is_not_taken_in_stands_in_the_log(
    world: World, body: bytes, headers: dict[str, str], status: int, why: str
) -> None:
    machine = world.generic
    world.run(world.refresh_doors())
    answer = machine.sends(body, "/in/generic", headers={"User-Agent": "a sender", **headers})
    assert answer.status == status
    (reason,) = reasons(world, machine)
    assert why in reason
    (report,) = world.ada.log_of(machine.id).reports
    assert (report["sender"], report["request_id"]) == ("a sender", answer.headers["x-request-id"])


def test_a_body_that_is_announced_too_large_stands_in_the_log(world: World) -> None:
    machine = world.generic
    world.run(world.refresh_doors())
    head = f"POST /in/generic HTTP/1.1\r\nhost: a\r\nx-api-key: {machine.key}\r\ncontent-length: 16777217\r\n\r\n"
    assert world.raw(head.encode()).status == 413
    (reason,) = reasons(world, machine)
    assert "at most 16,777,216 bytes" in reason


def test_a_flood_of_them_is_one_a_second_for_each_integration(world: World) -> None:
    machine, other = Generic(world.admin), Generic(world.admin)
    world.run(world.refresh_doors())
    for _ in range(5):
        for each in (machine, other):
            assert each.sends(b"{}", "/in/generic", headers={"Content-Encoding": "br"}).status == 415
    assert (len(reasons(world, machine)), len(reasons(world, other))) == (1, 1)
    world.clock.forward(seconds=1)
    machine.sends(b"{}", "/in/generic", headers={"Content-Encoding": "br"})
    assert (len(reasons(world, machine)), len(reasons(world, other))) == (2, 1)


def test_a_wrong_key_stands_in_no_log(world: World) -> None:
    machine = world.generic
    assert machine.sends(b"{}", "/in/generic", headers={"Authorization": "Bearer nonsense"}).status == 403
    assert reasons(world, machine) == []


@pytest.mark.parametrize("body", [b'{"routing_key": "abc", ', b"", b"[]", b"\xff"])
def test_an_event_that_is_no_json_is_an_invalid_event_and_no_missing_key(world: World, body: bytes) -> None:
    world.restarts(address_rate_limit=2)
    for _ in range(4):
        answer = world.pagerduty.sends(body, "/v2/enqueue")
        assert (answer.status, answer.json["status"]) == (400, "invalid event")
        assert answer.json["message"] == "Event object is invalid"
        assert "the body" in answer.json["errors"][0]
    assert world.pagerduty.sends({"event_action": "trigger"}, "/v2/enqueue").status == 401


@pytest.mark.parametrize("path", ["{}", "{}/notes"])
def test_an_alias_that_is_too_long_is_refused_in_opsgenie_s_words(world: World, path: str) -> None:
    name = path.format("a" * 600)
    answer = world.opsgenie.sends(None, f"/v2/alerts/{name}?identifierType=alias", "GET")
    assert answer.status == 422
    assert set(answer.json) == {"message", "took", "requestId"}
    assert "512 characters" in answer.json["message"]


@pytest.mark.parametrize("path", ["%00n?identifierType=alias", "%00n/notes?identifierType=alias", "requests/%00n"])
def test_nothing_is_named_by_an_odd_character(world: World, path: str) -> None:
    answer = world.opsgenie.sends(None, f"/v2/alerts/{path}", "GET")
    assert (answer.status, set(answer.json)) == (404, {"message", "took", "requestId"})


def test_an_alias_with_an_odd_character_is_found_again(world: World) -> None:
    assert world.opsgenie.creates("a\0b").status == 202
    found = world.opsgenie.sends(None, "/v2/alerts/a%00b?identifierType=alias", "GET")
    assert json.loads(found.body)["data"]["alias"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("method", "path", "names", "allowed"),
    [
        ("PATCH", "/v2/alerts", {"message", "took", "requestId"}, "GET, POST"),
        ("PATCH", "/v2/alerts/1", {"message", "took", "requestId"}, "DELETE, GET, POST, PUT"),
        ("GET", "/v2/enqueue", {"status", "message", "errors"}, "POST"),
        ("DELETE", "/in/alertmanager", {"status", "message", "request_id"}, "POST"),
    ],
)
def test_a_wrong_method_is_refused_in_the_dialect_s_words(
    world: World, method: str, path: str, names: set[str], allowed: str
) -> None:
    answer = world.stranger.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert set(answer.json) == names
