"""The way of a request through a dialect's door: body, key, signature, what it says, the disk, the answer.

A sender hears 2xx only when every report is on disk. Whatever goes wrong is said in the dialect's own form.
"""

import uuid
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec

from tocsin.access.call import Call
from tocsin.access.guard import count, strange
from tocsin.db.transaction import Reader
from tocsin.incidents import store as incidents
from tocsin.incidents import troubles
from tocsin.incidents.model import Incident
from tocsin.intake import actions, model, store
from tocsin.intake.dialect import Dialect, Look, NotUnderstood, Received, Reply
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.doors import Doors, Payloads
from tocsin.intake.model import Integration, Rules, Said, Taken
from tocsin.kit import errors, receiving
from tocsin.kit.answers import JSON, Answer, Headers
from tocsin.kit.errors import Problem
from tocsin.kit.problems import NO_STORE

MOST_AT_ONCE = 5000
HIDDEN = b"redacted"
# What a dialect may see of a request's headers, and what is kept: never one that carries a key.
SAFE = frozenset({"user-agent", "content-type", "content-encoding", "x-request-id", "from", "accept"})


def through(dialect: Dialect) -> Callable[[Call], Awaitable[Answer]]:
    """The endpoint of all of a dialect's paths."""

    async def take_in(call: Call) -> Answer:
        # A sender's own id may stand for many requests; ours names this one, and the reports that it brings.
        call.scope["request_id"] = str(uuid.uuid4())
        try:
            reply = await _passed(call, dialect)
        except Problem as problem:
            reply = dialect.refused(problem.status, problem.detail, call.request_id)
            return _said(reply, problem.headers)
        except NotUnderstood as refusal:  # of a look; what is said and not understood is kept, below
            return _said(dialect.refused(400, str(refusal), call.request_id), {})
        return _said(reply, reply.headers)

    take_in.__name__ = dialect.name
    return take_in


async def _passed(call: Call, dialect: Dialect) -> Reply:
    request, authorization = await _received(call, dialect)
    integration, key = await _opened(call, dialect, request, authorization)
    _must_be_signed(call, dialect, integration, request)
    clean = without_key(request, key)
    look = dialect.looks(clean)
    if look is not None:
        found = await call.db.read(_found, look, integration)
        return dialect.shown(look, found, call.request_id)
    wishes = wishes_of(integration, clean, call.request_id, call.service.part(Payloads).keep)
    taken: list[Taken | Problem] = await call.db.write_many(actions.take, wishes)
    for each in taken:
        if isinstance(each, Problem):
            raise each
    if wishes and wishes[0].refusal is not None:
        return dialect.refused(400, wishes[0].refusal, call.request_id)
    return dialect.accepted([each for each in taken if isinstance(each, Taken)], call.request_id)


def wishes_of(
    integration: Integration, request: Received, request_id: str | None, keep: int, replay_of: int | None = None
) -> list[actions.Take]:
    """What a request says, each thing as a wish; what cannot be read is one that is only kept.

    `keep` is how many bytes of the raw payload are.
    """
    dialect = DIALECTS[integration.dialect]
    target = f"{request.method} {request.path}"
    if request.query:
        target += "?" + urlencode([(name, value) for name, values in request.query.items() for value in values])
    agent = model.tidy(request.headers.get("user-agent", "")[: model.LONGEST_SENDER]) or None

    def wish(said: Said, refusal: str | None = None) -> actions.Take:
        return actions.Take(integration.sender, said, target, agent, request_id, model.tidy(refusal), replay_of, keep)

    try:
        return [wish(each) for each in items(dialect, integration.rules, request)]
    except NotUnderstood as refusal:
        return [wish(Said("trigger", request.body), str(refusal) or "it cannot be read")]


def items(dialect: Dialect, rules: Rules, request: Received) -> list[Said]:
    """What a request says, in good order; raises `NotUnderstood`."""
    said = dialect.read(request, rules)
    if len(said) > MOST_AT_ONCE:
        raise NotUnderstood(f"at most {MOST_AT_ONCE:,} in one request, please; these are {len(said):,}")
    pattern = model.Pattern(rules.asset_pattern)
    return [model.whole(each, rules, pattern) for each in said]


async def _received(call: Call, dialect: Dialect) -> tuple[Received, str | None]:
    settings, seen = call.service.settings, call.headers_seen
    raw = await receiving.body(
        call.receive, seen, most=dialect.most, chunk=settings.chunk_deadline, whole=settings.body_deadline
    )
    body = unpacked(raw, seen.get(b"content-encoding", b"").strip().lower(), dialect.most)
    path = call.scope.get("raw_path", call.scope["path"].encode()).decode("latin-1").partition("?")[0]
    try:
        query = parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise errors.Malformed("The query has more than 100 parameters.") from None
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in seen.items()}
    authorization = headers.pop("authorization", None)
    headers["x-request-id"] = call.request_id
    return Received(call.scope["method"], path.removesuffix("/"), query, headers, body), authorization


