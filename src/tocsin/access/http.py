"""How keys and partners are said: `/api/keys`, `/api/partners`. For admins only."""

from contextlib import suppress
from datetime import timedelta
from typing import Annotated

import msgspec

from tocsin.access import actions, store
from tocsin.access.call import Call, found, the_only
from tocsin.access.guard import Routes
from tocsin.access.model import (
    LONGEST_NAME,
    LONGEST_OVERLAP,
    ROLES,
    SLUG,
    USUAL_OVERLAP,
    Key,
    NewKey,
    Partner,
    new_secret,
)
from tocsin.db.once import Kept
from tocsin.kit import errors, ids, openapi
from tocsin.kit.answers import Answer
from tocsin.kit.clock import rfc3339, rfc3339_or_none

routes = Routes("keys and partners")

KEY_ID = openapi.Parameter("key_id", "path", "The key's id.", openapi.ID)


NAME = {"minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"[^\s]"}
AName = Annotated[str, msgspec.Meta(extra_json_schema=NAME, examples=["Night desk"])]
ARole = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(ROLES)})]
ASlug = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{SLUG.pattern}$"}, examples=["acme"])]
Overlap = Annotated[
    int, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": int(LONGEST_OVERLAP.total_seconds())})
]


class KeyDraft(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be made. `partner` is the company's slug, for the role `partner` only."""

    name: AName
    role: ARole
    partner: ASlug | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """For how many seconds the old secret stays good: 24 hours unless given, 30 days at most."""

    overlap_seconds: Overlap = int(USUAL_OVERLAP.total_seconds())


class PartnerDraft(msgspec.Struct, forbid_unknown_fields=True):
    """A partner to be added; `name` is the slug unless given."""

    slug: ASlug
    name: AName | None = None


class KeyView(msgspec.Struct):
    """A key without its secret. The key from the environment has no id."""

    id: int | None
    name: str
    role: str
    partner: str | None
    created_at: str | None
    rotated_at: str | None
    old_secret_until: str | None
    revoked_at: str | None
    last_used_at: str | None


class KeyAnswer(msgspec.Struct):
    key: KeyView


class NewKeyAnswer(msgspec.Struct):
    """`secret` is the whole key as it goes into `x-api-key`: shown this once."""

    key: KeyView
    secret: str


class KeyList(msgspec.Struct):
    keys: list[KeyView]


class PartnerView(msgspec.Struct):
    id: int
    slug: str
    name: str
    created_at: str


class PartnerAnswer(msgspec.Struct):
    partner: PartnerView


class PartnerList(msgspec.Struct):
    partners: list[PartnerView]


ENVIRONMENT_KEY = KeyView(None, "from the environment", "admin", None, None, None, None, None, None)


@routes.add("POST", "/api/keys", may="keys:manage", takes=KeyDraft, gives=NewKeyAnswer, status=201, once=False)
async def create_key(call: Call) -> Answer:
    """Make a key. Its secret is in this answer and nowhere else; a partner that is not there yet is made."""
    draft: KeyDraft = call.content
    wish = actions.CreateKey(draft.name, draft.role, draft.partner, new_secret(), call.actor, call.request_id)
    answer = await call.write(actions.create_key, [wish], lambda results: _new_key(the_only(results), 201))
    with suppress(errors.Problem):  # the secret is in this answer and nowhere else
        await call.service.directory.refresh()
    return answer


@routes.add("GET", "/api/keys", may="keys:manage", gives=KeyList)
async def list_keys(call: Call) -> Answer:
    """Every key there ever was, without secrets; the one from the environment too."""
    call.asked()
    keys = [_key_view(key) for key in await call.db.read(store.keys)]
    if call.service.directory.has_admin_key:
        keys.insert(0, ENVIRONMENT_KEY)
    return found(KeyList(keys))


@routes.add(
    "GET",
    "/api/keys/{key_id}",
    may="keys:manage",
    gives=KeyAnswer,
    parameters=(KEY_ID,),
    refuses=(errors.NotFound, errors.Invalid),
)
async def read_key(call: Call) -> Answer:
    """One key, without its secret."""
    call.asked()
    key = await call.db.read(store.key, ids.whole(call.given("key_id"), "key_id"))
    if key is None:
        raise errors.NotFound("There is no key with this id; `GET /api/keys` lists them.")
    return found(KeyAnswer(_key_view(key)))


@routes.add(
    "DELETE",
    "/api/keys/{key_id}",
    may="keys:manage",
    gives=KeyAnswer,
    parameters=(KEY_ID,),
    refuses=(errors.NotFound, errors.Invalid),
)
async def revoke_key(call: Call) -> Answer:
    """Revoke a key: it is dead everywhere within a second. It stays in the list."""
    wish = actions.RevokeKey(ids.whole(call.given("key_id"), "key_id"), call.actor, call.request_id)
    key: Key = await call.db.write(actions.revoke_key, wish)
    await call.service.directory.refresh()
    return found(KeyAnswer(_key_view(key)))


@routes.add(
    "POST",
    "/api/keys/{key_id}/rotate",
    may="keys:manage",
    takes=Rotation,
    empty_too=True,
    gives=NewKeyAnswer,
    parameters=(KEY_ID,),
    refuses=(errors.NotFound,),
    once=False,
)
async def rotate_key(call: Call) -> Answer:
    """Give a key a new secret; the old one stays good for `overlap_seconds`."""
    rotation: Rotation = call.content
    wish = actions.RotateKey(
        ids.whole(call.given("key_id"), "key_id"),
        new_secret(),
        overlap(rotation.overlap_seconds),
        call.actor,
        call.request_id,
    )
    answer = await call.write(actions.rotate_key, [wish], lambda results: _new_key(the_only(results), 200))
    await call.service.directory.refresh()
    return answer


@routes.add("GET", "/api/partners", may="partners:manage", gives=PartnerList)
async def list_partners(call: Call) -> Answer:
    """Every partner, by slug."""
    call.asked()
    return found(PartnerList([_partner_view(partner) for partner in await call.db.read(store.partners)]))


@routes.add(
    "POST",
    "/api/partners",
    may="partners:manage",
    takes=PartnerDraft,
    gives=PartnerAnswer,
    status=201,
    refuses=(errors.AlreadyThere,),
)
async def add_partner(call: Call) -> Answer:
    """Add a partner: a company that keys and incidents belong to."""
    draft: PartnerDraft = call.content
    wish = actions.AddPartner(draft.slug, draft.slug if draft.name is None else draft.name, call.actor, call.request_id)
    return await call.write(actions.add_partner, [wish], lambda results: _new_partner(the_only(results)))


def overlap(seconds: int) -> timedelta:
    """How long an old secret stays good; raises `Invalid`."""
    if not 0 <= seconds <= LONGEST_OVERLAP.total_seconds():
        most = int(LONGEST_OVERLAP.total_seconds())
        raise errors.Invalid.field("overlap_seconds", f"must be a whole number from 0 to {most}")
    return timedelta(seconds=seconds)


def _new_key(new: NewKey, status: int) -> Kept:
    body = msgspec.json.encode(NewKeyAnswer(_key_view(new.key), new.text))
    return Kept(status, body, location=f"/api/keys/{new.key.id}" if status == 201 else None)


def _new_partner(partner: Partner) -> Kept:
    return Kept(201, msgspec.json.encode(PartnerAnswer(_partner_view(partner))))


def _key_view(key: Key) -> KeyView:
    return KeyView(
        key.id,
        key.name,
        key.role,
        key.partner,
        rfc3339(key.created_at),
        rfc3339_or_none(key.rotated_at),
        rfc3339_or_none(key.former_until),
        rfc3339_or_none(key.revoked_at),
        rfc3339_or_none(key.last_used_at),
    )


def _partner_view(partner: Partner) -> PartnerView:
    return PartnerView(partner.id, partner.slug, partner.name, rfc3339(partner.created_at))
