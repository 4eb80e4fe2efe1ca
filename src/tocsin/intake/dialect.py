"""What a dialect is: one file in `dialects/` that reads a sender's requests and answers in its words. Pure.

A `Received` never holds a key when it is read: the door takes it out of the request before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from tocsin.intake.model import Rules, Said, Taken


class NotUnderstood(Exception):
    """The dialect cannot read this request; the message says what would be right, in the sender's words."""


class Received(msgspec.Struct):
    """A request without its key. `path` is as it came (`%2F` stays), but for a last slash; names are lower case.

    `value` is what its body says in JSON, as soon as somebody has asked `reading.parsed`, which parses a body once.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes
    value: Any = msgspec.UNSET

    def asked(self, name: str) -> str | None:
        """One value of the query."""
        values = self.query.get(name)
        return values[-1] if values else None


class Unread(msgspec.Struct, frozen=True):
    """One of several things that cannot be read, whatever the others say. `raw` is a body that says this alone."""

    raw: bytes
    why: str


class Look(msgspec.Struct, frozen=True):
    """What a sender asks instead of says. `what` is `one`, `list`, `count`, `notes` or `request`."""

    what: Literal["one", "list", "count", "notes", "request"]
    dedup_key: str | None = None
    incident_id: int | None = None
    request_id: str | None = None
    active: bool | None = None
    severity: str | None = None
    limit: int = 20
    offset: int = 0


class Reply(msgspec.Struct, frozen=True):
    """What a dialect answers: JSON, or nothing where `body` is None."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Path:
    """Where a dialect listens. `{rest:path}` takes everything below; the dialect reads `Received.path` itself."""

    methods: str
    path: str


class Dialect(Protocol):
    """One file in `dialects/`, one line in its list."""

    name: str
    title: str
    most: int  # bytes of a body

    @property
    def paths(self) -> Sequence[Path]:
        """Where it listens; the first is where a payload is tried."""
        ...

    def key(self, request: Received, authorization: str | None) -> str | None:
        """Where this sender puts its key; None where there is none. `authorization` is that header, as it came.

        Raises `NotUnderstood` where the key stands in a body that cannot be read.
        """
        ...

    def keyless(self, request: Received) -> Received:
        """The request without what stands where this sender puts its keys, good or not; raises `NotUnderstood`."""
        ...

    def read(self, request: Received, rules: Rules) -> Sequence[Said | Unread]:
        """Each thing that the request says; raises `NotUnderstood` where it cannot be taken apart."""
        ...

    def looks(self, request: Received) -> Look | None:
        """What the request asks; None where it says something."""
        ...

    def shown(self, look: Look, found: Any, request_id: str) -> Reply:
        """The answer to a look: an incident, a list, a number, reports; None where nothing was found."""
        ...

    def accepted(self, taken: Sequence[Taken], request_id: str) -> Reply:
        """The answer to what was said and is on disk now."""
        ...

    def refused(self, status: int, why: str, request_id: str) -> Reply:
        """The dialect's own error: 400, 401, 403, 404, 405, 413, 415, 429, 500 or 503."""
        ...

    def lines(self, url: str, key: str) -> str:
        """What a user pastes into the sender, or sets there."""
        ...
