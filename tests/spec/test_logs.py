"""The log: JSON, one line each, no secrets, no bodies."""

import json

import pytest
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


class Full:
    """What a log is on a full disk."""

    def write(self, lines: bytes) -> None:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_costs_its_lines_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(logs.out, "file", Full())
        world.ada.filed("with a full log")
        structlog.get_logger("tocsin").warning("nobody can read this")
        world.run(logs.flush())
    assert world.log.events("log lines could not be written and are lost") == []
    world.run(logs.flush())
    (said,) = world.log.events("log lines could not be written and are lost")
    assert said["writes"] == 2
    world.run(logs.flush())
    assert len(world.log.events("log lines could not be written and are lost")) == 1


def test_a_fault_of_ours_after_a_commit_ends_no_write_but_its_own(world: World) -> None:
    def faulty(touched: object) -> None:
        raise RuntimeError("a fault of ours")

    calls = world.service.db.batcher.after_commit
    calls.append(faulty)
    world.ada.filed("its caller has its answer: it is on the disk")
    calls.remove(faulty)
    world.ada.filed("and so has the next")
    assert world.log.events("a batch failed")


def test_the_requests_lines_can_be_switched_off(world: World) -> None:
    world.restarts(access_log=False)
    world.ada.filed()
    assert world.log.events("request") == []