def unpacked(raw: bytes, encoding: bytes, most: int) -> bytes:
    """The body without its compression; a bomb is noticed before it is unpacked."""
    if encoding in (b"", b"identity"):
        return raw
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise errors.WrongContentType("Send the body as it is, or with `content-encoding: gzip`.")
    opener = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, whichever it is
    try:
        body = opener.decompress(raw, most + 1)
    except zlib.error:
        raise errors.Malformed("The body is not what its `content-encoding` says.") from None
    if len(body) > most:
        raise errors.TooLarge(f"The body may have at most {most:,} bytes here, unpacked; nothing was stored.")
    if not opener.eof:
        raise errors.Malformed("The body's compressed form breaks off.")
    return body


async def _opened(
    call: Call, dialect: Dialect, request: Received, authorization: str | None
) -> tuple[Integration, str]:
    """Whose door it is; raises `NoKey`, `WrongKey`, `NotAllowed` or `TooMany`."""
    key = model.tidy(dialect.key(request, authorization))
    doors = call.service.part(Doors)
    integration = doors.find(key) if key else None
    if integration is None:
        strange(call, call.service)
        if not key:
            raise errors.NoKey("An integration's key is needed; `tocsin integrations create` makes one.")
        integration = await doors.find_fresh(key)
        if integration is None:
            raise errors.WrongKey("This is not the key of an integration, or it was removed or rotated.")
    assert key is not None
    count(call, call.service, integration.owner)
    if integration.dialect != dialect.name:
        raise errors.NotAllowed(
            f"This key is for the dialect `{integration.dialect}`; `{dialect.name}` needs one of its own."
        )
    return integration, key


def _must_be_signed(call: Call, dialect: Dialect, integration: Integration, request: Received) -> None:
    """Where the integration has a signing secret, the request must carry its signature."""
    if integration.sealed is None:
        return
    secret = call.service.keyring.unseal(integration.sealed)["signing"]
    signed = getattr(dialect, "signed", None)
    if signed is None or not signed(request, secret, integration.rules, call.db.clock()):
        raise errors.WrongKey(
            "The signature does not fit: it must be made with this integration's signing secret, and, where it has a "
            "timestamp header, within 5 minutes."
        )


def without_key(request: Received, key: str) -> Received:
    """The request as it may be read, kept and shown: wherever the key stood, it no longer does."""
    text, shown = key, HIDDEN.decode()
    query = {
        name.replace(text, shown): [value.replace(text, shown) for value in values]
        for name, values in request.query.items()
    }
    headers = {name: value.replace(text, shown) for name, value in request.headers.items() if name in SAFE}
    body = request.body.replace(key.encode("utf-8", "surrogatepass"), HIDDEN)
    return Received(request.method, request.path.replace(text, shown), query, headers, body)


def _found(reader: Reader, look: Look, integration: Integration) -> Any:
    """What a look finds among the integration's own."""
    if look.what == "request":
        return store.reports_of_request(reader, integration.id, look.request_id or "")
    if look.what == "list":
        return troubles.of_owner(reader, integration.owner, _wanted(look), look.limit, look.offset)
    if look.what == "count":
        return troubles.count_of_owner(reader, integration.owner, _wanted(look))
    incident = _meant(reader, look, integration.owner)
    if look.what == "one" or incident is None:
        return incident
    return store.notes_of_incident(reader, incident.id, look.limit)


def _wanted(look: Look) -> troubles.Wanted:
    return troubles.Wanted(look.active, look.dedup_key, look.severity)


def _meant(reader: Reader, look: Look, owner: str) -> Incident | None:
    if look.incident_id is not None:
        incident = incidents.one(reader, look.incident_id)
        return incident if incident is not None and incident.dedup_owner == owner else None
    return troubles.latest_trouble(reader, owner, look.dedup_key) if look.dedup_key else None


def _said(reply: Reply, headers: Mapping[str, str]) -> Answer:
    more: Headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    body = b"" if reply.body is None else msgspec.json.encode(reply.body)
    return Answer(body, reply.status, kind=JSON, headers=[NO_STORE, *more])


def again(target: str, body: bytes, request_id: str | None = None) -> Received:
    """A kept payload as a request once more, under its own request id: a sender without keys is deduplicated by it."""
    method, _, address = target.partition(" ")
    path, _, query = address.partition("?")
    headers = {"x-request-id": request_id} if request_id is not None else {}
    return Received(method, path, parse_qs(query, keep_blank_values=True), headers, body)
