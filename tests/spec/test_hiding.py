"""A key is never kept: not escaped, not in UTF-16, not where another one opened the door."""

import base64
import json
import string
from collections.abc import Callable
from typing import Any

import pytest

from tests.senders import MACHINES, Generic, Machine
from tests.world import World
from tocsin.intake.model import new_key


def kept_of(world: World, machine: Machine) -> str:
    """Everything that is kept of a machine's newest report, as text."""
    report = world.ada.log_of(machine.id).reports[0]
    answer = world.admin.get(f"/api/reports/{report['id']}")
    raw = answer.json["raw"]
    body = base64.b64decode(raw["body"]) if raw["encoding"] == "base64" else raw["body"].encode()
    shown = world.ada.sees(report["incident_id"]).body.decode() if report["incident_id"] else ""
    return "\n".join((answer.body.decode(), body.decode("utf-8", "replace"), body.decode("utf-16", "replace"), shown))


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(each):04X}" for each in text)


SPELLINGS: dict[str, Callable[[str, str], bytes]] = {
    "in clear": lambda body, key: body.encode(),
    "in UTF-16": lambda body, key: body.encode("utf-16"),
    "in UTF-32 without a mark": lambda body, key: body.encode("utf-32-le"),
    "escaped": lambda body, key: body.replace(key, escaped(key)).encode(),
    "half escaped": lambda body, key: body.replace(key, escaped(key[:7]) + key[7:]).encode(),
    "escaped in UTF-16": lambda body, key: body.replace(key, escaped(key)).encode("utf-16"),
    "with a mark": lambda body, key: b"\xef\xbb\xbf" + body.encode(),
}


@pytest.mark.parametrize("dialect", ["pagerduty", "opsgenie", "generic", "alertmanager"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_key_is_kept(world: World, dialect: str, spelling: str) -> None:
    machine = MACHINES[dialect](world.admin)
    key = machine.key
    body, path = _saying(dialect, f"my key is {key}", key)
    answer = machine.sends(SPELLINGS[spelling](json.dumps(body), key), path)
    assert answer.status // 100 == 2, answer
    kept = kept_of(world, machine)
    assert key not in kept
    assert escaped(key).lower() not in kept.lower()
    assert "my key is redacted" in kept


def _saying(dialect: str, words: str, key: str) -> tuple[Any, str]:
    match dialect:
        case "pagerduty":
            event = {"routing_key": key, "event_action": "trigger", "payload": {"summary": words, "source": key}}
            return event, "/v2/enqueue"
        case "opsgenie":
            return {"message": words, "alias": key, "details": {key: key}}, "/v2/alerts"
        case "generic":
            return {"title": words, key: [key]}, "/in/generic"
    alert = {"labels": {"alertname": "A", key: key}, "annotations": {"summary": words}}
    return {"alerts": [alert], "status": "firing"}, "/in/alertmanager"


def test_a_key_is_not_kept_beside_the_one_that_opened_the_door(world: World) -> None:
    machine, other = world.pagerduty, Generic(world.admin).key
    keys = f'"routing_key": "{other}", "service_key": "{other}", "routing_\\u006bey": "{other}"'
    body = f'{{{keys}, "event_action": "trigger", "payload": {{"summary": "POS 12 is down"}}}}'
    assert machine.sends(body.encode(), "/v2/enqueue", headers={"X-Routing-Key": machine.key}).status == 202
    assert other not in kept_of(world, machine)
    assert world.generic.sends({"id": 1, "title": "t"}, f"/in/generic?key={other}&a=b").status == 200
    kept = kept_of(world, world.generic)
    assert other not in kept
    assert "key=redacted&a=b" in kept


def test_of_an_event_that_is_no_json_nothing_is_kept_but_the_reason(world: World) -> None:
    machine, other = world.pagerduty, Generic(world.admin).key
    body = f'{{"routing_key": "{other}", "event_act'.encode()
    assert machine.sends(body, "/v2/enqueue", headers={"X-Routing-Key": machine.key}).status == 400
    report = world.ada.log_of(machine.id).reports[0]
    assert "Unterminated string" in report["reason"]
    assert world.admin.get(f"/api/reports/{report['id']}").json["raw"]["body"] == ""


@pytest.mark.parametrize("broken", [b"\xff", b"\0", b"{", "\ud800".encode("utf-16", "surrogatepass")])
def test_what_is_no_text_is_kept_without_the_key_too(world: World, broken: bytes) -> None:
    machine = world.generic
    for text in (machine.key.encode(), machine.key.encode("utf-16-le"), machine.key.encode("utf-16")):
        assert machine.sends(broken + text + broken, "/in/generic").status == 400
        assert machine.key not in kept_of(world, machine).replace("\0", "")


def test_a_key_in_the_path_is_not_kept_percent_encoded(world: World) -> None:
    machine = world.opsgenie
    spelled = "".join(f"%{ord(each):02x}" for each in machine.key)
    assert machine.sends({}, f"/v2/alerts/{spelled}/close?identifierType=alias").status == 202
    kept = kept_of(world, machine)
    assert machine.key not in kept
    assert spelled not in kept


def test_keys_are_made_of_what_is_looked_for() -> None:
    assert set(new_key()) <= set(string.hexdigits.lower())
