"""Of a batch of 64 one fails, in every way that there is: the other 63 are stored as if it had never been there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.world import World
from tocsin.db.schema import entry, incident
from tocsin.db.transaction import Reader, Writer
from tocsin.incidents import actions

SIZE = 64
PLACE = 37  # of the one that fails
POISON = "the one that fails"
DRAFT = {"description": POISON, "source": "operator"}

# What a caller can get wrong in one draft. The rest of the request is read all the same.
WRONG: dict[str, tuple[Any, int]] = {
    "null": (None, 422),
    "a number": (7, 422),
    "a text": ("x", 422),
    "a list": ([], 422),
    "nothing in it": ({}, 422),
    "no description": ({"source": "operator"}, 422),
    "no source": ({"description": "x"}, 422),
    "a description that is no text": (DRAFT | {"description": 5}, 422),
    "a description that is too long": (DRAFT | {"description": "x" * 65_537}, 422),
    "an unknown source": (DRAFT | {"source": "somebody"}, 422),
    "an unknown status": (DRAFT | {"status": "asleep"}, 422),
    "an unknown severity": (DRAFT | {"severity": "loud"}, 422),
    "an unknown partner": (DRAFT | {"source": "partner", "partner": "nobody"}, 422),
    "an unknown field": (DRAFT | {"colour": "red"}, 422),
    "a summary of two lines": (DRAFT | {"summary": "a\nb"}, 422),
    "labels that are no texts": (DRAFT | {"labels": {"a": 1}}, 422),
    "an asset that is no text": (DRAFT | {"asset": ["a"]}, 422),
}
# What the database may refuse for one row's sake, by SQLSTATE; SQLite's trigger can only abort, fail or roll back.
REFUSED = {
    "postgresql": ("22001", "22P05", "23502", "23503", "23505", "23514", "42501", "P0001", "XX000"),
    "sqlite": ("ABORT", "FAIL"),
}
# What says that the database cannot write at all: nothing of the batch is stored, and all are told to come back.
# On SQLite: what ends the transaction behind our back, as a full disk may in the middle of one.
AWAY = {"postgresql": ("40001", "40P01", "53100", "55P03", "57014"), "sqlite": ("ROLLBACK",)}
# What makes the whole body unreadable: a JSON that no two readers would read alike.
UNREADABLE = {
    "a NUL": r'{"description": "a\u0000b", "source": "operator"}',
    "half a character": r'{"description": "a\ud800b", "source": "operator"}',
    "a name twice": '{"description": "x", "source": "operator", "source": "operator"}',
    "NaN": '{"description": NaN, "source": "operator"}',
    "no JSON": '{"description": ',
    "too deep": '{"description": ' + "[" * 3000 + "]" * 3000 + "}",
}
TRIGGERS = {
    "postgresql": """
        CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '{how}'; END $$;;
        CREATE TRIGGER poisoned BEFORE INSERT ON incident FOR EACH ROW
        WHEN (NEW.description = 'the one that fails') EXECUTE FUNCTION poisoned()
    """,
    "sqlite": """
        CREATE TRIGGER poisoned BEFORE INSERT ON incident WHEN NEW.description = 'the one that fails'
        BEGIN SELECT RAISE({how}, 'poison'); END
    """,
}
DROPS = {"postgresql": "DROP FUNCTION poisoned CASCADE", "sqlite": "DROP TRIGGER poisoned"}


def test_what_one_draft_gets_wrong_costs_the_other_63_nothing(world: World, figures: Figures) -> None:
    for way, (draft, status) in WRONG.items():
        _one_fails(world, way, draft, status)
    figures("one of a batch of 64 is wrong", f"{len(WRONG)} ways; the other 63 stored each time")


def test_a_draft_that_spoils_the_whole_body_stores_none(world: World, figures: Figures) -> None:
    """And the same request without it stores the 63."""
    good = [json.dumps(each) for each in _drafts("readable")[:-1]]
    for way, raw in UNREADABLE.items():
        body = f'{{"incidents": [{", ".join([*good[:PLACE], raw, *good[PLACE:]])}]}}'
        answer = world.ada.post("/api/incidents/batch", body.encode())
        assert answer.status in (400, 422), (way, answer)
        assert _held(world) == set()
    answer = world.ada.post("/api/incidents/batch", f'{{"incidents": [{", ".join(good)}]}}'.encode())
    assert [result["status"] for result in answer.json["results"]] == [201] * (SIZE - 1)
    figures("one of a batch of 64 makes the body unreadable", f"{len(UNREADABLE)} ways; refused whole, none stored")


def test_what_the_database_refuses_of_one_costs_the_other_63_nothing(world: World, figures: Figures) -> None:
    """Twice: as one request of 64 drafts, and as 64 requests that share a transaction."""
    ways = REFUSED[world.service.db.name][: size(3, 100)]
    for way in ways:
        with _poisoned(world, way):
            _one_fails(world, way, DRAFT, 500)
            _one_of_the_requests_fails(world, way)
    figures("one of a batch of 64 is refused by the database", f"{len(ways)} ways, in one request and in 64; 63 stored")


def test_a_fault_of_our_own_in_one_costs_the_other_63_nothing(
    world: World, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the rules, before anything is written, and behind them, when its row has been."""
    places = {"rules": (actions, "_checked"), "row": (actions, "_row"), "answer": (actions, "_filed")}
    for way, (module, name) in places.items():
        with monkeypatch.context() as patch:
            patch.setattr(module, name, _stumbling(getattr(module, name)))
            _one_fails(world, way, DRAFT, 500)
            _one_of_the_requests_fails(world, way)
    figures("one of a batch of 64 meets a fault of ours", f"{len(places)} places, in one request and in 64; 63 stored")


