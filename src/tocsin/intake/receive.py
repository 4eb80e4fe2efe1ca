"""The way of a request through a dialect's door: body, key, signature, what it says, the disk, the answer.

A sender hears 2xx only when every report is on disk. Whatever goes wrong is said in the dialect's own form.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from tocsin.access.call import Call
from tocsin.access.guard import count, strange
from tocsin.db.transaction import Reader
from tocsin.incidents import store as incidents
from tocsin.incidents import troubles
from tocsin.incidents.model import Incident
from tocsin.intake import actions, model, store
from tocsin.intake.dialect import Dialect, Look, Received, Reply
from tocsin.intake.doors import Doors
from tocsin.intake.hiding import without_key
from tocsin.intake.model import Integration, Taken
from tocsin.intake.wishes import wishes_of
from tocsin.kit import errors, receiving
from tocsin.kit.answers import JSON, Answer, Headers
from tocsin.kit.errors import Problem
from tocsin.kit.problems import NO_STORE
from tocsin.kit.unpacking import unpacked

LARGE = 256 * 1024  # bytes of a body that is read in a thread: others wait ten milliseconds for it at most
T = TypeVar("T")


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
        return _said(reply, reply.headers)

    take_in.__name__ = dialect.name
    return take_in


async def _passed(call: Call, dialect: Dialect) -> Reply:
    request, authorization = await _received(call, dialect)
    integration, key = await _opened(call, dialect, request, authorization)
    _must_be_signed(call, dialect, integration, request)
    clean = await aside(request.body, without_key, request, key)
    look = dialect.looks(clean)
    if look is not None:
        found = await call.db.read(_found, look, integration)
        return dialect.shown(look, found, call.request_id)
    wishes = await aside(clean.body, wishes_of, dialect, integration, clean, call)
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


async def _received(call: Call, dialect: Dialect) -> tuple[Received, str | None]:
    settings, seen = call.service.settings, call.headers_seen
    raw = await receiving.body(
        call.receive, seen, most=dialect.most, chunk=settings.chunk_deadline, whole=settings.body_deadline
    )
    encoding = seen.get(b"content-encoding", b"").strip().lower()
    body = await aside(raw, unpacked, raw, encoding, dialect.most)
    path = call.scope.get("raw_path", call.scope["path"].encode()).decode("latin-1").partition("?")[0]
    try:
        query = parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise errors.Malformed("The query has more than 100 parameters.") from None
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in seen.items()}
    authorization = headers.pop("authorization", None)
    headers["x-request-id"] = call.request_id
    return Received(call.scope["method"], path.removesuffix("/"), query, headers, body), authorization


async def _opened(
    call: Call, dialect: Dialect, request: Received, authorization: str | None
) -> tuple[Integration, str]:
    """Whose door it is; raises `NoKey`, `WrongKey`, `NotAllowed` or `TooMany`."""
    key = model.tidy(await aside(request.body, dialect.key, request, authorization))
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
    if signed is None or not signed(request, secret, integration.rules):
        raise errors.WrongKey("The signature does not fit: it must be made with this integration's signing secret.")


def _found(reader: Reader, look: Look, integration: Integration) -> Any:
    """What a look finds among the integration's own."""
    if look.what == "request":
        return store.reports_of_request(reader, integration.id, look.request_id or "")
    if look.what == "list":
        return troubles.of_owner(reader, integration.owner, look.active, look.limit, look.offset)
    if look.what == "count":
        return troubles.count_of_owner(reader, integration.owner, look.active)
    incident = _meant(reader, look, integration.owner)
    if look.what == "one" or incident is None:
        return incident
    return store.notes_of_incident(reader, incident.id, look.limit)


def _meant(reader: Reader, look: Look, owner: str) -> Incident | None:
    if look.incident_id is not None:
        incident = incidents.one(reader, look.incident_id)
        return incident if incident is not None and incident.dedup_owner == owner else None
    return troubles.latest_trouble(reader, owner, look.dedup_key) if look.dedup_key else None


def _said(reply: Reply, headers: Mapping[str, str]) -> Answer:
    more: Headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    body = b"" if reply.body is None else msgspec.json.encode(reply.body)
    return Answer(body, reply.status, kind=JSON, headers=[NO_STORE, *more])
