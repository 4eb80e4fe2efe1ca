"""How telling people is said: `/api/channels`, `/api/subscriptions`, `/api/notifications`, and Telegram's door."""

import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from tocsin.access.call import Call, found, idempotency_key, the_only
from tocsin.access.guard import Routes
from tocsin.access.http import Rotation, overlap
from tocsin.db.once import Kept
from tocsin.delivery import actions, drafts, model, outbox, store
from tocsin.delivery.buttons import Buttons
from tocsin.delivery.model import Channel
from tocsin.delivery.sender import unsealed
from tocsin.delivery.shapes import (
    ChannelAnswer,
    ChannelDraft,
    ChannelEdit,
    ChannelList,
    NewChannelAnswer,
    NotificationAnswer,
    SubscriptionAnswer,
    SubscriptionDraft,
    SubscriptionList,
    channel_view,
    notification_view,
    subscription_view,
)
from tocsin.incidents import shapes as incident_shapes
from tocsin.kit import bodies, errors, ids, openapi, paging, receiving
from tocsin.kit.answers import Answer
from tocsin.kit.keyring import Unsealable
from tocsin.kit.problems import NO_STORE

log = structlog.get_logger("tocsin.delivery")

routes = Routes("channels")

CHANNEL_ID = openapi.Parameter("channel_id", "path", "The channel's id.", openapi.ID)
SUBSCRIPTION_ID = openapi.Parameter("subscription_id", "path", "The subscription's id.", openapi.ID)
NOTIFICATION_ID = openapi.Parameter("notification_id", "path", "The notification's id.", openapi.ID)
INCIDENT_ID = openapi.Parameter("incident_id", "path", "The incident's id.", openapi.ID)
BEFORE = openapi.Parameter("before", "query", "Only those before this id; `next` of the page before.", openapi.ID)
LIMIT = openapi.Parameter(
    "limit",
    "query",
    "At most so many.",
    {"type": "integer", "minimum": 1, "maximum": paging.MOST, "default": paging.USUAL},
)
MISSING = (errors.NotFound, errors.Invalid)
MOST_UPDATE = 256 * 1024  # bytes of what Telegram sends
HOOK = b"x-telegram-bot-api-secret-token"


@routes.add(
    "POST",
    "/api/channels",
    may="channels:manage",
    takes=ChannelDraft,
    nested=True,
    gives=NewChannelAnswer,
    status=201,
    refuses=(errors.AlreadyThere,),
    once=False,
)
async def add_channel(call: Call) -> Answer:
    """Make a channel. Its secrets are sealed; what its receiver needs is in this answer and nowhere else."""
    draft: ChannelDraft = call.content
    service = call.service
    wish, secret = drafts.new_channel(
        draft.name, draft.kind, draft.config, call.actor, service.keyring, service.settings, call.request_id
    )
    return await call.write(actions.add_channel, [wish], lambda results: _new(call, the_only(results), secret, 201))


@routes.add("GET", "/api/channels", may="channels:read", gives=ChannelList)
async def list_channels(call: Call) -> Answer:
    """Every channel that is in use, without secrets."""
    call.asked()
    return found(ChannelList([channel_view(each, call.principal) for each in await call.db.read(store.channels)]))


@routes.add(
    "GET",
    "/api/channels/{channel_id}",
    may="channels:read",
    gives=ChannelAnswer,
    parameters=(CHANNEL_ID,),
    refuses=MISSING,
)
async def read_channel(call: Call) -> Answer:
    """One channel, without secrets."""
    call.asked()
    return found(ChannelAnswer(channel_view(await channel_of(call), call.principal)))


@routes.add(
    "PATCH",
    "/api/channels/{channel_id}",
    may="channels:manage",
    takes=ChannelEdit,
    nested=True,
    gives=NewChannelAnswer,
    parameters=(CHANNEL_ID,),
    refuses=(errors.NotFound, errors.AlreadyThere, errors.Sealed),
)
async def change_channel(call: Call) -> Answer:
    """Change its name, or its settings as a whole. On going over to Telegram's webhook `secret` is what it sends."""
    edit: ChannelEdit = call.content
    before, service = await channel_of(call), call.service
    wish, secret = drafts.changed_channel(
        before, edit.name, edit.config, call.actor, service.keyring, service.settings, call.request_id
    )
    if secret is not None and idempotency_key(call.headers_seen) is not None:
        raise errors.Invalid.field("Idempotency-Key", "is not taken here: this answer holds a secret and is never kept")
    return await call.write(actions.change_channel, [wish], lambda results: _new(call, the_only(results), secret, 200))


@routes.add(
    "DELETE",
    "/api/channels/{channel_id}",
    may="channels:manage",
    gives=ChannelAnswer,
    parameters=(CHANNEL_ID,),
    refuses=MISSING,
)
async def remove_channel(call: Call) -> Answer:
    """Remove a channel with its subscriptions; what waits for it is not sent. Its secrets are forgotten."""
    wish = actions.RemoveChannel(id_of(call, "channel_id"), call.actor, call.request_id)
    gone: Channel = await call.db.write(actions.remove_channel, wish)
    return found(ChannelAnswer(channel_view(gone, call.principal)))


