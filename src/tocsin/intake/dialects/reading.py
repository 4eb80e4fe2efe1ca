"""What the dialects share: lenient JSON, fields of any type as text, where webhooks carry their key. Pure.

A sender that has worked for years somewhere else is not refused for a number where text is meant; it is refused
only where nothing can be made of what it says.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from tocsin.intake.dialect import NotUnderstood, Received, Reply
from tocsin.intake.model import Taken
from tocsin.kit.bodies import deeper

DEEPEST = 64
MOST_FLAT = 64  # fields of a nested object that become labels; the register keeps as many
MOST_AT_ONCE = 5000  # things in one request; counted before any is read: 100,000 small ones took five seconds
SCHEMES = frozenset({"bearer", "token", "geniekey", "key"})
KEY_HEADERS = ("x-api-key", "x-routing-key")
Words = Mapping[str, str]

# Made once: `json.loads` and `json.dumps` with an option make one each time.
LENIENT = json.JSONDecoder(parse_constant=lambda _: None)
PLAIN = json.JSONEncoder(ensure_ascii=False)

MIB = 1024 * 1024
ROOM = MIB // 4


def parsed(request: Received) -> Any:
    """The body as Python values, read once for whoever asks; NaN and infinities are nulls. Raises `NotUnderstood`."""
    if request.value is msgspec.UNSET:
        request.value = _parsed(request.body)
    return request.value


def _parsed(body: bytes) -> Any:
    value = _read(body)
    if body.count(b"{") + body.count(b"[") > DEEPEST and deeper(value, DEEPEST):
        raise NotUnderstood(f"the body is nested more than {DEEPEST} deep")
    return value


def _read(body: bytes) -> Any:
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(body)
    try:  # what it does not take, and ten times slower: UTF-16, a mark, NaN, half a pair; and the words for a refusal
        return LENIENT.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except json.JSONDecodeError as problem:
        raise NotUnderstood(f"the body is not JSON: {problem.msg} at character {problem.pos}") from None
    except RecursionError:
        raise NotUnderstood("the body is nested too deeply") from None
    except ValueError:  # no UTF-8, or a number with more digits than CPython reads
        raise NotUnderstood("the body is not JSON in UTF-8, or holds a number with too many digits") from None


def fields(request: Received) -> dict[str, Any]:
    """The body as a JSON object; raises `NotUnderstood`."""
    value = parsed(request)
    if not isinstance(value, dict):
        raise NotUnderstood(f"the body must be a JSON object, not {_kind(value)}")
    return value


def written(value: Any) -> bytes:
    """Values as a body again."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair: only escaped can it be said
        return json.dumps(value).encode()


def text(value: Any) -> str | None:
    """A field of any type as text; None where there is none or it is blank."""
    if isinstance(value, str):
        return None if not value or value.isspace() else value
    if value is None:
        return None
    return str(value) if type(value) is int else PLAIN.encode(value)


def inner(value: Any) -> dict[str, Any]:
    """A nested object; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def many(value: Any) -> list[Any]:
    """A nested list; anything else counts as an empty one."""
    return value if isinstance(value, list) else []


def few(things: list[Any]) -> list[Any]:
    """The things that one request says, if they are not too many; raises `NotUnderstood`."""
    if len(things) > MOST_AT_ONCE:
        raise NotUnderstood(f"at most {MOST_AT_ONCE:,} in one request, please; these are {len(things):,}")
    return things


def room(body: bytes) -> int:
    """Bytes that the raw payloads of one request may take together, however often its parts stand in several."""
    return max(2 * len(body), ROOM)


def flat(value: Any) -> dict[str, str]:
    """A nested object as labels: `{"a": {"b": 1}}` is `{"a.b": "1"}`; nulls and blanks are left out."""
    found: dict[str, str] = {}
    if isinstance(value, dict):
        _flatten(value, "", found)
    return found


def _flatten(value: Mapping[str, Any], above: str, found: dict[str, str]) -> None:
    for key, each in value.items():
        if len(found) == MOST_FLAT:
            return
        name = f"{above}.{key}" if above else key
        if isinstance(each, dict):
            _flatten(each, name, found)
        elif name and (words := text(each)) is not None:
            found[name] = words


def dedup_key(value: Any, most: int) -> str | None:
    """A dedup key where the sender's own rules limit it: never cut, two troubles would become one.

    Raises `NotUnderstood`. Where there is no such rule any text is one; `model.fitting` makes a long one fit.
    """
    key = text(value)
    if key is not None and len(key) > most:
        raise NotUnderstood(f"the dedup key may have at most {most:,} characters; this one has {len(key):,}")
    return key


def graded(value: Any, table: Words) -> str | None:
    """Our severity for the sender's word; None where it is not in the table."""
    word = text(value)
    return None if word is None else table.get(word.strip().lower())


def first(*values: Any) -> str | None:
    """The first of some fields that says something."""
    for value in values:
        if (words := text(value)) is not None:
            return words
    return None


def under(names: Sequence[str], fields: Mapping[str, Any]) -> str | None:
    """The first of these fields that says something."""
    for name in names:
        if name in fields and (words := text(fields[name])) is not None:
            return words
    return None


def paragraph(*lines: str | None) -> str | None:
    """Lines under one another, without those that say nothing or the same again."""
    said = list(dict.fromkeys(line for line in lines if line))
    return "\n".join(said) or None


class Webhook:
    """What every webhook door shares: where the key stands, and plain JSON answers."""

    most = 16 * MIB

    def key(self, request: Received, authorization: str | None) -> str | None:
        """`Authorization` in any usual form, `x-api-key`, or `?key=`."""
        for name in KEY_HEADERS:
            if request.headers.get(name):
                return request.headers[name]
        return authorized(authorization) or request.asked("key")

    def keyless(self, request: Received) -> Received:
        """Its keys stand in headers and in the query."""
        return request

    def looks(self, request: Received) -> None:
        """A webhook never asks."""

    def shown(self, look: Any, found: Any, request_id: str) -> Reply:
        """Never needed, because `looks` finds nothing."""
        return self.refused(404, "There is nothing to see here.", request_id)

    def accepted(self, taken: Sequence[Taken], request_id: str) -> Reply:
        """Each report with what came of it, so that `curl` tells its user."""
        reports = [
            {
                "id": each.report_id,
                "outcome": each.outcome,
                "reason": each.reason,
                "incident_id": each.incident_id,
                "dedup_key": each.dedup_key,
            }
            for each in taken
        ]
        return Reply(200, {"reports": reports})

    def refused(self, status: int, why: str, request_id: str) -> Reply:
        return Reply(status, {"status": status, "message": why, "request_id": request_id})


def authorized(authorization: str | None) -> str | None:
    """The key in an `Authorization` header: `Bearer KEY`, `GenieKey KEY`, `Token token=KEY`, or Basic's password."""
    scheme, _, rest = (authorization or "").strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return password or user or None
    if scheme.lower() in SCHEMES:
        return rest.removeprefix("token=").strip('"') or None
    return None


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
