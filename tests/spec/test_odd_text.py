"""NUL and half surrogate pairs: no database takes them. Our own way refuses them, a dialect puts U+FFFD there."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.senders import MACHINES
from tests.world import World

ODD = ["\0", "\ud83d", "\udd25"]
HALVES = "\udd25\ud83d"  # in the wrong order, or they would be a pair
# How a body can hold them, and which: a NUL that is not escaped is no JSON.
SPELLINGS: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "escaped": ("\0" + HALVES, lambda body: json.dumps(body).encode()),
    "in UTF-8": (HALVES, lambda body: _unescaped(body).encode("utf-8", "surrogatepass")),
    "in UTF-16": (HALVES, lambda body: _unescaped(body).encode("utf-16", "surrogatepass")),
}


def _unescaped(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False)


def saying(dialect: str, key: str, odd: str) -> tuple[Any, str]:
    """A trouble with an odd character in each of its texts and names, at each depth."""
    words, name, deep = f"POS{odd} 12", f"na{odd}me", {f"na{odd}me": f"va{odd}lue"}
    match dialect:
        case "pagerduty":
            payload = {"summary": words, "source": words, "custom_details": {**deep, "be": {"low": deep}}}
            event = {"routing_key": key, "event_action": "trigger", "dedup_key": words, "payload": payload}
            return {**event, "links": [{"text": words}]}, "/v2/enqueue"
        case "opsgenie":
            said = {"message": words, "alias": words, "description": words, "entity": words, "tags": [words]}
            return {**said, "details": {**deep, "be": {"low": deep}}}, "/v2/alerts"
        case "generic":
            return {"title": words, "id": words, "host": words, **deep, "be": {"low": [deep]}}, "/in/generic"
    alert = {"labels": {"alertname": words, name: words, "be": deep}, "annotations": {"summary": words, name: words}}
    return {"alerts": [{**alert, "fingerprint": words}], "status": "firing"}, f"/in/{dialect}"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("dialect", MACHINES)
def test_a_dialect_takes_odd_text_without_what_is_odd(world: World, dialect: str, spelling: str) -> None:
    odd, spelled = SPELLINGS[spelling]
    machine = MACHINES[dialect](world.admin)
    body, path = saying(dialect, machine.key, odd)
    answer = machine.sends(spelled(body), path)
    assert answer.status // 100 == 2, answer
    (report,) = world.ada.log_of(machine.id).reports
    plain = "POS" + len(odd) * "\ufffd" + " 12"
    assert (report["outcome"], report["dedup_key"], report["summary"]) == ("opened", plain, plain)
    incident = world.ada.sees(report["incident_id"]).incident
    assert "\ufffd" in "".join(incident["labels"])
    assert not any(each in str(incident) for each in ODD)
    # What was kept says the same once more.
    again = world.admin.post(f"/api/reports/{report['id']}/replay", {})
    assert [each["outcome"] for each in again.reports] == ["joined"]


@pytest.mark.parametrize("dialect", MACHINES)
def test_a_nul_that_is_not_escaped_is_no_json(world: World, dialect: str) -> None:
    machine = MACHINES[dialect](world.admin)
    body, path = saying(dialect, machine.key, "?")
    raw = json.dumps(body).replace("POS? 12", "POS\0 12").encode()
    assert machine.sends(raw, path).status in (400, 422)


# what stands in a report of our own, and the field that is named
OWN: list[tuple[Callable[[str], dict[str, Any]], str]] = [
    (lambda odd: {"summary": f"a{odd}"}, "summary"),
    (lambda odd: {"summary": "a", "labels": {"city": odd}}, "labels.city"),
    (lambda odd: {"summary": "a", "labels": {f"ci{odd}ty": "Kazan"}}, "body"),
    (lambda odd: {"summary": "a", f"na{odd}me": 1}, "body"),
    (lambda odd: {"summary": "a", "description": f"{odd}"}, "description"),
]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize(("draft", "field"), OWN, ids=[field for _, field in OWN])
def test_our_own_way_refuses_odd_text(
    world: World, draft: Callable[[str], dict[str, Any]], field: str, odd: str
) -> None:
    answer = world.probe.post("/api/reports", draft(odd))
    assert (answer.status, answer.problem, answer.fields) == (422, "invalid", [field])


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_odd_text_in_one_of_many_drafts_stores_none(world: World, odd: str) -> None:
    good = {"description": "x", "source": "operator"}
    for bad, field in (({"description": odd}, "incidents[1].description"), ({"labels": {odd: "b"}}, "body")):
        answer = world.ada.post("/api/incidents/batch", {"incidents": [good, {**good, **bad}, good]})
        assert (answer.status, answer.fields) == (422, [field])
    assert world.ada.lists().ids == []