@routes.add(
    "POST",
    "/api/channels/{channel_id}/test",
    may="channels:manage",
    takes=incident_shapes.Nothing,
    empty_too=True,
    gives=NotificationAnswer,
    status=202,
    parameters=(CHANNEL_ID,),
    refuses=(errors.NotFound,),
)
async def test_channel(call: Call) -> Answer:
    """Send a test message; `GET /api/notifications/{id}` says what came of it."""

    def say(results: Sequence[Any]) -> Kept:
        return Kept(202, msgspec.json.encode(NotificationAnswer(notification_view(the_only(results), []))))

    return await call.write(outbox.send_test, [id_of(call, "channel_id")], say)


@routes.add(
    "POST",
    "/api/channels/{channel_id}/rotate",
    may="channels:manage",
    takes=Rotation,
    empty_too=True,
    gives=NewChannelAnswer,
    parameters=(CHANNEL_ID,),
    refuses=(errors.NotFound, errors.Sealed),
    once=False,
)
async def rotate_channel(call: Call) -> Answer:
    """Give a webhook a new secret; for `overlap_seconds` each message is signed with the old one too."""
    rotation: Rotation = call.content
    kept_for = overlap(rotation.overlap_seconds)
    before = await channel_of(call)
    wish, secret = drafts.rotated_channel(
        before, kept_for, call.actor, call.service.keyring, call.db.clock, call.request_id
    )
    return await call.write(actions.change_channel, [wish], lambda results: _new(call, the_only(results), secret, 200))


@routes.add(
    "POST",
    "/api/subscriptions",
    may="channels:manage",
    takes=SubscriptionDraft,
    gives=SubscriptionAnswer,
    status=201,
    refuses=(errors.AlreadyThere,),
)
async def subscribe(call: Call) -> Answer:
    """Tell a channel of incidents from a severity on, of some sources or all."""
    draft: SubscriptionDraft = call.content
    channel_id = ids.in_range(draft.channel_id, "channel_id")
    wish = actions.Subscribe(channel_id, draft.severity, draft.sources, call.actor, call.request_id)

    def say(results: Sequence[Any]) -> Kept:
        return Kept(201, msgspec.json.encode(SubscriptionAnswer(subscription_view(the_only(results)))))

    return await call.write(actions.subscribe, [wish], say)


@routes.add("GET", "/api/subscriptions", may="channels:read", gives=SubscriptionList)
async def list_subscriptions(call: Call) -> Answer:
    """Every subscription in force."""
    call.asked()
    return found(SubscriptionList([subscription_view(each) for each in await call.db.read(store.subscriptions)]))


@routes.add(
    "DELETE",
    "/api/subscriptions/{subscription_id}",
    may="channels:manage",
    gives=SubscriptionAnswer,
    parameters=(SUBSCRIPTION_ID,),
    refuses=MISSING,
)
async def unsubscribe(call: Call) -> Answer:
    """End a subscription."""
    wish = actions.Unsubscribe(id_of(call, "subscription_id"), call.actor, call.request_id)
    gone = await call.db.write(actions.unsubscribe, wish)
    return found(SubscriptionAnswer(subscription_view(gone)))


@routes.add("POST", "/in/telegram/{channel_id}", may="public", bare=True, shown=False)
async def telegram(call: Call) -> Answer:
    """What Telegram's webhook brings: a pressed button. It carries the secret that Telegram was given."""
    settings, seen = call.service.settings, call.headers_seen
    raw = await receiving.body(
        call.scope, call.receive, seen, most=MOST_UPDATE, chunk=settings.chunk_deadline, whole=settings.body_deadline
    )
    channel = await channel_of(call)
    try:
        hook = str(unsealed(call.service.keyring, channel).get("hook", ""))
    except Unsealable as problem:
        log.warning("Telegram's door is closed", channel=channel.id, problem=str(problem))
        raise errors.Unavailable("This door is closed until its secrets can be opened; the log says why.") from None
    if not hook or not hmac.compare_digest(seen.get(HOOK, b""), hook.encode()):
        raise errors.WrongKey("This is not the secret that Telegram was given for this channel.")
    await call.service.part(Buttons).heard(channel, bodies.strictly(raw))
    return Answer(b"{}", headers=[NO_STORE])


def id_of(call: Call, name: str) -> int:
    """An id in the path; raises `Invalid`."""
    return ids.whole(call.given(name), name)


async def channel_of(call: Call) -> Channel:
    """The channel that a path names; raises `NotFound`."""
    return model.in_use(await call.db.read(store.one_channel, id_of(call, "channel_id")))


def _new(call: Call, each: Channel, secret: str | None, status: int) -> Kept:
    location = f"/api/channels/{each.id}" if status == 201 else None
    return Kept(
        status, msgspec.json.encode(NewChannelAnswer(channel_view(each, call.principal), secret)), location=location
    )
