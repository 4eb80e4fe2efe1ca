"""The way of a request through a dialect's door: body, key, signature, what it says, the disk, the answer.

A sender hears 2xx only when every report is on disk. Whatever goes wrong is said in the dialect's own form.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec.structs import replace

from tocsin.access.call import Call
from tocsin.access.knocking import count, looked_up, strange
from tocsin.db.transaction import Reader
from tocsin.incidents import store as incidents
from tocsin.incidents import troubles
from tocsin.incidents.model import Incident
from tocsin.intake import actions, model, store
from tocsin.intake.dialect import Dialect, Look, NotUnderstood, Received, Reply
from tocsin.intake.doors import Doors, Payloads, Refusals
from tocsin.intake.hiding import hidden, without_key
from tocsin.intake.model import Integration, Taken
from tocsin.intake.wishes import wishes_of
from tocsin.kit import errors, ids, receiving
from tocsin.kit.answers import JSON, SHOWN_PATH, Answer, Headers
from tocsin.kit.errors import Problem
from tocsin.kit.problems import NO_STORE
from tocsin.kit.unpacking import PLAIN, unpacked

LARGE = 256 * 1024  # bytes of a body that is read in a thread: others wait ten milliseconds for it at most
T = TypeVar("T")
Door = TypeVar("Door", Integration, Integration | None)


def through(dialect: Dialect) -> Callable[[Call], Awaitable[Answer]]:
    """The endpoint of all of a dialect's paths."""

    async def take_in(call: Call) -> Answer:
        # A sender's own id may stand for many requests; ours names this one, and the reports that it brings.
        call.scope["request_id"] = ids.uuid()
        try:
            reply = await _passed(call, dialect)
        except Problem as problem:
            return refusing(dialect)(problem, call.request_id)
        return _said(reply, reply.headers)

    take_in.__name__ = dialect.name
    return take_in


def refusing(dialect: Dialect) -> Callable[[Problem, str], Answer]:
    """What is wrong, in the dialect's own form."""

    def refused(problem: Problem, request_id: str) -> Answer:
        return _said(dialect.refused(problem.status, problem.detail, request_id), problem.headers)

    return refused


async def _passed(call: Call, dialect: Dialect) -> Reply:
    integration, clean = await _admitted(call, dialect)
    look = _look(dialect, clean)
    if look is not None:
        found = await call.db.read(_found, look, integration)
        return dialect.shown(look, found, call.request_id)
    keep = call.service.part(Payloads).keep
    wishes = await aside(clean.body, wishes_of, integration, clean, call.request_id, keep)
    taken: list[Taken | Problem] = await call.db.write_many(actions.take, wishes)
    for each in taken:
        if isinstance(each, Problem):
            raise each
    if wishes and all(each.refusal is not None for each in wishes):
        return dialect.refused(400, wishes[0].refusal or "", call.request_id)
    return dialect.accepted([each for each in taken if isinstance(each, Taken)], call.request_id)


async def aside(body: bytes, step: Callable[..., T], *args: Any) -> T:
    """One step of reading this body: in a thread where it is large, so that others go on meanwhile."""
    return step(*args) if len(body) <= LARGE else await asyncio.to_thread(step, *args)


async def _admitted(call: Call, dialect: Dialect) -> tuple[Integration, Received]:
    """Whose request it is, and the request without its key. As soon as it is known whose, a refusal is in its log."""
    head, authorization = _head(call)
    try:
        request = replace(head, body=await _body(call, dialect))
    except Problem as problem:
        known = _known(call, dialect, head, authorization)
        if known is not None:
            await call.service.part(Refusals).note(known, problem.detail, head, call.request_id)
        raise
    integration, key = await _opened(call, dialect, request, authorization)
    try:
        count(call, integration.owner)
        _must_fit(call, dialect, integration, request)
    except Problem as problem:
        await call.service.part(Refusals).note(integration, problem.detail, head, call.request_id)
        raise
    return integration, await aside(request.body, without_key, request, key)


