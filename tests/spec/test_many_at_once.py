"""Many at once: `POST /api/incidents/batch`."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.world import World
from tocsin.db.schema import incident as table
from tocsin.incidents import actions

GOOD = {"description": "Scooter offline", "source": "operator"}


def test_every_draft_gets_its_own_result_in_the_order_of_the_request(world: World) -> None:
    drafts: list[Any] = [
        GOOD | {"description": "first"},
        GOOD | {"source": "police"},
        GOOD | {"status": "closed", "description": "third"},
        GOOD | {"priority": 1},
        "no draft",
        {"source": "operator"},
        GOOD | {"description": "last"},
    ]
    answer = world.ada.files_many(drafts)
    assert answer.status == 200
    results = answer.json["results"]
    assert [result["status"] for result in results] == [201, 422, 201, 422, 422, 422, 201]
    assert [result["incident"]["description"] for result in results if "incident" in result] == [
        "first",
        "third",
        "last",
    ]
    problems = [result["problem"] for result in results if "problem" in result]
    assert [problem["errors"][0]["field"] for problem in problems] == ["source", "priority", "body", "description"]
    assert all(list(result) in (["status", "incident"], ["status", "problem"]) for result in results)
    assert world.ada.lists().ids == [3, 2, 1]
    assert world.ada.timeline().kinds == ["filed"] * 3


def test_a_source_that_the_key_may_not_use_is_refused_for_that_draft_alone(world: World) -> None:
    results = world.probe.files_many([GOOD, GOOD | {"source": "monitoring"}]).json["results"]
    assert [result["status"] for result in results] == [403, 201]
    assert results[0]["problem"]["type"] == "/errors/not-allowed"


def test_a_thousand_are_taken_and_one_more_is_refused_whole(world: World) -> None:
    results = world.ada.files_many([GOOD] * 1000).json["results"]
    assert [result["incident"]["id"] for result in results] == list(range(1, 1001))
    answer = world.ada.files_many([GOOD] * 1001)
    assert (answer.status, answer.fields) == (422, ["incidents"])
    assert "1,000" in answer.detail
    assert world.ada.lists(limit=1).ids == [1000]


def test_none_at_all_is_an_empty_result(world: World) -> None:
    assert world.ada.files_many([]).json == {"results": []}


@pytest.mark.parametrize("body", [{}, {"incidents": None}, {"incidents": {}}, {"incidents": [], "x": 1}, [], None, 1])
def test_a_body_that_is_no_batch_is_422(world: World, body: Any) -> None:
    assert world.ada.ask("POST", "/api/incidents/batch", body if body is not None else b"null").status == 422


def test_one_idempotency_key_covers_the_request(world: World) -> None:
    first = world.ada.files_many([GOOD, GOOD | {"source": "police"}, GOOD], once="night-7")
    again = world.ada.files_many([GOOD, GOOD | {"source": "police"}, GOOD], once="night-7")
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"
    assert world.ada.lists().ids == [2, 1]
    assert world.ada.files_many([GOOD], once="night-7").problem == "idempotency-key-reused"


def test_a_name_that_stands_twice_in_one_draft_spoils_the_request(world: World) -> None:
    body = b'{"incidents": [{"description": "a", "description": "b", "source": "operator"}]}'
    answer = world.ada.post("/api/incidents/batch", body)
    assert (answer.status, answer.fields) == (422, ["description"])


@pytest.fixture
def poison() -> Iterator[pytest.MonkeyPatch]:
    """The database refuses whatever is described as poison, until this is undone."""
    file = actions.file

    def poisoned(tx: Any, wishes: Any) -> Any:
        results = file(tx, wishes)
        for wish in wishes:
            if wish.description.startswith("poison"):
                tx.run(table.insert(), [{"description": wish.description, "status": None, "version": 1}])
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actions, "file", poisoned)
        yield patch


def test_a_draft_that_the_database_refuses_harms_only_itself(world: World, poison: pytest.MonkeyPatch) -> None:
    results = world.ada.files_many([GOOD, GOOD | {"description": "poison"}, GOOD]).json["results"]
    assert [result["status"] for result in results] == [201, 500, 201]
    assert results[1]["problem"]["type"] == "/errors/broken"
    assert len(world.ada.lists().ids) == 2
    assert world.ada.timeline().kinds == ["filed", "filed"]


def test_a_wish_that_the_database_refuses_harms_nobody_who_shares_its_transaction(
    world: World, poison: pytest.MonkeyPatch
) -> None:
    answers = world.together(
        [
            lambda: world.ada.files("one"),
            lambda: world.bob.files("poison", once="poisoned"),
            lambda: world.probe.files("two"),
            lambda: world.ada.files("three", once="good"),
        ]
    )
    assert [answer.status for answer in answers] == [201, 500, 201, 201]
    assert answers[1].problem == "broken"
    assert [incident["description"] for incident in world.ada.lists().incidents] == ["three", "two", "one"]
    assert world.ada.timeline().kinds == ["filed"] * 3
    poison.undo()
    assert world.bob.files("poison", once="poisoned").status == 201, "a refusal must not be kept"


def test_nothing_of_what_the_database_refused_stands_in_the_log(world: World, poison: pytest.MonkeyPatch) -> None:
    world.ada.files("poison MARKER")
    world.ada.files_many([GOOD, GOOD | {"description": "poison MARKER"}])
    assert "a write failed" in world.log.text
    assert "MARKER" not in world.log.text
