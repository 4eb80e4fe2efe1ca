"""How channels, subscriptions, the outbox and its attempts are kept."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select, update

from tocsin.db.schema import burst, channel, delivery, incident, notification, subscription, telegram_bot
from tocsin.db.transaction import Reader, Writer
from tocsin.delivery.model import UNDER_WAY, Channel, Delivery, Notification, Subscription
from tocsin.timeline.model import canonical


def channels(reader: Reader) -> list[Channel]:
    """Every channel that is in use, oldest first."""
    return [_channel(row) for row in reader.rows(CHANNELS)]


def one_channel(reader: Reader, channel_id: int) -> Channel | None:
    """One channel, removed ones too."""
    row = reader.row(ONE_CHANNEL, {"id": channel_id})
    return None if row is None else _channel(row)


def add_channel(tx: Writer, values: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """A new channel; its id."""
    (new,) = tx.insert(channel, [{**values, "config": canonical(config)}])
    return new


def change_channel(tx: Writer, channel_id: int, values: Mapping[str, Any]) -> None:
    """New values for some columns; `config` as a mapping."""
    if "config" in values:
        values = {**values, "config": canonical(values["config"])}
    tx.run(update(channel).where(channel.c.id == channel_id).values(values))


def subscriptions(reader: Reader) -> list[Subscription]:
    """Every subscription in force, oldest first; those of removed channels are none."""
    return [_subscription(row) for row in reader.rows(SUBSCRIPTIONS)]


def one_subscription(reader: Reader, subscription_id: int) -> Subscription | None:
    """One subscription, removed ones too."""
    row = reader.row(ONE_SUBSCRIPTION, {"id": subscription_id})
    return None if row is None else _subscription(row)


def add_subscription(tx: Writer, values: Mapping[str, Any], sources: Sequence[str]) -> int:
    """A new subscription; its id."""
    (new,) = tx.insert(subscription, [{**values, "sources": json.dumps(list(sources))}])
    return new


def end_subscriptions(tx: Writer, *, subscription_id: int | None = None, channel_id: int | None = None) -> None:
    """One ends, or all of a channel."""
    column, id = (subscription.c.id, subscription_id) if channel_id is None else (subscription.c.channel_id, channel_id)
    statement = update(subscription).where(column == id, subscription.c.removed_at.is_(None))
    tx.run(statement.values(removed_at=tx.now))


def facts(reader: Reader, incident_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Severity and source of incidents, by id: what subscriptions ask for."""
    statement = FACTS.where(reader.any_of(incident.c.id, sorted(set(incident_ids))))
    return {row.id: (row.severity, row.source) for row in reader.rows(statement)}


def bursts(reader: Reader) -> dict[tuple[int, str], datetime]:
    """Until when each burst lasts, by channel and event."""
    return {(row.channel_id, row.event): row.until for row in reader.rows(select(burst))}


def begin_burst(tx: Writer, channel_id: int, event: str, until: datetime, *, again: bool) -> None:
    """A burst begins; `again` says that this channel had one of this event before."""
    if again:
        same = (burst.c.channel_id == channel_id) & (burst.c.event == event)
        tx.run(update(burst).where(same).values(until=until))
    else:
        tx.add(burst, [{"channel_id": channel_id, "event": event, "until": until}])


