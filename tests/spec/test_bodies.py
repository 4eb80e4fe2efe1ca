"""Odd bodies: a clear answer, never a 500, and nothing stored."""

import json
from typing import Any

import pytest

from tests.world import World

DEEP = 100_000

LISTS = b"[" * DEEP + b"]" * DEEP
OBJECTS = b'{"a":' * DEEP + b"1" + b"}" * DEEP
DIGITS = b"9" * 5000

# name: the body, the status, the field that is named
ODD: dict[str, tuple[bytes, int, list[str]]] = {
    "nothing": (b"", 400, []),
    "white space": (b" \r\n\t", 400, []),
    "no JSON": (b"incident!", 400, []),
    "half of it": (b'{"description": "x", "sour', 400, []),
    "two of it": (b'{"description": "x", "source": "operator"} {}', 400, []),
    "a trailing comma": (b'{"description": "x", "source": "operator",}', 400, []),
    "single quotes": (b"{'description': 'x', 'source': 'operator'}", 400, []),
    "a form": (b"description=x&source=operator", 400, []),
    "a raw newline in a text": (b'{"description": "x\ny", "source": "operator"}', 400, []),
    "a byte order mark": (b'\xef\xbb\xbf{"description": "x", "source": "operator"}', 400, []),
    "bad UTF-8": (b'{"description": "\xff", "source": "operator"}', 400, []),
    "UTF-8 cut short": (b'{"description": "\xd0", "source": "operator"}', 400, []),
    "a surrogate in UTF-8": (b'{"description": "\xed\xa0\x80", "source": "operator"}', 400, []),
    "UTF-16": ('{"description": "x", "source": "operator"}'.encode("utf-16"), 400, []),
    "NaN": (b'{"description": "x", "source": "operator", "id": NaN}', 422, ["body"]),
    "infinity": (b'{"description": "x", "source": "operator", "id": -Infinity}', 422, ["body"]),
    "a name twice": (b'{"description": "x", "description": "y", "source": "operator"}', 422, ["description"]),
    "a name twice, once escaped": (
        b'{"description": "x", "\\u0064escription": "y", "source": "operator"}', 422, ["description"]
    ),
    "a name twice below": (b'{"description": "x", "source": "operator", "id": {"a": 1, "a": 2}}', 422, ["a"]),
    "NUL": (b'{"description": "a\\u0000b", "source": "operator"}', 422, ["description"]),
    "NUL in a name": (b'{"description": "x", "source": "operator", "a\\u0000": 1}', 422, ["body"]),
    "half a surrogate pair": (b'{"description": "\\ud83d", "source": "operator"}', 422, ["description"]),
    "the other half": (b'{"description": "\\udd25x", "source": "operator"}', 422, ["description"]),
    "half a pair in a name": (b'{"description": "x", "source": "operator", "\\ud83d": 1}', 422, ["body"]),
    "deep lists": (b'{"description": "x", "source": "operator", "id": ' + LISTS + b"}", 422, ["body"]),
    "deep objects": (b'{"description": "x", "source": "operator", "id": ' + OBJECTS + b"}", 422, ["body"]),
    "deep and never closed": (b"[" * DEEP, 422, ["body"]),
    "a number of 5,000 digits": (b'{"description": "x", "source": "operator", "id": ' + DIGITS + b"}", 422, ["body"]),
    "a list": (b"[]", 422, ["body"]),
    "null": (b"null", 422, ["body"]),
    "a text": (b'"incident"', 422, ["body"]),
    "a number": (b"1", 422, ["body"]),
    "a text that is a number": (b'{"description": 1, "source": "operator"}', 422, ["description"]),
    "a text that is null": (b'{"description": null, "source": "operator"}', 422, ["description"]),
    "a text that is a list": (b'{"description": "x", "source": ["operator"]}', 422, ["source"]),
    "an unknown field": (b'{"description": "x", "source": "operator", "prio": 1}', 422, ["prio"]),
    "a field in other letters": (b'{"Description": "", "description": "", "source": "x"}', 422, ["Description"]),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_body_gets_a_clear_answer_and_stores_nothing(world: World, odd: tuple[bytes, int, list[str]]) -> None:
    body, status, fields = odd
    answer = world.ada.post("/api/incidents", body)
    assert (answer.status, answer.fields) == (status, fields)
    assert answer.problem == ("malformed" if status == 400 else "invalid")
    assert world.ada.lists().ids == []
    assert world.log.events("a request failed") == []


@pytest.mark.parametrize("odd", ["bad UTF-8", "NaN", "deep lists", "deep objects", "a number of 5,000 digits", "null"])
def test_the_other_routes_read_bodies_likewise(world: World, odd: str) -> None:
    body, status, _ = ODD[odd]
    for method, path in (
        ("POST", "/api/incidents/batch"),
        ("PATCH", "/api/incidents/status"),
        ("PATCH", "/api/incidents/1"),
        ("POST", "/api/incidents/1/acknowledge"),
        ("POST", "/api/partners"),
    ):
        assert world.admin.ask(method, path, body).status == status, path


def test_escaped_text_is_the_same_as_plain_text(world: World) -> None:
    body = b'{"description": "\\u0421\\u0430\\ud83d\\udd25\\/\\n", "source": "oper\\u0061tor"}'
    assert world.ada.post("/api/incidents", body).incident["description"] == "Са🔥/\n"


def test_read_over_fields_may_hold_anything(world: World) -> None:
    values: list[Any] = [None, 2**80, -1, 1.5e308, "x", [[]], {"a": {}}]
    for value in values:
        assert world.ada.files(id=value, created_at=value).status == 201


def test_what_is_wrong_deep_inside_a_draft_is_told_with_its_place(world: World) -> None:
    body = json.dumps(
        {"incidents": [{"description": "x", "source": "operator"}, {"description": "a\0", "source": "x"}]}
    )
    assert world.ada.post("/api/incidents/batch", body.encode()).fields == ["incidents[1].description"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "",
        "application/xml",
    ],
)
def test_another_content_type_is_415(world: World, kind: str) -> None:
    answer = world.ada.ask("POST", "/api/incidents", b"{}", headers={"Content-Type": kind})
    assert (answer.status, answer.problem) == (415, "wrong-content-type")
    assert "application/json" in answer.detail


@pytest.mark.parametrize(
    "kind", [None, "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"]
)
def test_json_may_be_named_in_several_ways_or_not_at_all(world: World, kind: Any) -> None:
    body = b'{"description": "x", "source": "operator"}'
    assert world.ada.ask("POST", "/api/incidents", body, headers={"Content-Type": kind}).status == 201


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
def test_a_compressed_body_is_415(world: World, coding: str) -> None:
    answer = world.ada.ask("POST", "/api/incidents", b"{}", headers={"Content-Encoding": coding})
    assert (answer.status, answer.problem) == (415, "wrong-content-type")


def test_a_body_that_breaks_off_harms_nobody(world: World) -> None:
    request = f"POST /api/incidents HTTP/1.1\r\nHost: x\r\nx-api-key: {world.ada.key}\r\nContent-Length: 99\r\n\r\n{{"
    world.hangs_up_after(request.encode())
    assert world.ada.lists().ids == []
    assert world.log.events("a request failed") == []
