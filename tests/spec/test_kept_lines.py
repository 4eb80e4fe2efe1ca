"""A list is put together from lines that were encoded once: it must say what each incident says now, to everybody."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import World
from tocsin.access.model import ENVIRONMENT
from tocsin.db.transaction import Reader
from tocsin.incidents import lines, store
from tocsin.incidents.lines import Lines
from tocsin.incidents.model import Incident
from tocsin.incidents.store import Question

Change = Callable[[World, int], object]


def by_machine(change: str) -> Change:
    """The Opsgenie machine that opened the incident says something of it."""
    calls: dict[str, Change] = {
        "joins": lambda world, _: world.opsgenie.creates("pos/12"),
        "raises": lambda world, _: world.opsgenie.creates("pos/12", priority="P1"),
        "amends": lambda world, _: world.opsgenie.does("message", "pos/12", {"message": "POS 12 is dead"}, "PUT"),
        "tags": lambda world, _: world.opsgenie.does("tags", "pos/12", {"tags": ["till"]}),
        "acknowledges": lambda world, _: world.opsgenie.does("acknowledge", "pos/12", {}),
        "closes": lambda world, _: world.opsgenie.closes("pos/12"),
    }
    return calls[change]


CHANGES: dict[str, Change] = {
    "moves": lambda world, one: world.ada.moves(one, "in_progress"),
    "describes": lambda world, one: world.ada.edits(one, description="Other words"),
    "rates": lambda world, one: world.ada.edits(one, severity="low"),
    "acknowledges": lambda world, one: world.ada.acknowledges(one),
    "takes back": lambda world, one: (world.ada.acknowledges(one), world.ada.takes_back(one)),
    "several at once": lambda world, one: world.ada.edits(one, status="open", severity="critical", description="All"),
    **{f"machine {name}": by_machine(name) for name in ("joins", "raises", "amends", "tags", "acknowledges", "closes")},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_any_change_the_list_says_what_the_incident_says(world: World, change: Change) -> None:
    world.opsgenie.creates("pos/12")
    (before,) = world.ada.lists().incidents
    world.clock.forward(seconds=1)
    change(world, before["id"])
    (now,) = world.ada.lists().incidents
    assert now != before
    assert now == world.ada.sees(now["id"]).incident
    assert world.ada.lists().incidents == [now]


def test_a_partner_s_line_is_not_everybody_s(world: World) -> None:
    filed = world.acme.filed("Our lift stands still")
    world.ada.edits(filed["id"], description="An internal word")
    for _ in range(2):
        (inside,) = world.ada.lists().incidents
        (outside,) = world.acme.lists().incidents
        assert inside["description"] == "An internal word"
        assert outside == world.acme.sees(filed["id"]).incident
        assert outside["description"] == "Our lift stands still"


def test_one_that_changes_between_the_two_looks_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ada.filed()
    looked = []

    def many(reader: Reader, ids: Any) -> list[Incident]:
        looked.append(ids)
        return [each._replace(version=each.version + 1, status="closed") for each in real(reader, ids)]

    real = store.many
    monkeypatch.setattr(store, "many", many)
    assert [each["status"] for each in world.ada.lists().incidents] == ["new"]
    monkeypatch.setattr(store, "many", real)
    assert [each["status"] for each in world.ada.lists().incidents] == ["new"]
    assert looked == [[1]]


def test_whatever_is_known_is_not_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        world.ada.filed()
    world.ada.lists()
    monkeypatch.setattr(lines, "_encoded", None)  # nothing may be encoded any more
    assert world.ada.lists().ids == [3, 2, 1]


def test_the_oldest_lines_go_when_there_is_no_more_room(world: World) -> None:
    for n in range(6):
        world.ada.filed(f"{n} " + "x" * 1000)
    kept, db = Lines(most_bytes=5_000), world.service.db
    for _ in range(3):
        page = world.run(kept.page(db, Question(), ENVIRONMENT))
        assert [line.id for line in page] == [6, 5, 4, 3, 2, 1]
        assert 0 < kept.bytes <= 5_000


def test_a_page_of_lines_is_the_page_that_is_documented(world: World) -> None:
    for _ in range(3):
        world.ada.filed('«Ёлка» "quoted" \\ \u2028 <b>')
    answer = world.ada.lists(limit=2)
    assert list(answer.json) == ["incidents", "next"]
    assert answer.ids == [3, 2]
    assert world.ada.lists(limit=2, cursor=answer.next).json["next"] is None
