"""Recorded payloads: what each dialect makes of what its senders really send, and of what is broken.

`recorded/<dialect>/<name>.json` holds the request and where it comes from; `expected` is what is read from it, or
`refused` says why not. `python -m tests.dialects.test_recorded` writes what is read now into files that have neither.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from msgspec.structs import asdict

from tocsin.intake.dialect import NotUnderstood, Received
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.drafts import _own_said
from tocsin.intake.model import Rules, Said
from tocsin.intake.shapes import ReportDraft
from tocsin.intake.wishes import items
from tocsin.kit.bodies import Shape
from tocsin.kit.errors import Problem

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*/*.json"))
OWN = "reports"  # `POST /api/reports`
NEEDED = {"trigger", "repeat", "resolve", "odd", "broken"}


def request_of(recorded: dict[str, Any]) -> Received:
    """The request as the door gives it to the dialect."""
    path, _, query = recorded["path"].partition("?")
    body = recorded["text"].encode() if "text" in recorded else json.dumps(recorded["body"]).encode()
    return Received(recorded["method"], path, parse_qs(query), recorded.get("headers", {}), body)


def read(dialect: str, recorded: dict[str, Any]) -> dict[str, Any]:
    """What is read from a recorded request, in the form in which it is expected."""
    try:
        said = said_by(dialect, Rules(**recorded.get("rules", {})), request_of(recorded))
    except NotUnderstood as refusal:
        return {"refused": str(refusal)}
    except Problem as refusal:
        return {"refused": refusal.detail}
    return {"expected": [_plain(each) for each in said]}


def said_by(dialect: str, rules: Rules, request: Received) -> list[Said]:
    """What a request says; our own way has a shape of its own and no dialect."""
    if dialect == OWN:
        return [_own_said(Shape(ReportDraft, nested=True).read(request.body), request.body)]
    said = items(DIALECTS[dialect], rules, request)
    assert all(isinstance(each, Said) for each in said)
    return [each for each in said if isinstance(each, Said)]


def _plain(said: Said) -> dict[str, Any]:
    """Without the raw payload, and without what it does not say."""
    return {name: value for name, value in asdict(said).items() if name != "raw" and value not in (None, {})}


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_it_is_read_as_expected(file: Path) -> None:
    recorded = json.loads(file.read_text())
    assert read(file.parent.name, recorded) == {
        name: recorded[name] for name in ("expected", "refused") if name in recorded
    }


@pytest.mark.parametrize("dialect", [*DIALECTS, OWN])
def test_every_dialect_has_its_five(dialect: str) -> None:
    assert {file.stem for file in RECORDED if file.parent.name == dialect} >= NEEDED


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_each_thing_said_can_be_said_again_alone(file: Path) -> None:
    recorded = json.loads(file.read_text())
    dialect, rules = file.parent.name, Rules(**recorded.get("rules", {}))
    if "refused" in recorded:
        return
    request = request_of(recorded)
    for each in said_by(dialect, rules, request):
        alone = Received(request.method, request.path, request.query, request.headers, each.raw)
        (said,) = said_by(dialect, rules, alone)
        assert _plain(said) == _plain(each)


if __name__ == "__main__":
    for file in RECORDED:
        recorded = json.loads(file.read_text())
        if "expected" not in recorded and "refused" not in recorded:
            recorded |= read(file.parent.name, recorded)
            file.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
            print(
                file.parent.name,
                file.stem,
                json.dumps(recorded.get("expected", recorded.get("refused")), ensure_ascii=False)[:700],
            )
