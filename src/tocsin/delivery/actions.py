"""What may be done with channels and subscriptions. Each function takes many wishes and gives one result for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.access.model import Principal
from tocsin.db.transaction import Actor, Happening, Writer, decided
from tocsin.delivery import model, outbox, store
from tocsin.delivery.model import Channel, Subscription
from tocsin.incidents import actions as incidents
from tocsin.incidents import store as incident_store
from tocsin.incidents.model import Incident
from tocsin.kit.errors import AlreadyThere, Invalid, NotFound, Problem


@dataclass(frozen=True, slots=True)
class AddChannel:
    """A channel to be made; `sealed` holds its secrets, if it has any."""

    name: str
    kind: str
    config: Mapping[str, Any]
    sealed: bytes | None
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeChannel:
    """Another name, other settings, other secrets; None leaves as it is."""

    channel_id: int
    name: str | None
    config: Mapping[str, Any] | None
    sealed: bytes | None
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveChannel:
    channel_id: int
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    channel_id: int
    severity: str
    sources: Sequence[str]
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    subscription_id: int
    by: Actor
    request_id: str | None = None


def add_channel(tx: Writer, wishes: Sequence[AddChannel]) -> list[Channel | Problem]:
    """New channels."""
    return decided(tx, wishes, _add_channel)


def change_channel(tx: Writer, wishes: Sequence[ChangeChannel]) -> list[Channel | Problem]:
    """Other names, settings, secrets."""
    return decided(tx, wishes, _change_channel)


def remove_channel(tx: Writer, wishes: Sequence[RemoveChannel]) -> list[Channel | Problem]:
    """Channels that are told nothing any more; what waits for them is not sent."""
    return decided(tx, wishes, _remove_channel)


def subscribe(tx: Writer, wishes: Sequence[Subscribe]) -> list[Subscription | Problem]:
    """From now on these channels hear of more."""
    return decided(tx, wishes, _subscribe)


def unsubscribe(tx: Writer, wishes: Sequence[Unsubscribe]) -> list[Subscription | Problem]:
    """From now on they do not."""
    return decided(tx, wishes, _unsubscribe)


def _add_channel(tx: Writer, wish: AddChannel) -> Channel:
    values = {"name": _free_name(tx, wish.name, None), "kind": wish.kind, "sealed": wish.sealed, "created_at": tx.now}
    new = store.add_channel(tx, values, wish.config)
    tx.tell(Happening("channel_created", wish.by, refs={"channel": new}, request_id=wish.request_id))
    return model.in_use(store.one_channel(tx, new))


def _change_channel(tx: Writer, wish: ChangeChannel) -> Channel:
    before = model.in_use(store.one_channel(tx, wish.channel_id))
    name = None if wish.name is None else _free_name(tx, wish.name, before.id)
    given = {"name": name, "config": wish.config, "sealed": wish.sealed}
    values = {column: value for column, value in given.items() if value is not None}
    if not values:
        return before
    store.change_channel(tx, before.id, values)
    tx.tell(Happening("channel_changed", wish.by, refs={"channel": before.id}, request_id=wish.request_id))
    return model.in_use(store.one_channel(tx, before.id))


def _remove_channel(tx: Writer, wish: RemoveChannel) -> Channel:
    before = model.in_use(store.one_channel(tx, wish.channel_id))
    store.change_channel(tx, before.id, {"removed_at": tx.now, "sealed": None})
    store.end_subscriptions(tx, channel_id=before.id)
    outbox.end(tx, before.id, "the channel was removed")
    tx.tell(Happening("channel_removed", wish.by, refs={"channel": before.id}, request_id=wish.request_id))
    after = store.one_channel(tx, before.id)
    assert after is not None
    return after


def _subscribe(tx: Writer, wish: Subscribe) -> Subscription:
    severity, sources = model.least(wish.severity), model.good_sources(wish.sources)
    to = store.one_channel(tx, wish.channel_id)
    if to is None or to.removed_at is not None:
        raise Invalid.field("channel_id", "is not a channel here; `GET /api/channels` lists them")
    same = (to.id, severity, set(sources))
    if any((each.channel_id, each.severity, set(each.sources)) == same for each in store.subscriptions(tx)):
        raise AlreadyThere(f"`{to.name}` is subscribed to just this already; a second time would change nothing.")
    values = {"channel_id": wish.channel_id, "severity": severity, "created_at": tx.now}
    new = store.add_subscription(tx, values, sources)
    refs = {"channel": wish.channel_id, "subscription": new}
    tx.tell(Happening("subscribed", wish.by, refs=refs, request_id=wish.request_id))
    made = store.one_subscription(tx, new)
    assert made is not None
    return made


def _unsubscribe(tx: Writer, wish: Unsubscribe) -> Subscription:
    before = store.one_subscription(tx, wish.subscription_id)
    if before is None or before.removed_at is not None:
        raise NotFound("There is no subscription with this id; `GET /api/subscriptions` lists them.")
    store.end_subscriptions(tx, subscription_id=before.id)
    refs = {"channel": before.channel_id, "subscription": before.id}
    tx.tell(Happening("unsubscribed", wish.by, refs=refs, request_id=wish.request_id))
    after = store.one_subscription(tx, before.id)
    assert after is not None
    return after


def _free_name(tx: Writer, name: str, own: int | None) -> str:
    good = model.good_name(name)
    if any(each.name == good and each.id != own for each in store.channels(tx)):
        raise AlreadyThere(f"There is a channel called `{good}` already; names tell channels apart.")
    return good


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody pressed the button in a message to this channel."""

    incident_id: int
    channel_id: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """What came of it: `acknowledged`, `already`, `over`, or `unknown`."""

    outcome: str
    incident: Incident | None


def press(tx: Writer, wishes: Sequence[Press]) -> list[Pressed]:
    """Acknowledges for whoever holds the message; an ended or acknowledged incident stays as it is."""
    return [_press(tx, wish) for wish in wishes]


def _press(tx: Writer, wish: Press) -> Pressed:
    by = store.one_channel(tx, wish.channel_id)
    incident = incident_store.hold(tx, [wish.incident_id]).get(wish.incident_id)
    if by is None or by.removed_at is not None or incident is None:
        return Pressed("unknown", None)
    if not incident.active or incident.acknowledged_at is not None:
        return Pressed("already" if incident.active else "over", incident)
    who = Principal(None, "operator", by.name, channel_id=by.id)
    wanted = incidents.Acknowledge(incident.id, back=False, by=who, request_id=wish.request_id)
    (after,) = incidents.change(tx, [wanted])
    return Pressed("acknowledged", after if isinstance(after, Incident) else incident)
