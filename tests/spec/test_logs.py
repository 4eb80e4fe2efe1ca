"""The log: JSON, one line each, no secrets, no bodies."""

import json

import structlog

from tests.world import World
from tocsin.kit import logs


def test_every_line_is_json_and_every_request_has_one(world: World) -> None:
    answer = world.ada.files()
    world.ada.get("/nowhere")
    lines = [json.loads(line) for line in world.log.text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("POST", "/api/incidents", 201),
        ("GET", "/nowhere", 404),
    ]
    assert requests[0]["request_id"] == answer.headers["x-request-id"]
    assert {"at", "level", "logger", "event"} <= set(requests[0])


def test_neither_words_nor_keys_nor_queries_stand_in_the_log(world: World) -> None:
    incident = world.ada.filed("MARKER-1", summary="MARKER-2")
    world.ada.edits(incident, description="MARKER-3", once="MARKER-4")
    world.ada.files_many([{"description": "MARKER-5", "source": "MARKER-6"}])
    world.ada.post("/api/incidents", b'{"MARKER-7')
    world.ada.lists(status="MARKER-8")
    world.ada.with_key("MARKER-9").lists()
    made = world.admin.makes_key("night shift", "viewer").json["secret"]
    world.stranger.with_key(made).lists()
    assert len(world.log.events("request")) >= 8
    for secret in ("MARKER", made, world.ada.key, world.admin.key):
        assert secret is not None
        assert secret not in world.log.text
        assert secret.split("_", 2)[-1] not in world.log.text


def test_a_line_cannot_be_forged(world: World) -> None:
    world.ada.ask("GET", "/x%0A%7B%22event%22:%22forged%22%7D")
    assert world.log.events("forged") == []


def test_lines_stand_in_the_order_in_which_things_happened(world: World) -> None:
    """Requests are written many in a row, but never after what came later."""
    world.ada.files()
    structlog.get_logger("tocsin").warning("later")
    written = [json.loads(line)["event"] for line in world.log.getvalue().splitlines()]
    assert written[-2:] == ["request", "later"]


def test_a_request_s_line_is_soon_there(world: World) -> None:
    world.ada.files()
    world.run(logs.flush())
    assert b'"event":"request"' in world.log.getvalue()


def test_the_requests_lines_can_be_switched_off(world: World) -> None:
    world.restarts(access_log=False)
    world.ada.filed()
    assert world.log.events("request") == []
