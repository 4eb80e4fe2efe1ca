"""Who hears of which entry, and what a listener is sent. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from tocsin.access.model import Principal
from tocsin.timeline.model import Entry


@dataclass(frozen=True, slots=True)
class About:
    """The incident of an entry, as far as listeners ask for it."""

    status: str
    source: str
    filed_by: int | None
    partner_id: int | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a listener wants to hear of; empty means everything."""

    statuses: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    incident_id: int | None = None

    def want(self, entry: Entry, about: About | None) -> bool:
        """Whether this entry is for the listener."""
        if self.incident_id is not None and entry.incident_id != self.incident_id:
            return False
        if self.statuses and (about is None or about.status not in self.statuses):
            return False
        return not self.sources or (about is not None and about.source in self.sources)


@dataclass(frozen=True, slots=True)
class Frame:
    """An entry on its way to listeners: written out once for people and programs, once for partners."""

    entry: Entry
    about: About | None
    inside: bytes
    outside: bytes

    def to(self, who: Principal) -> bytes:
        return self.outside if who.role == "partner" else self.inside


def may_see(who: Principal, entry: Entry, about: About | None) -> bool:
    """Whether this entry is there for this caller; the same as `GET /api/timeline` says."""
    if who.role == "admin":
        return True
    if who.sees_all:
        return entry.incident_id is not None
    if about is None:
        return False
    if who.partner_id is not None:
        return about.partner_id == who.partner_id
    return about.filed_by is not None and about.filed_by == who.key_id


def event(name: str, said: Any, id: int | None = None) -> bytes:
    """One server-sent event."""
    place = b"id: %d\n" % id if id is not None else b""
    return place + b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(said) + b"\n\n"


def farewell(why: str) -> bytes:
    """The last event of a stream that the server ends."""
    return event("bye", {"why": why})


HEARTBEAT = b": still here\n\n"
