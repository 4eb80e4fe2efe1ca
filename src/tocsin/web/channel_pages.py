"""Who is told: channels, what each hears of, and what it was told."""

from collections.abc import Sequence
from typing import Any

from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.access.model import MAY, USUAL_OVERLAP
from tocsin.db.transaction import Reader
from tocsin.delivery import actions, drafts, model, outbox, shapes, store
from tocsin.delivery.channels import KINDS
from tocsin.delivery.http import channel_of, id_of
from tocsin.delivery.model import Channel, Subscription
from tocsin.delivery.told import told_to
from tocsin.delivery.words import LANGUAGES
from tocsin.incidents.model import SEVERITIES, SOURCES
from tocsin.intake.drafts import base_of
from tocsin.kit import errors, ids, openapi
from tocsin.kit.answers import Answer
from tocsin.web import entrance, render
from tocsin.web.entrance import PAGES, Form

routes = Routes("console")

ON_A_PAGE = 100
KIND = openapi.Parameter("add", "query", "The form for a channel of this kind.", openapi.TEXT)
# What a form asks for, by kind: the same settings that `prepared` takes.
FIELDS: dict[str, Sequence[str]] = {
    "telegram": ("token", "chat", "updates", "language"),
    "ntfy": ("topic", "url", "token", "language"),
    "email": ("to", "language"),
    "webhook": ("url",),
}


@routes.add("GET", "/channels", may="channels:read", shown=False, entrance=PAGES, parameters=(KIND,))
async def show_channels(call: Call) -> Answer:
    """Every channel with its subscriptions, and the form for another."""
    add = call.asked().get("add", [""])[-1]
    channels, subscriptions = await call.db.read(_everything)
    return render.page(
        call,
        "channels.html",
        channels=channels,
        subscriptions=subscriptions,
        kinds=KINDS,
        add=add if add in KINDS else None,
        fields=FIELDS,
        **_choices(call),
    )


@routes.add("POST", "/channels", may="channels:manage", shown=False, entrance=PAGES)
async def add_channel(call: Call) -> Answer:
    """Makes a channel; where its receiver needs a secret, this answer and no other shows it."""
    form: Form = call.content
    kind = form.text("kind")
    config = {name: form.text(name) for name in FIELDS.get(kind, ()) if form.text(name)}
    by, keyring, settings = call.actor, call.service.keyring, call.service.settings
    wish, secret = drafts.new_channel(form.text("name"), kind, config, by, keyring, settings, call.request_id)
    made: Channel = await call.db.write(actions.add_channel, wish)
    return _made(call, made, secret, 201) if secret is not None else entrance.seen_other(f"/channels/{made.id}")


@routes.add("GET", "/channels/{channel_id}", may="channels:read", shown=False, entrance=PAGES)
async def show_channel(call: Call) -> Answer:
    """A channel: what it hears of, and what it was told."""
    each = await channel_of(call)
    told, attempts = await call.db.read(told_to, each.id, None, ON_A_PAGE)
    _, subscriptions = await call.db.read(_everything)
    under_way = any(one.state in model.UNDER_WAY for one in told)
    values: dict[str, Any] = {"told": told, "attempts": attempts, "subscriptions": subscriptions.get(each.id, [])}
    values["config"] = shapes.shown_config(each, call.principal)
    return render.page(call, "channel.html", channel=each, kinds=KINDS, under_way=under_way, **values, **_choices(call))


@routes.add("POST", "/channels/{channel_id}/test", may="channels:manage", shown=False, entrance=PAGES)
async def test_channel(call: Call) -> Answer:
    """Sends a test; the page shows what comes of it."""
    await call.db.write(outbox.send_test, id_of(call, "channel_id"))
    return _home(call)


@routes.add("POST", "/channels/{channel_id}/rotate", may="channels:manage", shown=False, entrance=PAGES)
async def rotate_channel(call: Call) -> Answer:
    """A webhook's new secret; for a day each message is signed with both."""
    by, keyring, clock = call.actor, call.service.keyring, call.db.clock
    wish, secret = drafts.rotated_channel(await channel_of(call), USUAL_OVERLAP, by, keyring, clock, call.request_id)
    made: Channel = await call.db.write(actions.change_channel, wish)
    return _made(call, made, secret, 200)


@routes.add("POST", "/channels/{channel_id}/remove", may="channels:manage", shown=False, entrance=PAGES)
async def remove_channel(call: Call) -> Answer:
    """Tells it nothing more."""
    wish = actions.RemoveChannel(id_of(call, "channel_id"), call.actor, call.request_id)
    await call.db.write(actions.remove_channel, wish)
    return entrance.seen_other("/channels")


@routes.add("POST", "/channels/{channel_id}/subscribe", may="channels:manage", shown=False, entrance=PAGES)
async def subscribe(call: Call) -> Answer:
    """Tells it of more."""
    form: Form = call.content
    channel, by = id_of(call, "channel_id"), call.actor
    wish = actions.Subscribe(channel, form.text("severity"), form.every("source"), by, call.request_id)
    await call.db.write(actions.subscribe, wish)
    return _home(call)


@routes.add("POST", "/channels/{channel_id}/unsubscribe", may="channels:manage", shown=False, entrance=PAGES)
async def unsubscribe(call: Call) -> Answer:
    """Tells it of less."""
    form: Form = call.content
    id, channel = ids.whole(form.text("subscription"), "subscription"), id_of(call, "channel_id")
    _, subscriptions = await call.db.read(_everything)
    if id not in [each.id for each in subscriptions.get(channel, [])]:
        raise errors.NotFound("This channel has no such subscription.")
    wish = actions.Unsubscribe(id, call.actor, call.request_id)
    await call.db.write(actions.unsubscribe, wish)
    return _home(call)


def _made(call: Call, made: Channel, secret: str, status: int) -> Answer:
    values: dict[str, Any] = {"channel": made, "secret": secret, "address": base_of(call)}
    return render.page(call, "channel_made.html", status, **values)


def _home(call: Call) -> Answer:
    return entrance.seen_other(f"/channels/{id_of(call, 'channel_id')}")


def _choices(call: Call) -> dict[str, Any]:
    return {
        "severities": tuple(reversed(SEVERITIES)),
        "sources": SOURCES,
        "tongues": LANGUAGES,
        "may_manage": call.principal.role in MAY["channels:manage"],
    }


def _everything(reader: Reader) -> tuple[list[Channel], dict[int, list[Subscription]]]:
    of_each: dict[int, list[Subscription]] = {}
    for each in store.subscriptions(reader):
        of_each.setdefault(each.channel_id, []).append(each)
    return store.channels(reader), of_each
