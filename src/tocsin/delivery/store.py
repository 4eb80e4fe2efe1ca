"""How channels, subscriptions, the outbox and its attempts are kept."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, literal_column, not_, or_, select, update

from tocsin.db.among import among
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
    return [_subscription(row) for row in reader.tuples(SUBSCRIPTIONS, {})]


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
    rows = reader.rows(FACTS, {"ids": sorted(set(incident_ids))})
    return {row.id: (row.severity, row.source) for row in rows}


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


def anything_due(reader: Reader, now: datetime, full: Sequence[int] = ()) -> bool:
    """Whether a message waits to be sent by a channel that is not full."""
    return reader.row(ANY_DUE, {"now": now, "full": full}) is not None


def hold_channels_due(tx: Writer, full: Sequence[int]) -> list[Channel]:
    """Channels that have something due and are not full; those that another process takes from are left to it."""
    return [_channel(row) for row in tx.rows(HELD_CHANNELS_DUE, {"now": tx.now, "full": full})]


def hold_due(tx: Writer, channel_id: int, limit: int) -> list[Notification]:
    """What is due of a channel, longest first; what another process holds is left to it."""
    values = {"now": tx.now, "channel": channel_id, "limit": limit}
    return [Notification(*row) for row in tx.rows(DUE, values)]


def hold_notifications(tx: Writer, ids: Sequence[int]) -> dict[int, Notification]:
    """These notifications, held in id order against other writers."""
    return {row.id: Notification(*row) for row in tx.rows(HELD, {"ids": sorted(set(ids))})}


def lease(tx: Writer, ids: Sequence[int], until: datetime) -> None:
    """These are being sent; if nothing is heard until then, somebody else sends them."""
    tx.run(LEASED, {"ids": ids, "until": until})


def carry_all_due(tx: Writer, leader: Notification) -> None:
    """Whatever else is due of this event and was never tried is told by this message: one statement, however many."""
    mates = (IS_DUE, notification.c.event == leader.event, notification.c.attempts == 0)
    statement = update(notification).where(
        notification.c.channel_id == leader.channel_id, notification.c.id != leader.id, *mates
    )
    tx.run(statement.values(state="carried", carried_by=leader.id), {"now": tx.now})


def carried(reader: Reader, leaders: Sequence[int]) -> dict[int, list[Notification]]:
    """What these messages carry beside themselves, by leader."""
    found: dict[int, list[Notification]] = {}
    for row in reader.rows(CARRIED, {"leaders": leaders}):
        found.setdefault(row.carried_by, []).append(Notification(*row))
    return found


def settle(tx: Writer, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    """New values for some notifications."""
    if not ids:
        return
    tx.run(THESE.values(values), {"ids": ids})


def free(tx: Writer, ids: Sequence[int]) -> None:
    """What had to wait for these may go out."""
    tx.run(FREED, {"ids": ids})


def release(tx: Writer) -> None:
    """Every lease ends: for a process that knows that it is alone."""
    tx.run(update(notification).where(OPEN, notification.c.leased_until.is_not(None)).values(leased_until=None))


def bring_forward(tx: Writer, latest_lease: datetime) -> None:
    """What waits for a later time is due now, and no lease lasts beyond `latest_lease`."""
    later = and_(OPEN, notification.c.due_at > tx.now)
    tx.run(update(notification).where(later, notification.c.state == "waiting").values(due_at=tx.now))
    longer = and_(OPEN, notification.c.leased_until > latest_lease)
    tx.run(update(notification).where(longer).values(leased_until=latest_lease))


def unsettled(reader: Reader, channel_id: int) -> list[Notification]:
    """What a channel is still to be told, by a message of its own or by another's."""
    rows = reader.rows(UNSETTLED, {"channel": channel_id})
    return [Notification(*row) for row in rows]


def told_before(reader: Reader, incident_ids: Sequence[int]) -> dict[tuple[int, int], tuple[int | None, bool]]:
    """By channel and incident: the last notification that is not settled, and whether it was told that there is one."""
    rows = reader.rows(TOLD_BEFORE, {"incidents": incident_ids}) if incident_ids else ()
    return {(row.channel_id, row.incident_id): (row.ahead, bool(row.told)) for row in rows}


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
    found: dict[int, list[Delivery]] = {}
    for row in reader.rows(ATTEMPTS, {"ids": ids}) if ids else ():
        found.setdefault(row.notification_id, []).append(Delivery(*row))
    return found


