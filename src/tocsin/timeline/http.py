"""How the timeline is said: `GET /api/timeline`, and the shape of an entry for everyone who shows one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tocsin.access.call import Call, found
from tocsin.access.guard import Routes
from tocsin.access.model import Principal
from tocsin.db.transaction import Reader
from tocsin.kit import errors, ids, openapi, paging
from tocsin.kit.answers import Answer
from tocsin.kit.clock import rfc3339
from tocsin.timeline import store
from tocsin.timeline.bell import Bell
from tocsin.timeline.model import Entry

routes = Routes("timeline")


class ActorView(msgspec.Struct):
    """Who did it; partners see the type only."""

    type: str
    id: int | None
    name: str | None


class EntryView(msgspec.Struct):
    """One line of the timeline."""

    id: int
    at: str
    kind: str
    incident_id: int | None
    actor: ActorView
    changes: Mapping[str, Sequence[Any]]
    refs: Mapping[str, int]
    request_id: str | None


class EntryPage(msgspec.Struct):
    """Entries, oldest first. `next` goes into `after=`; null at the end: a follower goes on from its last id."""

    entries: list[EntryView]
    next: str | None


AFTER = openapi.Parameter("after", "query", "Only entries after this id, the last one read; or `next`.", openapi.PLACE)
LIMIT = openapi.Parameter(
    "limit",
    "query",
    "At most so many.",
    {"type": "integer", "minimum": 1, "maximum": paging.MOST, "default": paging.USUAL},
)
WAIT = openapi.Parameter(
    "wait",
    "query",
    "Seconds that the answer may wait for an entry.",
    {"type": "integer", "minimum": 0, "maximum": 60, "default": 0},
)
LONGEST_WAIT = 60
BREATH = 0.5  # seconds after which a waiting request looks whether it may still wait


def asked_for(call: Call) -> tuple[int, int]:
    """`after` and `limit` from the query."""
    asked = call.asked()
    after = asked.get("after", [""])[-1] or "0"
    return 0 if after == "0" else ids.whole(after, "after"), paging.limit(asked.get("limit", [None])[-1])


def page(entries: Sequence[Entry], limit: int, who: Principal) -> EntryPage:
    """A page for this caller; `entries` has one more than `limit` where there is a next page."""
    shown = entries[:limit]
    more = str(shown[-1].id) if len(entries) > limit else None
    return EntryPage([view(entry, who) for entry in shown], more)


def view(entry: Entry, who: Principal) -> EntryView:
    """An entry as this caller may see it."""
    outside = who.role == "partner"
    actor = ActorView(entry.actor_type, None if outside else entry.actor_id, None if outside else entry.actor_name)
    return EntryView(
        entry.id,
        rfc3339(entry.at),
        entry.kind,
        entry.incident_id,
        actor,
        entry.changes,
        {} if outside else entry.refs,
        None if outside else entry.request_id,
    )


def visible(reader: Reader, who: Principal, after: int, limit: int) -> list[Entry]:
    """Entries that this caller may see: admins all, people those of incidents, the others those of their own."""
    if who.role == "admin":
        return store.everything(reader, after, limit)
    if who.sees_all:
        return store.of_incidents(reader, after, limit)
    if who.partner_id is not None:
        return store.of_partner(reader, who.partner_id, after, limit)
    return store.of_key(reader, ids.in_range(who.key_id or 0, "key"), after, limit)


@routes.add(
    "GET",
    "/api/timeline",
    may="timeline:read",
    gives=EntryPage,
    parameters=(AFTER, LIMIT, WAIT),
    refuses=(errors.Invalid,),
)
async def read_timeline(call: Call) -> Answer:
    """Everything that happened, as far as the key may see it, oldest first. Who follows by `next` skips nothing.

    With `wait` the answer comes when there is an entry after `after`, or empty when so many seconds are over.
    """
    after, limit = asked_for(call)
    until = asyncio.get_running_loop().time() + _wait(call)
    bell = call.service.part(Bell)
    while True:
        seen = bell.newest
        entries = await call.db.read(visible, call.principal, after, limit + 1)
        if entries or not await _news(call, bell, seen, until):
            return found(page(entries, limit, call.principal))


async def _news(call: Call, bell: Bell, seen: int, until: float) -> bool:
    """Waits for the bell; false where it did not ring, or this caller may wait no longer. Reads nothing."""
    loop, service = asyncio.get_running_loop(), call.service
    while (left := until - loop.time()) > 0 and not service.stopping and service.directory.still_good(call.principal):
        if await bell.rung(seen, min(left, BREATH)):
            return True
    return False


def _wait(call: Call) -> float:
    text = call.asked().get("wait", [""])[-1] or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 2 or int(text) > LONGEST_WAIT:
        raise errors.Invalid.field("wait", f"must be a whole number of seconds from 0 to {LONGEST_WAIT}")
    return float(text)
