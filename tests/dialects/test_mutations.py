"""Payloads bent in 5,000 ways through the real doors: only 2xx and the dialect's own refusals, and nothing is lost."""

import json
import random
import resource
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.dialects.test_recorded import RECORDED
from tests.senders import MACHINES, Machine
from tests.world import World

EACH = 1000  # per dialect, five of them; half on each engine, because the reading is the same there
REFUSALS = {400, 405, 413, 422}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, 1e308, "", " ", "\0", "\ud800", "\udfff", "\u202e", "💥" * 300),
    *("x" * 70_000, [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": [1, {"d": None}]}}}, ["a"] * 500, "NaN"),
    *("2026-13-45T99:99:99Z", "<script>alert(1)</script>", "{{7*7}}", "'; DROP TABLE incident; --", "%2F..%2F"),
]


def bent(body: Any, dice: random.Random) -> bytes:
    """One or a few changes to a payload: in its values, its names, its bytes."""
    value = json.loads(json.dumps(body))
    for _ in range(dice.randint(1, 3)):
        spots = list(_spots(value))
        if spots:
            holder, place = dice.choice(spots)
            holder[place] = dice.choice([*ODD, json.loads(json.dumps(value)), dice.random()])
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
        raw = bent(each["body"], dice)
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
    kept = world.ada.log_of(machine.id)
    assert kept.reports
    assert world.admin.get("/api/incidents?limit=200").status == 200


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