def queue(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """New notifications; their ids in the same order."""
    return tx.insert(notification, rows)


def anything_due(reader: Reader, now: datetime, busy: Sequence[int] = ()) -> bool:
    """Whether a message waits to be sent by a channel that is not busy."""
    statement = ANYTHING_DUE if not busy else ANYTHING_DUE.where(notification.c.channel_id.not_in(list(busy)))
    return reader.row(statement, {"now": now}) is not None


def hold_due(tx: Writer, busy: Sequence[int], limit: int) -> list[Notification]:
    """What is due, longest first, of channels that are not busy; what another process holds is left to it."""
    statement = DUE if not busy else DUE.where(notification.c.channel_id.not_in(list(busy)))
    rows = tx.rows(tx.locked(statement, notification, skip=True), {"now": tx.now, "limit": limit})
    return [Notification(*row) for row in rows]


def hold_notifications(tx: Writer, ids: Sequence[int]) -> dict[int, Notification]:
    """These notifications, held in id order against other writers."""
    statement = NOTIFICATIONS.where(tx.any_of(notification.c.id, sorted(set(ids)))).order_by(notification.c.id)
    return {row.id: Notification(*row) for row in tx.rows(tx.locked(statement, notification))}


def lease(tx: Writer, ids: Sequence[int], until: datetime) -> None:
    """These are being sent; if nothing is heard until then, somebody else sends them."""
    statement = update(notification).where(tx.any_of(notification.c.id, ids))
    tx.run(statement.values(state="sending", leased_until=until, attempts=notification.c.attempts + 1))


def carry(tx: Writer, leader: int, ids: Sequence[int]) -> None:
    """These are told by the message of another."""
    statement = update(notification).where(tx.any_of(notification.c.id, ids))
    tx.run(statement.values(state="carried", carried_by=leader))


def carried(reader: Reader, leaders: Sequence[int]) -> dict[int, list[Notification]]:
    """What these messages carry beside themselves, by leader."""
    statement = NOTIFICATIONS.where(
        notification.c.carried_by.is_not(None), reader.any_of(notification.c.carried_by, leaders)
    ).order_by(notification.c.id)
    found: dict[int, list[Notification]] = {}
    for row in reader.rows(statement):
        found.setdefault(row.carried_by, []).append(Notification(*row))
    return found


def settle(tx: Writer, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    """New values for some notifications."""
    tx.run(update(notification).where(tx.any_of(notification.c.id, ids)).values(values))


def release(tx: Writer) -> None:
    """Every lease ends: for a process that knows that it is alone."""
    tx.run(update(notification).where(notification.c.state == "sending").values(leased_until=None))


def end_waiting(tx: Writer, channel_id: int, reason: str) -> None:
    """What a removed channel was still to be told is not sent any more."""
    open_ones = notification.c.state.in_(UNDER_WAY)
    statement = update(notification).where(notification.c.channel_id == channel_id, open_ones)
    tx.run(statement.values(state="dead", reason=reason, settled_at=tx.now, leased_until=None))


def add_deliveries(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Attempts."""
    return tx.insert(delivery, rows)


def one_notification(reader: Reader, notification_id: int) -> Notification | None:
    """One notification."""
    row = reader.row(NOTIFICATIONS.where(notification.c.id == bindparam("id")), {"id": notification_id})
    return None if row is None else Notification(*row)


def notifications_of_incident(reader: Reader, incident_id: int, limit: int) -> list[Notification]:
    """What was told of an incident, newest first."""
    return _newest(reader, notification.c.incident_id, incident_id, None, limit)


def notifications_of_channel(reader: Reader, channel_id: int, before: int | None, limit: int) -> list[Notification]:
    """What a channel was told, newest first, before an id."""
    return _newest(reader, notification.c.channel_id, channel_id, before, limit)


def attempts(reader: Reader, ids: Sequence[int]) -> dict[int, list[Delivery]]:
    """Every attempt for these notifications, oldest first, by notification."""
    statement = select(delivery).where(reader.any_of(delivery.c.notification_id, ids)).order_by(delivery.c.id)
    found: dict[int, list[Delivery]] = {}
    for row in reader.rows(statement) if ids else ():
        found.setdefault(row.notification_id, []).append(Delivery(*row))
    return found


def waiting(reader: Reader) -> int:
    """How many messages are not settled."""
    row = reader.row(WAITING)
    return 0 if row is None else int(row.waiting)


def bot(reader: Reader, bot_id: int) -> Any | None:
    """How far a Telegram bot's updates are read, and by whom: `next_update`, `leased_by`, `leased_until`."""
    return reader.row(BOT, {"bot": bot_id})


def save_bot(tx: Writer, bot_id: int, values: Mapping[str, Any], *, new: bool) -> None:
    """The same, written down."""
    if new:
        tx.add(telegram_bot, [{"bot_id": bot_id, **values}])
    else:
        tx.run(update(telegram_bot).where(telegram_bot.c.bot_id == bot_id).values(values))


def _newest(reader: Reader, column: Any, id: int, before: int | None, limit: int) -> list[Notification]:
    statement = NOTIFICATIONS.where(column == bindparam("of")).order_by(notification.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(notification.c.id < before)
    return [Notification(*row) for row in reader.rows(statement, {"of": id})]


def _channel(row: Any) -> Channel:
    return Channel(row.id, row.name, row.kind, json.loads(row.config), row.sealed, row.created_at, row.removed_at)


def _subscription(row: Any) -> Subscription:
    sources = tuple(json.loads(row.sources))
    return Subscription(row.id, row.channel_id, row.severity, sources, row.created_at, row.removed_at)


CHANNELS = select(channel).where(channel.c.removed_at.is_(None)).order_by(channel.c.id)
ONE_CHANNEL = select(channel).where(channel.c.id == bindparam("id"))
SUBSCRIPTIONS = select(subscription).where(subscription.c.removed_at.is_(None)).order_by(subscription.c.id)
ONE_SUBSCRIPTION = select(subscription).where(subscription.c.id == bindparam("id"))
FACTS = select(incident.c.id, incident.c.severity, incident.c.source)
NOTIFICATIONS: Select[Any] = select(notification)
OPEN = notification.c.state.in_(UNDER_WAY)
IS_DUE = and_(
    OPEN,
    notification.c.due_at <= bindparam("now"),
    or_(notification.c.leased_until.is_(None), notification.c.leased_until <= bindparam("now")),
)
ANYTHING_DUE = select(notification.c.id).where(IS_DUE).limit(1)
DUE = NOTIFICATIONS.where(IS_DUE).order_by(notification.c.due_at, notification.c.id).limit(bindparam("limit"))
WAITING = select(func.count().label("waiting")).select_from(notification).where(OPEN)
BOT = select(telegram_bot).where(telegram_bot.c.bot_id == bindparam("bot"))
