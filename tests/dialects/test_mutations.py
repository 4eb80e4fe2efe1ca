"""Requests bent in 8,000 ways through the real doors, and through our own: in bodies, addresses and headers.

Only 2xx and the dialect's own refusals come back, nothing is lost, and the key never stands in anything that is kept.
"""

import base64
import json
import random
import re
import resource
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest

from tests.dialects.test_recorded import RECORDED
from tests.people import Answer
from tests.senders import MACHINES, Machine
from tests.world import World

EACH = 1000  # per dialect, five of them; half on each engine, because the reading is the same there
REFUSALS = {400, 405, 413, 422}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, 1e308, "", " ", "\0", "\ud800", "\udfff", "\u202e", "💥" * 300),
    *("x" * 70_000, [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": [1, {"d": None}]}}}, ["a"] * 500, "NaN"),
    *("2026-13-45T99:99:99Z", "<script>alert(1)</script>", "{{7*7}}", "'; DROP TABLE incident; --", "%2F..%2F"),
]


def bent(body: Any, dice: random.Random, key: str = "") -> bytes:
    """One or a few changes to a payload: in its values, its names, its bytes; `key` stands where it has no business."""
    value = json.loads(json.dumps(body))
    for _ in range(dice.randint(1, 3)):
        spots = list(_spots(value))
        if spots:
            holder, place = dice.choice(spots)
            holder[place] = dice.choice([*ODD, key, {key: key}, json.loads(json.dumps(value)), dice.random()])
            value = json.loads(json.dumps(value))
    raw = json.dumps(value).encode()
    return dice.choice(BROKEN)(raw, dice) if dice.random() < 0.3 else raw


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    for place in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, place
        yield from _spots(value[place])


BROKEN: list[Any] = [
    lambda raw, dice: raw[: dice.randrange(len(raw) + 1)],
    lambda raw, dice: raw.replace(b":", b"::", 1),
    lambda raw, dice: bytes(each ^ (dice.random() < 0.01) << dice.randrange(8) for each in raw),
    lambda raw, dice: b"[" * dice.randrange(1, 100_000),
    lambda raw, dice: b'{"a":' * 5000 + raw + b"}" * 5000,
    lambda raw, dice: raw.replace(b"null", b"NaN").replace(b"1", b"-Infinity", 1),
    lambda raw, dice: b"\xef\xbb\xbf" + raw,
    lambda raw, dice: raw.decode().encode("utf-16"),
    lambda raw, dice: b'{"a": ' + b"9" * 10_000 + b"}",
    lambda raw, dice: b"",
    lambda raw, dice: raw + raw,
]


def _target(machine: Machine, recorded: dict[str, Any]) -> str:
    path: str = recorded["path"]
    return path if "?" in path else path + "?" + urlencode({"identifierType": "alias"})


@pytest.mark.parametrize("dialect", MACHINES)
def test_bent_payloads_are_taken_or_refused_in_the_dialect_s_own_words(world: World, dialect: str) -> None:
    machine = MACHINES[dialect](world.admin)
    dice = random.Random(f"{dialect} ")
    recorded = [json.loads(file.read_text()) for file in RECORDED if file.parent.name == dialect]
    recorded = [each for each in recorded if "body" in each]
    statuses: dict[int, int] = {}
    before = 0.0
    for count in range(EACH // 2):
        each = dice.choice(recorded)
        raw = bent(each["body"], dice, machine.key)
        if dialect == "pagerduty":  # its key stands in the body: a bent one would only be refused for that
            raw = raw.replace(b'"redacted"', json.dumps(machine.key).encode())
        answer = machine.sends(raw, _target(machine, each), each["method"])
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status // 100 == 2 or answer.status in REFUSALS | {401, 403}, (answer, raw[:200])
        if answer.status >= 400:
            assert _own_words(dialect, answer.json), answer
        if count == EACH // 10:
            before = _memory()
    assert sum(number for status, number in statuses.items() if status // 100 == 2) > EACH // 8, statuses
    assert sum(number for status, number in statuses.items() if status in REFUSALS) > EACH // 20, statuses
    assert _memory() - before < 96, "MiB more after four times as many payloads"
    _keeps_no_key(world, machine)
    assert world.admin.get("/api/incidents?limit=200").status == 200


def _keeps_no_key(world: World, machine: Machine) -> None:
    """Reads back the newest 200 reports: in no spelling that a reader would see the key in."""
    log = world.ada.log_of(machine.id, limit=200)
    assert log.reports
    assert machine.key not in log.body.decode()
    for report in log.reports:
        raw = world.admin.get(f"/api/reports/{report['id']}").json["raw"]
        if raw is None:
            continue
        body = base64.b64decode(raw["body"]) if raw["encoding"] == "base64" else raw["body"].encode()
        for text in (body.decode("utf-8", "replace"), body.decode("utf-16", "replace"), raw["target"]):
            for seen in (text, text.replace("\0", ""), unquote(text), ESCAPE.sub(lambda it: chr(int(it[1], 16)), text)):
                assert machine.key not in seen
    assert machine.key not in world.log.text


ADDRESSES = 300  # bent addresses and headers per dialect, on each engine
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
WORDS = [
    *("%00", "%00n", "%ff%fe", "%ED%A0%80", "%zz", "%", "%0d%0aX-Api-Key:%20a", "%2F..%2F..", "..", "a" * 600, "+"),
    *(quote("💥" * 200), "%F0%AF%A0%80" * 512, "%E2%80%AE", "-1", "0", "9" * 30, "1e3", "", "count", "requests/%00"),
    *("\x00", "\xff\xfe", "a b", "/", "//", "x" * 20_000, "[]=1&[]=2", "&".join("abc" * 50)),
]
NAMES = ["identifierType", "limit", "offset", "query", "status", "key", "%00", "a[]", ""]
HEADERS = [
    "User-Agent",
    "Content-Type",
    "Content-Encoding",
    "X-Request-Id",
    "From",
    "Accept",
    "X-\xff",
    "Idempotency-Key",
]
VALUES = ["", "\x00", "\xff\xfe", "%00", "x" * 5000, "gzip", "deflate", "application/xml", "\t", "\xc3\xa9", "💥"]


def test_bent_addresses_and_headers_are_taken_or_refused_in_the_dialect_s_own_words(world: World) -> None:
    for dialect in MACHINES:
        machine = MACHINES[dialect](world.admin)
        world.run(world.refresh_doors())
        dice = random.Random(f"{dialect} addresses")
        recorded = [json.loads(file.read_text()) for file in RECORDED if file.parent.name == dialect]
        recorded = [each for each in recorded if "body" in each]
        for _ in range(ADDRESSES):
            each = dice.choice(recorded)
            body = json.dumps(each["body"]).replace("redacted", machine.key).encode()
            method = dice.choice([each["method"], each["method"], "GET", "DELETE", "PUT"])
            request = _request(method, _bent_target(each["path"], dialect, machine.key, dice), machine, body, dice)
            world.clock.forward(seconds=1)  # every refusal is noted
            _is_answered_well(world.raw(request), dialect, request)
        _keeps_no_key(world, machine)


def _bent_target(target: str, dialect: str, key: str, dice: random.Random) -> str:
    """Odd words in the path, where the dialect reads it, and in the query."""
    path, _, query = target.partition("?")
    words = [*WORDS, key, quote(key), "".join(f"%{ord(each):02X}" for each in key)]
    if dialect == "opsgenie" and dice.random() < 0.7:
        parts = [*path.split("/")[3:], "1", "notes"][: dice.randint(1, 3)]
        parts[dice.randrange(len(parts))] = dice.choice(words)
        path = "/".join(("/v2/alerts", *parts))
    if dice.random() < 0.3:
        query = "identifierType=alias"
    for _ in range(dice.randint(0, 2)):
        query += f"&{dice.choice([*NAMES, dice.choice(words)])}={dice.choice(words)}"
    return f"{path}?{query}" if query else path


def _request(method: str, target: str, machine: Machine, body: bytes, dice: random.Random) -> bytes:
    """Byte for byte, as no client would let it out."""
    headers = {"Host": "a", "Content-Length": str(len(body)), "Connection": "close", **machine.headers()}
    for _ in range(dice.randint(0, 2)):
        headers[dice.choice(HEADERS)] = dice.choice(VALUES)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "surrogateescape") + body


def _is_answered_well(answer: Answer, dialect: str, request: bytes) -> None:
    if answer.status == 400 and answer.headers["content-type"].startswith("text/plain"):
        return  # the parser's own: see docs/errors.md
    assert answer.status // 100 == 2 or answer.status in REFUSALS | {401, 403, 404, 415}, (answer, request[:300])
    if answer.status >= 400 and "problem" not in answer.headers["content-type"]:
        assert _own_words(dialect, answer.json), (answer, request[:300])


OWN = [
    {"summary": "POS 12 is down", "dedup_key": "pos/12", "severity": "critical", "labels": {"city": "Kazan"}},
    {"action": "acknowledge", "dedup_key": "pos/12"},
    {"action": "resolve", "dedup_key": "pos/12", "description": "over", "asset": "pos-12", "source": "monitoring"},
]


def test_bent_reports_of_our_own_are_taken_or_refused_as_problems(world: World) -> None:
    dice = random.Random("own")
    statuses: dict[int, int] = {}
    for _ in range(EACH // 2):
        headers = {dice.choice([*HEADERS[:3], "If-Match"]): dice.choice(["", "x" * 5000, "\xff"])}
        raw = bent(dice.choice(OWN), dice)
        answer = world.probe.ask("POST", "/api/reports", raw, headers=headers if dice.random() < 0.1 else None)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status == 201 or answer.status in REFUSALS | {415}, (answer, raw[:200])
        assert answer.status == 201 or answer.problem
    assert statuses[201] > EACH // 64, statuses
    assert statuses[422] > EACH // 32, statuses
    log = world.ada.lists(limit=200)
    assert log.incidents
    assert world.ada.reports_of(log.incidents[0]).reports


def _own_words(dialect: str, body: Any) -> bool:
    names = {
        "pagerduty": {"status", "message", "errors"},
        "opsgenie": {"message", "took", "requestId"},
    }.get(dialect, {"status", "message", "request_id"})
    return set(body) == names


def _memory() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


TEXTS = [
    *("Скутер 875643 не отвечает", "机器坏了", "عربى", "e\u0301", "💥🚪", "a\tb", "<b>&amp;</b>", "\\u0041", "'\"`;--"),
    *("\u202eabc", "\ufeffabc", "a\u2028b", "%s %d {0} ${x}", "=1+1", "{{7*7}}", "\U0010ffff", "ab" * 30),
]


@pytest.mark.parametrize("dialect", ["pagerduty", "opsgenie", "generic", "alertmanager"])
def test_text_comes_back_as_it_was_sent(world: World, dialect: str) -> None:
    machine = MACHINES[dialect](world.admin)
    for place, words in enumerate(TEXTS):
        _says(machine, f"key {place}", words)
    log = world.ada.log_of(machine.id).reports
    assert [each["outcome"] for each in log] == ["opened"] * len(TEXTS)
    for words, report in zip(reversed(TEXTS), log, strict=True):
        incident = world.ada.sees(report["incident_id"]).incident
        assert incident["labels"]["words"] == words
        assert incident["summary"] == words.split("\n")[0].strip()


def _says(machine: Any, key: str, words: str) -> None:
    labels = {"words": words}
    match machine.dialect:
        case "pagerduty":
            answer = machine.triggers(key, words, custom_details=labels)
        case "opsgenie":
            answer = machine.creates(key, words, details=labels)
        case "generic":
            answer = machine.says({"id": key, "title": words, "words": words})
        case _:
            answer = machine.fires(key, words, **labels)
    assert answer.status // 100 == 2, answer