def _head(call: Call) -> tuple[Received, str | None]:
    """The request before its body, and the header that is a key and nothing else."""
    path = call.scope.get("raw_path", call.scope["path"].encode()).decode("latin-1").partition("?")[0]
    raw = call.scope["query_string"].decode("latin-1")
    try:
        query = parse_qs(raw, keep_blank_values=True, max_num_fields=100) if raw else {}
    except ValueError:
        raise errors.Malformed("The query has more than 100 parameters.") from None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers_seen.items()}
    authorization = headers.pop("authorization", None)
    headers["x-request-id"] = call.request_id
    return Received(call.scope["method"], path.removesuffix("/"), query, headers, b""), authorization


async def _body(call: Call, dialect: Dialect) -> bytes:
    settings, seen = call.service.settings, call.headers_seen
    raw = await receiving.body(
        call.scope, call.receive, seen, most=dialect.most, chunk=settings.chunk_deadline, whole=settings.body_deadline
    )
    encoding = seen.get(b"content-encoding", b"").strip().lower()
    # A few KiB may become 16 MiB: in a thread, however small it is.
    return raw if encoding in PLAIN else await asyncio.to_thread(unpacked, raw, encoding, dialect.most)


def _known(call: Call, dialect: Dialect, head: Received, authorization: str | None) -> Integration | None:
    """Whose request it is whose body was refused: known where the key stands outside of it."""
    try:
        key = model.tidy(dialect.key(head, authorization))
    except NotUnderstood:
        return None
    return _with_key(call, call.service.part(Doors).find(key), key) if key else None


def _with_key(call: Call, found: Door, key: str) -> Door:
    """What was found; if something was, a key that stands in the path does not come into the log of requests."""
    if found is not None:
        call.scope[SHOWN_PATH] = hidden(call.scope["path"], key)
    return found


async def _opened(
    call: Call, dialect: Dialect, request: Received, authorization: str | None
) -> tuple[Integration, str]:
    """Whose door it is; raises `Malformed`, `NoKey`, `WrongKey` or `TooMany`."""
    try:
        key = model.tidy(await aside(request.body, dialect.key, request, authorization))
    except NotUnderstood as why:
        raise errors.Malformed(str(why)) from None
    doors = call.service.part(Doors)
    integration = doors.find(key) if key else None
    if integration is None:
        if not key:
            strange(call)
            raise errors.NoKey("An integration's key is needed; `tocsin integrations create` makes one.")
        integration = await looked_up(call, doors.find_fresh, key)
        if integration is None:
            raise errors.WrongKey("This is not the key of an integration, or it was removed or rotated.")
    assert key is not None
    return _with_key(call, integration, key), key


def _must_fit(call: Call, dialect: Dialect, integration: Integration, request: Received) -> None:
    """The integration is for this dialect; where it has a signing secret, the request must carry its signature."""
    if integration.dialect != dialect.name:
        raise errors.NotAllowed(
            f"This key is for the dialect `{integration.dialect}`; `{dialect.name}` needs one of its own."
        )
    if integration.sealed is None:
        return
    secret = call.service.keyring.unseal(integration.sealed)["signing"]
    signed = getattr(dialect, "signed", None)
    if signed is None or not signed(request, secret, integration.rules, call.db.clock()):
        raise errors.WrongKey(
            "The signature does not fit: it must be made with this integration's signing secret, and, where it has a "
            "timestamp header, within 5 minutes."
        )


def _look(dialect: Dialect, request: Received) -> Look | None:
    """What the request asks, if it asks, in text that every database takes; raises `Malformed`."""
    try:
        look = dialect.looks(request)
    except NotUnderstood as why:
        raise errors.Malformed(str(why)) from None
    if look is None:
        return None
    return replace(look, dedup_key=model.tidy(look.dedup_key), request_id=model.tidy(look.request_id))


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
