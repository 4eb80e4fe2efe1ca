"""The machine-readable description of the API, from the same shapes that parse the bodies.

Shapes are msgspec Structs; each becomes a component of the same name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tocsin.kit.errors import Problem

REF = "#/components/schemas/{name}"

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457: what went wrong, and what would be right.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Stable; also a page of this server that explains it."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "allowed": {"type": "array", "items": {"type": "string"}, "description": "The moves that are possible."},
    },
}


@dataclass(frozen=True)
class Parameter:
    """One query parameter, path part or header."""

    name: str
    place: str  # query, path or header
    about: str
    schema: Mapping[str, Any]

    def said(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": self.name, "in": self.place, "description": self.about, "schema": self.schema}
        # An empty parameter is one that was left out, as a form sends it.
        return shown | {"path": {"required": True}, "query": {"allowEmptyValue": True}}.get(self.place, {})


ID: dict[str, Any] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
PLACE = ID | {"minimum": 0}  # an id to go on after; 0 is before all of them
TEXT: dict[str, Any] = {"type": "string"}
TIME: dict[str, Any] = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}

IDEMPOTENCY = Parameter(
    "Idempotency-Key",
    "header",
    "Up to 255 visible ASCII characters. The same request with the same value is answered again and not done twice.",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]+$",
        "examples": ["night-export-2026-11-23"],
    },
)
IF_MATCH = Parameter(
    "If-Match",
    "header",
    'The `ETag` of the version that is meant, such as `"3"`; another version is refused with 412.',
    {"type": "string", "pattern": '^("[0-9]{1,18}"|\\*)$', "examples": ["*"]},
)


def one_line(most: int) -> dict[str, Any]:
    """Text of one line that is not blank, of at most so many characters."""
    return {"minLength": 1, "maxLength": most, "pattern": r"^[^\n]*[^\s][^\n]*$"}


def some_of(names: Iterable[str]) -> dict[str, Any]:
    """A list of names: as a query the parameter is repeated; by commas does as well."""
    return {"type": "array", "items": {"type": "string", "enum": list(names)}}


def components(kinds: Iterable[type]) -> dict[str, Any]:
    """The schemas of all shapes, and of a problem."""
    _, schemas = msgspec.json.schema_components(tuple(kinds), ref_template=REF)
    return {**schemas, "Problem": PROBLEM_SCHEMA}


def body(kind: type, *, optional: bool = False) -> dict[str, Any]:
    """A request's body."""
    return {"required": not optional, "content": {"application/json": {"schema": _ref(kind)}}}


def answers(status: int, gives: type | None, about: str, refuses: Sequence[type[Problem]]) -> dict[int | str, Any]:
    """A route's answers by status; problems of the same status are told together."""
    good: dict[str, Any] = {"description": about}
    if gives is not None:
        good["content"] = {"application/json": {"schema": _ref(gives)}}
    told: dict[int | str, Any] = {status: good}
    for problem in sorted(refuses, key=lambda kind: kind.status):
        known = told.get(problem.status)
        text = f"{known['description']} Or: {problem.meaning}" if known else problem.meaning
        told[problem.status] = {
            "description": text,
            "content": {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}},
        }
    return told


def _ref(kind: type) -> dict[str, Any]:
    return {"$ref": REF.format(name=kind.__name__)}
