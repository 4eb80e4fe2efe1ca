"""A request that has passed the guard: who asks, what for, and the way to read and write on their behalf."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request

from tocsin.access.directory import Directory
from tocsin.access.model import Principal
from tocsin.db.batcher import Action
from tocsin.db.engine import Database
from tocsin.db.once import Kept, Once
from tocsin.db.transaction import Actor
from tocsin.kit.answers import Answer, Headers
from tocsin.kit.errors import Invalid, Problem
from tocsin.kit.keyring import Keyring
from tocsin.kit.limits import Limiter
from tocsin.kit.problems import NO_STORE
from tocsin.settings import Settings

ETAG = re.compile(r'\s*(?P<weak>W/)?"(?P<value>[\x21\x23-\x7e]*)"\s*')
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

T = TypeVar("T")
Say = Callable[[Sequence[Any]], Kept]


@dataclass
class Service:
    """What a running Tocsin consists of; `app.service` in every process that serves."""

    settings: Settings
    db: Database
    directory: Directory
    key_limits: Limiter
    address_limits: Limiter
    keyring: Keyring
    stopping: bool = False
    # What the features above keep in memory while the server runs, by its class: this room cannot name them.
    parts: dict[type, Any] = field(default_factory=dict)

    def part(self, kind: type[T]) -> T:
        """A feature's own part of the running service."""
        found: T = self.parts[kind]
        return found


class Call(Request):
    """One request inside. `body` is what the route's shape made of it; `headers_seen` are the raw headers."""

    service: Service
    principal: Principal
    content: Any
    raw_body: bytes
    headers_seen: dict[bytes, bytes]
    allowed_queries: frozenset[str]

    @property
    def db(self) -> Database:
        return self.service.db

    @property
    def request_id(self) -> str:
        name: str = self.scope["request_id"]
        return name

    @property
    def actor(self) -> Actor:
        """The caller as the timeline names it."""
        return Actor("key", self.principal.key_id)

    def given(self, name: str) -> str:
        """A part of the path, as it stands there."""
        text: str = self.scope["path_params"][name]
        return text

    def asked(self) -> Mapping[str, list[str]]:
        """The query. A parameter that the path does not take is refused: a slip must not widen a list."""
        raw = self.scope["query_string"]
        return _parsed(raw, self.allowed_queries) if raw else {}

    def versions(self) -> tuple[int, ...] | None:
        """The versions in `If-Match`; None where any will do. A weak one never matches."""
        header = self.headers_seen.get(b"if-match")
        if header is None or header.strip() == b"*":
            return None
        wanted = []
        for part in header.decode("latin-1").split(","):
            found = ETAG.fullmatch(part)
            if found is None:
                raise Invalid.field("If-Match", 'must be a version in quotes, such as "3", or *')
            number = found["value"]
            strong = found["weak"] is None and number.isascii() and number.isdigit() and len(number) < 19
            wanted.append(int(number) if strong else -1)
        return tuple(wanted)

    async def write(self, action: Action, wishes: Sequence[Any], say: Say) -> Answer:
        """Grants the wishes and says the results; once only, where the request has an Idempotency-Key."""
        value = idempotency_key(self.headers_seen)
        if value is None:
            return said(say(await self.db.write_many(action, wishes)))
        once = Once(self._scope(value), self._fingerprint(), lambda results: _if_good(say, results))
        outcome = await self.db.write_once(action, wishes, once)
        return said(outcome if isinstance(outcome, Kept) else say(outcome))

    def _scope(self, value: str) -> bytes:
        parts = (self.principal.owner, self.scope["method"], self.scope["path"], value)
        return hashlib.sha256("\0".join(parts).encode()).digest()

    def _fingerprint(self) -> bytes:
        seen = hashlib.sha256(self.raw_body)
        seen.update(b"\0" + self.headers_seen.get(b"if-match", b""))
        return seen.digest()


@lru_cache(maxsize=128)
def _parsed(raw: bytes, allowed: frozenset[str]) -> Mapping[str, list[str]]:
    """Open pages and programs ask the same again and again; what is refused is worked out each time."""
    try:
        found = parse_qs(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Invalid.field("query", "has more than 100 parameters") from None
    for name in found:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise Invalid.field(name, f"is not a query parameter of this path; it takes {known}")
    return found


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The header's value, quoted or bare; None where there is none."""
    header = headers.get(b"idempotency-key")
    if header is None:
        return None
    text = header.decode("latin-1").strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not IDEMPOTENCY_KEY.fullmatch(text):
        raise Invalid.field("Idempotency-Key", "must have 1 to 255 visible ASCII characters")
    return text


def the_only(results: Sequence[Any]) -> Any:
    """The result of a single wish; a refusal is raised."""
    (result,) = results
    if isinstance(result, Problem):
        raise result
    return result


def said(answer: Kept) -> Answer:
    """An answer on its way out."""
    headers: Headers = [NO_STORE]
    if answer.location is not None:
        headers.append((b"location", answer.location.encode("ascii")))
    if answer.etag is not None:
        headers.append((b"etag", answer.etag.encode("ascii")))
    if answer.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    return Answer(answer.body, answer.status, headers=headers)


def found(body: Any, *, headers: Headers | None = None) -> Answer:
    """200 with a body that was only read."""
    return Answer(msgspec.json.encode(body), headers=[NO_STORE, *(headers or [])])


def _if_good(say: Say, results: Sequence[Any]) -> Kept | None:
    try:
        return say(results)
    except Problem:
        return None