def waiting(reader: Reader) -> int:
    """How many messages are not settled."""
    row = reader.row(WAITING)
    return 0 if row is None else int(row.waiting)


def hold_bot(tx: Writer, bot_id: int) -> Any | None:
    """How far a Telegram bot's updates are read, and by whom (`next_update`, `leased_by`, `leased_until`), held against
    other writers: of two processes that look at once both would ask.
    """
    return tx.row(BOT, {"bot": bot_id})


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
    id, channel_id, severity, sources, created_at, removed_at = row
    return Subscription(id, channel_id, severity, tuple(json.loads(sources)), created_at, removed_at)


OUTBOX = notification.name  # as `Writer.touched` names it
CHANNELS = select(channel).where(channel.c.removed_at.is_(None)).order_by(channel.c.id)
ONE_CHANNEL = select(channel).where(channel.c.id == bindparam("id"))
SUBSCRIPTIONS = select(subscription).where(subscription.c.removed_at.is_(None)).order_by(subscription.c.id)
ONE_SUBSCRIPTION = select(subscription).where(subscription.c.id == bindparam("id"))
FACTS = select(incident.c.id, incident.c.severity, incident.c.source).where(among(incident.c.id, "ids"))
NOTIFICATIONS: Select[Any] = select(notification)
HELD = NOTIFICATIONS.where(among(notification.c.id, "ids")).order_by(notification.c.id).with_for_update(of=notification)
CARRIED = NOTIFICATIONS.where(
    notification.c.carried_by.is_not(None), among(notification.c.carried_by, "leaders")
).order_by(notification.c.id)
ATTEMPTS = select(delivery).where(among(delivery.c.notification_id, "ids")).order_by(delivery.c.id)
THESE = update(notification).where(among(notification.c.id, "ids"))
LEASED = THESE.values(state="sending", leased_until=bindparam("until"), attempts=notification.c.attempts + 1)
FREED = update(notification).where(among(notification.c.follows, "ids")).values(follows=None)
# Written out and not bound: only so do both engines see that the index of open ones serves.
OPEN = notification.c.state.in_([literal_column(f"'{state}'") for state in UNDER_WAY])
IS_DUE = and_(
    OPEN,
    notification.c.follows.is_(None),
    notification.c.due_at <= bindparam("now"),
    or_(notification.c.leased_until.is_(None), notification.c.leased_until <= bindparam("now")),
)
# One look into the index for each channel: a dead target's backlog is not walked to find another's message.
CHANNELS_DUE = CHANNELS.where(
    select(notification.c.id).where(notification.c.channel_id == channel.c.id, IS_DUE).exists(),
    not_(among(channel.c.id, "full")),
)
ANY_DUE = CHANNELS_DUE.limit(1)
HELD_CHANNELS_DUE = CHANNELS_DUE.with_for_update(of=channel, skip_locked=True)
DUE = (
    NOTIFICATIONS.where(notification.c.channel_id == bindparam("channel"), IS_DUE)
    .order_by(notification.c.due_at, notification.c.id)
    .limit(bindparam("limit"))
    .with_for_update(of=notification, skip_locked=True)
)
UNSETTLED = NOTIFICATIONS.where(
    notification.c.channel_id == bindparam("channel"), notification.c.settled_at.is_(None)
).order_by(notification.c.id)
HEARD_OF = and_(notification.c.event.in_(("opened", "raised", "reopened")), notification.c.state != "dead")
TOLD_BEFORE = (
    select(
        notification.c.channel_id,
        notification.c.incident_id,
        func.max(case((notification.c.settled_at.is_(None), notification.c.id))).label("ahead"),
        func.max(case((HEARD_OF, 1), else_=0)).label("told"),
    )
    .where(among(notification.c.incident_id, "incidents"))
    .group_by(notification.c.channel_id, notification.c.incident_id)
)
WAITING = select(func.count().label("waiting")).select_from(notification).where(OPEN)
BOT = select(telegram_bot).where(telegram_bot.c.bot_id == bindparam("bot")).with_for_update()
