"""`Idempotency-Key`: a request that is sent again is answered again and not done again."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from tests.people import Answer
from tests.world import World
from tocsin.db import once
from tocsin.db.schema import kept_answer
from tocsin.db.transaction import Reader


def kept(reader: Reader) -> int:
    row = reader.row(select(func.count()).select_from(kept_answer))
    assert row is not None
    return int(row[0])


def test_the_second_answer_is_the_first_byte_for_byte_and_says_so(world: World) -> None:
    first = world.ada.files(once="call-17")
    world.clock.forward(minutes=1)
    again = world.ada.files(once="call-17")
    assert (again.status, again.body) == (201, first.body)
    for header in ("location", "etag", "content-type"):
        assert again.headers[header] == first.headers[header]
    assert first.headers["idempotency-replayed"] is None
    assert again.headers["idempotency-replayed"] == "true"
    assert world.ada.lists().ids == [1]
    assert world.ada.timeline().kinds == ["filed"]


def test_it_holds_for_every_way_to_write(world: World) -> None:
    incident = world.ada.filed()
    calls: list[Callable[[], Answer]] = [
        lambda: world.ada.moves(incident, "open", once="same"),
        lambda: world.ada.moves(incident, "open", by="PUT", once="same"),
        lambda: world.ada.edits(incident, description="other", once="same"),
        lambda: world.ada.acknowledges(incident, once="same"),
        lambda: world.ada.files_many([], once="same"),
        lambda: world.admin.post("/api/partners", {"slug": "initech"}, once="same"),
    ]
    firsts = [call() for call in calls]
    world.ada.moves(incident, "closed")
    for first, call in zip(firsts, calls, strict=True):
        again = call()
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["idempotency-replayed"] == "true"
    assert world.ada.sees(incident).incident["status"] == "closed"


def test_the_same_value_with_another_body_is_422_and_does_nothing(world: World) -> None:
    world.ada.files("one", once="call-17")
    answer = world.ada.files("two", once="call-17")
    assert (answer.status, answer.problem) == (422, "idempotency-key-reused")
    assert world.ada.lists().ids == [1]


def test_the_same_value_with_another_if_match_is_another_request(world: World) -> None:
    incident = world.ada.filed()
    world.ada.moves(incident, "open", once="move", if_match='"1"')
    assert world.ada.moves(incident, "open", once="move", if_match='"2"').problem == "idempotency-key-reused"
    assert world.ada.moves(incident, "open", once="move").problem == "idempotency-key-reused"
    replay = world.ada.moves(incident, "open", once="move", if_match='"1"')
    assert (replay.status, replay.headers["idempotency-replayed"]) == (200, "true")


def test_the_value_belongs_to_the_key_the_method_and_the_path(world: World) -> None:
    incident, other = world.ada.filed(), world.ada.filed()
    assert world.ada.files("x", once="same").incident["id"] == 3
    assert world.bob.files("x", once="same").incident["id"] == 4
    assert (
        world.ada.ask("PATCH", "/api/incidents/status", {"incident_id": 1, "status": "open"}, once="same").status == 200
    )
    assert (
        world.ada.ask("PUT", "/api/incidents/status", {"incident_id": 2, "status": "open"}, once="same").status == 200
    )
    assert world.ada.acknowledges(incident, once="same").incident["id"] == incident["id"]
    assert world.ada.acknowledges(other, once="same").incident["id"] == other["id"]


def test_a_rotated_key_keeps_its_values(world: World) -> None:
    world.ada.files(once="call-17")
    number = (world.ada.key or "").split("_")[1]
    renewed = world.ada.with_key(world.admin.post(f"/api/keys/{number}/rotate").json["secret"])
    assert renewed.files(once="call-17").headers["idempotency-replayed"] == "true"


def test_answers_are_kept_for_24_hours(world: World) -> None:
    world.ada.files(once="call-17")
    world.clock.forward(hours=23, minutes=59, seconds=59)
    assert world.ada.files(once="call-17").incident["id"] == 1
    world.clock.forward(seconds=1)
    fresh = world.ada.files("something else", once="call-17")
    assert (fresh.incident["id"], fresh.headers["idempotency-replayed"]) == (2, None)


def test_old_answers_are_forgotten(world: World) -> None:
    world.ada.files(once="call-17")
    world.clock.forward(hours=12)
    world.ada.files(once="call-18")
    assert world.reads(kept) == 2
    world.clock.forward(hours=12)
    world.run(world.service.db.write(once.forget, world.clock() - once.KEPT_FOR))
    assert world.reads(kept) == 1


def test_answers_outlive_a_restart(world: World) -> None:
    first = world.ada.files(once="call-17")
    world.restarts()
    assert world.ada.files(once="call-17").body == first.body


def test_only_successes_are_kept(world: World) -> None:
    incident = world.ada.filed(status="closed")
    assert world.ada.moves(incident, "resolved", once="x").problem == "refused-move"
    assert world.ada.moves(404, "open", once="y").problem == "not-found"
    assert world.ada.files(source="police", once="z").problem == "invalid"
    world.ada.moves(incident, "open")
    world.ada.filed()
    assert world.ada.moves(incident, "resolved", once="x").status == 200
    assert world.ada.files(once="z").status == 201


def test_a_value_may_stand_in_quotes(world: World) -> None:
    assert world.ada.files(once='"call-17"').incident["id"] == 1
    assert world.ada.files(once="call-17").incident["id"] == 1


@pytest.mark.parametrize("value", ["v" * 255, "!", "~", "a,b", '"' + "v" * 255 + '"'])
def test_a_value_has_up_to_255_visible_ascii_characters(world: World, value: str) -> None:
    assert world.ada.files(once=value).status == 201


@pytest.mark.parametrize(
    "value", ["", '""', "v" * 256, "two words", "ключ".encode().decode("latin-1"), "caf\xe9", "a\tb"]
)
def test_any_other_value_is_422_and_stores_nothing(world: World, value: str) -> None:
    answer = world.ada.files(once=value)
    assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
    assert world.ada.lists().ids == []


def test_a_bad_value_is_422_where_nothing_is_stored_as_well(world: World) -> None:
    path = f"/api/integrations/{world.generic.id}/try"
    answer = world.admin.post(path, {"body": {}}, once="two words")
    assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
    assert world.admin.post(path, {"body": {}}, once="one-word").status == 200


def test_making_a_key_refuses_it_because_its_answer_must_not_be_kept(world: World) -> None:
    for path, body in (("/api/keys", {"name": "x", "role": "viewer"}), ("/api/keys/2/rotate", {})):
        answer = world.admin.post(path, body, once="x")
        assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
    assert len(world.admin.get("/api/keys").json["keys"]) == 7
    assert world.ada.lists().status == 200
    assert world.reads(kept) == 0


def test_a_double_in_flight_waits_for_the_first(world: World) -> None:
    answers = world.together([lambda: world.ada.files(once="call-17")] * 3)
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert [answer.headers["idempotency-replayed"] for answer in answers] == [None, "true", "true"]
    assert world.ada.lists().ids == [1]


def test_doubles_from_many_sides_at_once_make_one_incident(world: World) -> None:
    answers = world.at_once([lambda: world.ada.files(once="call-17")] * 16)
    assert {answer.body for answer in answers} == {answers[0].body}
    assert world.ada.lists().ids == [1]


def test_a_double_with_another_body_in_flight_is_refused(world: World) -> None:
    first, second = world.together([lambda: world.ada.files("one", once="x"), lambda: world.ada.files("two", once="x")])
    assert (first.status, second.problem) == (201, "idempotency-key-reused")