def test_a_database_that_cannot_write_refuses_all_64_and_stores_none(world: World, figures: Figures) -> None:
    """What one row meets may say that nobody can write at the moment: all are told to come back."""
    before, ways = _held(world), AWAY[world.service.db.name]
    for way in ways:
        with _poisoned(world, way):
            drafts = _drafts(way)
            drafts[PLACE] = DRAFT
            answer = world.ada.files_many(drafts)
            assert answer.status == 503, (way, answer)
            assert answer.headers["retry-after"]
            assert _held(world) == before
    figures("one of a batch of 64 finds that nothing can be written", f"{len(ways)} ways; 503 to all, none stored")


def _one_fails(world: World, way: str, draft: Any, status: int) -> None:
    """One request: a problem in its place, the others stored, in order, each with its entry and nothing else."""
    before = _held(world)
    drafts = _drafts(way)
    drafts[PLACE] = draft
    answer = world.ada.files_many(drafts)
    assert answer.status == 200, (way, answer)
    results = answer.json["results"]
    expected = [201] * SIZE
    expected[PLACE] = status
    assert [result["status"] for result in results] == expected, way
    assert results[PLACE]["problem"]["type"].startswith("/errors/")
    ids = [result["incident"]["id"] for result in results if "incident" in result]
    del drafts[PLACE]
    _stored(world, before, ids, [each["description"] for each in drafts])


def _one_of_the_requests_fails(world: World, way: str) -> None:
    """64 requests that wait for the same transaction."""
    before = _held(world)
    drafts = _drafts(f"{way}, alone")
    drafts[PLACE] = DRAFT
    answers = world.together([partial(world.ada.post, "/api/incidents", each) for each in drafts])
    statuses = [answer.status for answer in answers]
    assert (statuses.pop(PLACE), set(statuses)) == (500, {201}), way
    del answers[PLACE]
    del drafts[PLACE]
    _stored(world, before, [a.incident["id"] for a in answers], [each["description"] for each in drafts])


def _stored(world: World, before: set[int], ids: list[int], descriptions: list[str]) -> None:
    """Just these are new, each as it was asked for and with one entry in the timeline."""
    fresh = {
        each["id"]: each["description"] for each in world.ada.lists(limit=SIZE).incidents if each["id"] not in before
    }
    assert fresh == dict(zip(ids, descriptions, strict=True))
    assert _held(world) == before | set(ids)
    assert len(ids) == SIZE - 1
    kept = world.reads(_filed_entries, min(ids))
    assert sorted(kept) == sorted(ids)


def _filed_entries(reader: Reader, least: int) -> list[int]:
    """The incidents of these entries, one for each entry."""
    return [row.incident_id for row in reader.rows(select(entry.c.incident_id).where(entry.c.incident_id >= least))]


def _held(world: World) -> set[int]:
    return set(world.reads(lambda reader: [row.id for row in reader.rows(select(incident.c.id))]))


def _drafts(way: str) -> list[Any]:
    return [{"description": f"{way}, {number}", "source": "operator"} for number in range(SIZE)]


def _stumbling(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but it fails for the one."""

    def stumble(*args: Any) -> Any:
        if any(getattr(arg, "description", None) == POISON for arg in args):
            raise ZeroDivisionError
        return function(*args)

    return stumble


@contextmanager
def _poisoned(world: World, how: str) -> Iterator[None]:
    """A database that would not take the one, in this way."""
    world.run(world.service.db.write(_statements, TRIGGERS[world.service.db.name].format(how=how)))
    try:
        yield
    finally:
        world.run(world.service.db.write(_statements, DROPS[world.service.db.name]))


def _statements(tx: Writer, wishes: Sequence[str]) -> list[None]:
    for wish in wishes:
        for statement in wish.split(";;"):
            tx.bare.exec_driver_sql(statement)
    tx.wrote = True
    return [None for _ in wishes]
