"""What may be done with keys and partners. Each function takes many wishes and gives one result for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tocsin.access import store
from tocsin.access.model import LONGEST_NAME, ROLES, SESSION_LASTS, SLUG, Key, NewKey, Partner, hashed, written
from tocsin.db.transaction import Actor, Happening, Writer
from tocsin.kit.errors import AlreadyThere, Invalid, NotFound, Problem

W = TypeVar("W")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class CreateKey:
    """A key with this secret. A partner that is not there yet is made."""

    name: str
    role: str
    partner: str | None
    secret: str
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RotateKey:
    """A new secret; the one before stays good for `overlap`."""

    key_id: int
    secret: str
    overlap: timedelta
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RevokeKey:
    key_id: int
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AddPartner:
    slug: str
    name: str
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A session under this secret for whoever brought the key; for the environment's key `key_id` is None.

    `opened_with` is the hash of the key's secret: a session lasts no longer than what opened it.
    """

    key_id: int | None
    secret_hash: bytes
    opened_with: bytes | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignOut:
    key_id: int | None
    secret_hash: bytes
    request_id: str | None = None


def create_key(tx: Writer, wishes: Sequence[CreateKey]) -> list[NewKey | Problem]:
    return _each(tx, wishes, _create_key)


def rotate_key(tx: Writer, wishes: Sequence[RotateKey]) -> list[NewKey | Problem]:
    return _each(tx, wishes, _rotate_key)


def revoke_key(tx: Writer, wishes: Sequence[RevokeKey]) -> list[Key | Problem]:
    """Revoking what is revoked changes nothing and is no error."""
    return _each(tx, wishes, _revoke_key)


def add_partner(tx: Writer, wishes: Sequence[AddPartner]) -> list[Partner | Problem]:
    return _each(tx, wishes, _add_partner)


def sign_in(tx: Writer, wishes: Sequence[SignIn]) -> list[None]:
    """Sessions for people at the pages."""
    for wish in wishes:
        values = {"secret_hash": wish.secret_hash, "key_id": wish.key_id}
        store.add_session(tx, {**values, "created_at": tx.now, "expires_at": _until(tx, wish)})
        tx.tell(Happening("signed_in", Actor("key", wish.key_id), request_id=wish.request_id))
    return [None for _ in wishes]


def sign_out(tx: Writer, wishes: Sequence[SignOut]) -> list[None]:
    """Sessions that end now. Ending what has ended is no error."""
    for wish in wishes:
        if store.session_by(tx, wish.secret_hash) is not None:
            store.end_session(tx, wish.secret_hash)
            tx.tell(Happening("signed_out", Actor("key", wish.key_id), request_id=wish.request_id))
    return [None for _ in wishes]


def forget_sessions(tx: Writer, wishes: Sequence[None]) -> list[None]:
    """Rows of sessions that have ended. By intent no entry: nobody did anything."""
    store.forget_sessions(tx)
    return [None for _ in wishes]


def note_use(tx: Writer, wishes: Sequence[Mapping[int, datetime]]) -> list[None]:
    """When keys were last used. By intent no entry: it would drown the timeline."""
    latest = {key_id: at for used in wishes for key_id, at in used.items()}
    if latest:
        store.note_use(tx, latest)
    return [None for _ in wishes]


def _until(tx: Writer, wish: SignIn) -> datetime:
    """When a session ends; one by a secret that was rotated away ends with the overlap."""
    key = store.key(tx, wish.key_id) if wish.key_id is not None else None
    longest = tx.now + SESSION_LASTS
    if key is None or wish.opened_with in (None, key.secret_hash):
        return longest
    return min(longest, key.former_until or tx.now)


def _each(tx: Writer, wishes: Sequence[W], decide: Callable[[Writer, W], R]) -> list[R | Problem]:
    """Keys are few and change rarely: one after another, a refusal as a value."""
    results: list[R | Problem] = []
    for wish in wishes:
        try:
            results.append(decide(tx, wish))
        except Problem as refusal:
            results.append(refusal)
    return results


def _create_key(tx: Writer, wish: CreateKey) -> NewKey:
    name = _good_name(wish.name)
    if wish.role not in ROLES:
        raise Invalid.field("role", f"must be one of {', '.join(ROLES)}")
    if (wish.partner is not None) != (wish.role == "partner"):
        raise Invalid.field("partner", "belongs to the role `partner`, which needs it: the slug of the company")
    partner = _partner_for(tx, wish) if wish.partner is not None else None
    key_id = store.add_key(
        tx,
        {
            "name": name,
            "role": wish.role,
            "partner_id": partner.id if partner else None,
            "secret_hash": hashed(wish.secret),
            "created_at": tx.now,
        },
    )
    refs = {"key": key_id} | ({"partner": partner.id} if partner else {})
    tx.tell(
        Happening("key_created", wish.by, changes={"role": [None, wish.role]}, refs=refs, request_id=wish.request_id)
    )
    return NewKey(_there(store.key(tx, key_id)), written(key_id, wish.secret))


def _partner_for(tx: Writer, wish: CreateKey) -> Partner:
    slug = wish.partner or ""
    known = store.partners_by_slug(tx, [slug]).get(slug)
    return known or _add_partner(tx, AddPartner(slug, slug, wish.by, wish.request_id))


def _rotate_key(tx: Writer, wish: RotateKey) -> NewKey:
    key = _there(store.key(tx, wish.key_id))
    if key.revoked_at is not None:
        raise Invalid.field("id", "names a revoked key; make a new one")
    until = tx.now + wish.overlap
    changed: dict[str, Any] = {"secret_hash": hashed(wish.secret), "rotated_at": tx.now}
    changed |= {"former_hash": key.secret_hash, "former_until": until}
    store.change_key(tx, key.id, changed)
    store.shorten_sessions(tx, key.id, until)
    tx.tell(Happening("key_rotated", wish.by, refs={"key": key.id}, request_id=wish.request_id))
    return NewKey(_there(store.key(tx, key.id)), written(key.id, wish.secret))


def _revoke_key(tx: Writer, wish: RevokeKey) -> Key:
    key = _there(store.key(tx, wish.key_id))
    if key.revoked_at is not None:
        return key
    store.change_key(tx, key.id, {"revoked_at": tx.now, "former_hash": None, "former_until": None})
    tx.tell(Happening("key_revoked", wish.by, refs={"key": key.id}, request_id=wish.request_id))
    return _there(store.key(tx, key.id))


def _add_partner(tx: Writer, wish: AddPartner) -> Partner:
    if not SLUG.fullmatch(wish.slug):
        raise Invalid.field("slug", "must be 1 to 64 of a–z, 0–9 and `-`, not beginning or ending with `-`")
    if store.partners_by_slug(tx, [wish.slug]):
        raise AlreadyThere(f"There is a partner `{wish.slug}` already.")
    added = store.add_partner(tx, wish.slug, _good_name(wish.name))
    tx.tell(Happening("partner_created", wish.by, refs={"partner": added.id}, request_id=wish.request_id))
    return added


def _good_name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Invalid.field("name", f"must have 1 to {LONGEST_NAME} characters")
    return name.strip()


def _there(key: Key | None) -> Key:
    if key is None:
        raise NotFound("There is no key with this id; `GET /api/keys` lists them.")
    return key
