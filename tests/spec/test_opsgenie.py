"""Opsgenie's Alert API, for senders that lose it: what a script did there, it does here, and nothing wider."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.people import Answer
from tests.senders import Opsgenie
from tests.world import World


def asks(world: World, path: str) -> Answer:
    return world.opsgenie.sends(None, f"/v2/alerts{path}", "GET")


def aliases(world: World, query: str) -> list[str]:
    answer = asks(world, f"?query={quote(query)}")
    assert answer.status == 200, answer.body
    count = asks(world, f"/count?query={quote(query)}").json["data"]["count"]
    found = [alert["alias"] for alert in answer.json["data"]]
    assert count == len(found)
    return sorted(found)


def alert(world: World, alias: str = "pos/12") -> Any:
    return asks(world, f"/{quote(alias, safe='')}?identifierType=alias").json["data"]


def incident(world: World) -> Any:
    (id,) = world.ada.lists().ids
    return world.ada.sees(id).incident


@pytest.fixture
def three(world: World) -> World:
    world.opsgenie.creates("a", priority="P1")
    world.opsgenie.creates("b c", priority="P2")
    world.opsgenie.creates("d", priority="P1")
    world.opsgenie.closes("d")
    return world


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a", "b c", "d"]),
        ("status: open", ["a", "b c"]),
        ("status=closed", ["d"]),
        ("alias: nope", []),
        ("alias: a", ["a"]),
        ('alias: "b c"', ["b c"]),
        ("priority: P1", ["a", "d"]),
        ("priority:p1 AND status:open", ["a"]),
        ("status:open priority:P2", ["b c"]),
        ('alias:"d" and status:open', []),
    ],
)
def test_a_query_finds_what_it_asks_for_and_no_more(three: World, query: str, found: list[str]) -> None:
    assert aliases(three, query) == found


@pytest.mark.parametrize(
    "query",
    [
        *("nope", "status: acked", "priority: P9", "alias: a*", "status: open OR alias: d", "NOT status: open"),
        *("(status: open)", "createdAt > 1", "tag: shop", "status: open AND status: closed", 'alias: "a', "message: x"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_and_never_ignored(three: World, query: str) -> None:
    for path in ("", "/count"):
        answer = asks(three, f"{path}?query={quote(query)}")
        assert answer.status == 422
        assert set(answer.json) == {"message", "took", "requestId"}
        assert "query" in answer.json["message"]


def test_tags_and_details_come_and_go(world: World) -> None:
    world.opsgenie.creates(tags=["shop", "kazan"], details={"floor": 1, "desk": "3"}, source="till")
    assert world.opsgenie.does("tags", "pos/12", {"tags": ["night", "shop"], "note": "by hand"}).status == 202
    assert alert(world)["tags"] == ["shop", "kazan", "night"]
    world.opsgenie.does("details", "pos/12", {"details": {"floor": 2, "rack": "b", "tags": "no"}})
    assert alert(world)["details"] == {"floor": "2", "desk": "3", "rack": "b"}
    path = "/v2/alerts/pos%2F12"
    world.opsgenie.sends(None, f"{path}/tags?identifierType=alias&tags=shop,nobody", "DELETE")
    world.opsgenie.sends(None, f"{path}/details?identifierType=alias&keys=floor,source", "DELETE")
    seen = alert(world)
    assert (seen["tags"], seen["details"], seen["source"]) == (["kazan", "night"], {"desk": "3", "rack": "b"}, "till")
    assert incident(world)["labels"] == {"desk": "3", "rack": "b", "source": "till", "tags": "kazan, night"}
    assert world.ada.timeline_of(incident(world)).kinds == ["filed", *["amended"] * 4]
    world.opsgenie.sends(None, f"{path}/tags?identifierType=alias&tags=kazan,night", "DELETE")
    assert alert(world)["tags"] == []


def test_the_room_for_labels_is_not_overrun_by_what_comes_later(world: World) -> None:
    world.opsgenie.creates(details={f"d{number}": "x" for number in range(70)}, tags=["shop"], source="till")
    assert alert(world)["tags"] == ["shop"]
    world.opsgenie.does("details", "pos/12", {"details": {"new": "y", "d0": "y"}})
    world.opsgenie.does("tags", "pos/12", {"tags": [f"{number} {'т' * 40}" for number in range(60)]})
    labels = incident(world)["labels"]
    assert len(labels) == 64
    assert (labels["d0"], labels["source"], "new" in labels) == ("y", "till", False)
    assert len(f"tags{labels['tags']}".encode()) <= 1024
    assert all(tag.endswith("т" * 40) for tag in alert(world)["tags"][1:])


@pytest.mark.parametrize("action", ["acknowledge", "unacknowledge", "close"])
def test_the_note_of_an_action_is_among_the_notes(world: World, action: str) -> None:
    world.opsgenie.creates()
    world.opsgenie.does("notes", "pos/12", {"note": "looked at it"})
    world.opsgenie.does("acknowledge", "pos/12")
    world.opsgenie.does(action, "pos/12", {"note": "it was the cable"})
    notes = asks(world, "/pos%2F12/notes?identifierType=alias").json["data"]
    assert [note["note"] for note in notes] == ["it was the cable", "looked at it"]


def test_a_note_by_alias_goes_to_the_latest_alert_also_when_it_is_closed(world: World) -> None:
    world.opsgenie.creates()
    world.opsgenie.closes()
    world.opsgenie.creates()
    world.opsgenie.closes()
    newest = world.ada.lists().ids[0]
    assert world.opsgenie.does("notes", "pos/12", {"note": "it was the cable"}).status == 202
    report = world.ada.reports_of(newest).reports[0]
    assert (report["outcome"], report["words"]) == ("noted", "it was the cable")
    assert world.ada.timeline_of(newest).kinds[-1] == "noted"
    assert world.ada.sees(newest).incident["status"] == "resolved"
    world.opsgenie.does("notes", "nobody", {"note": "?"})
    assert world.ada.log_of(world.opsgenie.id).reports[0]["outcome"] == "nothing"


@pytest.mark.parametrize("priority", [None, "P9", "", 5])
def test_without_a_priority_the_integration_s_own_severity_stands(world: World, priority: Any) -> None:
    said = {} if priority is None else {"priority": priority}
    strict = Opsgenie(world.admin, "strict", settings={"severity": "critical"})
    for machine, severity in ((strict, "critical"), (world.opsgenie, "medium")):
        machine.creates(machine.integration["name"], **said)
        id = world.ada.lists().ids[0]
        assert world.ada.sees(id).incident["severity"] == severity


def test_an_alias_of_two_lines_is_refused_because_no_path_could_name_it(world: World) -> None:
    answer = world.opsgenie.creates(alias="a\nb")
    assert answer.status == 422
    assert "one line" in answer.json["message"]
    assert world.ada.lists().ids == []
