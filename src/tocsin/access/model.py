"""Roles and keys: who may do what, as one table. Foreign things are not forbidden, they are not there (404)."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

Role = Literal["admin", "operator", "viewer", "monitoring", "partner"]
ROLES: tuple[Role, ...] = get_args(Role)

Permission = Literal[
    "public",
    "incidents:file",
    "incidents:read",
    "incidents:change",
    "incidents:acknowledge",
    "timeline:read",
    "reports:send",
    "reports:read",
    "integrations:read",
    "integrations:manage",
    "channels:read",
    "channels:manage",
    "keys:manage",
    "partners:manage",
]

EVERYONE: frozenset[Role] = frozenset(ROLES)

# What a route may declare, and which roles have it. Finer rules (which incident, which move) stand in the features.
MAY: dict[Permission, frozenset[Role]] = {
    "incidents:file": frozenset({"admin", "operator", "monitoring", "partner"}),
    "incidents:read": EVERYONE,
    "incidents:change": frozenset({"admin", "operator", "monitoring", "partner"}),
    "incidents:acknowledge": frozenset({"admin", "operator", "monitoring"}),
    "timeline:read": EVERYONE,
    "reports:send": frozenset({"admin", "operator", "monitoring", "partner"}),
    # A partner's own words stand on its incident; the reports beside them may be another's.
    "reports:read": frozenset({"admin", "operator", "viewer", "monitoring"}),
    "integrations:read": frozenset({"admin", "operator"}),
    "integrations:manage": frozenset({"admin"}),
    "channels:read": frozenset({"admin", "operator"}),
    "channels:manage": frozenset({"admin"}),
    "keys:manage": frozenset({"admin"}),
    "partners:manage": frozenset({"admin"}),
}

# The sources that a role may file under; the first is not a default, the source is always named.
MAY_FILE: dict[Role, frozenset[str]] = {
    "admin": frozenset({"operator", "monitoring", "partner"}),
    "operator": frozenset({"operator", "monitoring", "partner"}),
    "viewer": frozenset(),
    "monitoring": frozenset({"monitoring"}),
    "partner": frozenset({"partner"}),
}

KEY = re.compile(r"tcs_([1-9][0-9]{0,18})_([A-Za-z0-9_-]{43})")
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
LONGEST_NAME = 200
LONGEST_OVERLAP = timedelta(days=30)
USUAL_OVERLAP = timedelta(hours=24)
ENVIRONMENTS = "e."  # begins a session's secret where the environment's key was brought
SESSION_LASTS = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `key_id` is None for the key that the environment gave."""

    key_id: int | None
    role: Role
    name: str
    partner_id: int | None = None
    partner: str | None = None  # the slug
    # Whoever holds the phone on which a channel's button was pressed.
    channel_id: int | None = None
    # The hash of the secret that was brought: a stream that it opened ends when it is no longer good.
    opened_with: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def sees_all(self) -> bool:
        """Whether every incident is this one's to see."""
        return self.role in ("admin", "operator", "viewer")

    @property
    def owner(self) -> str:
        """Whose Idempotency-Keys these are."""
        return "environment" if self.key_id is None else str(self.key_id)


ENVIRONMENT = Principal(None, "admin", "from the environment")


@dataclass(frozen=True, slots=True)
class Partner:
    """A company that incidents and keys belong to."""

    id: int
    slug: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept: its secret only as a hash."""

    id: int
    name: str
    role: Role
    partner: str | None
    partner_id: int | None
    secret_hash: bytes
    former_hash: bytes | None
    former_until: datetime | None
    created_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def opens_with(self, secret_hash: bytes, now: datetime) -> bool:
        """Whether this secret is good now. Compares in constant time."""
        if self.revoked_at is not None:
            return False
        if hmac.compare_digest(self.secret_hash, secret_hash):
            return True
        if self.former_hash is None or self.former_until is None or now >= self.former_until:
            return False
        return hmac.compare_digest(self.former_hash, secret_hash)

    @property
    def principal(self) -> Principal:
        return Principal(self.id, self.role, self.name, self.partner_id, self.partner, opened_with=self.secret_hash)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who signed in to the pages with a key; `key_id` is None for the environment's."""

    key_id: int | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made or rotated, with its secret in clear: shown this once."""

    key: Key
    text: str


def new_secret() -> str:
    """32 random bytes."""
    return secrets.token_urlsafe(32)


def new_session_secret(key_id: int | None) -> str:
    """32 random bytes; the letter before them says whether the environment's key stands behind it."""
    return ("k." if key_id is not None else ENVIRONMENTS) + new_secret()


def hashed(secret: str) -> bytes:
    """Fast on purpose: 32 random bytes need no stretching, and every request pays for it."""
    return hashlib.sha256(secret.encode()).digest()


def written(key_id: int, secret: str) -> str:
    """`tcs_<id>_<secret>`, as it is handed out."""
    return f"tcs_{key_id}_{secret}"


def taken_apart(text: str) -> tuple[int, bytes] | None:
    """The id and the secret's hash of a key as it came in; None where it is no key of ours."""
    found = KEY.fullmatch(text)
    return (int(found[1]), hashed(found[2])) if found else None


def is_weak(secret: str) -> bool:
    """Whether an admin key from the environment could be guessed: it is warned about, never refused."""
    return len(secret) < 16 or len(set(secret)) < 8 or "your" in secret.lower() or "changeme" in secret.lower()
