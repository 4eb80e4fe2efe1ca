"""The outbox: what is to be told, written with the entry that causes it, leased to whoever sends it, settled.

`tell` is how entries get into the timeline of a serving process. Delivery is at least once: a lease that runs out is
taken by somebody else, under the same message id.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tocsin.db.transaction import CLOCK, Happening, Writer, decided
from tocsin.delivery import model, store
from tocsin.delivery.model import Notice, Notification, Subscription, Verdict
from tocsin.kit.errors import AlreadyThere, NotFound, Problem
from tocsin.timeline import log as timeline


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of an attempt. `attempt` is its number: a later one counts more."""

    notification_id: int
    attempt: int
    at: datetime
    verdict: Verdict
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A process asks for work: not for `busy` channels, at most so many messages, and so many of each channel."""

    busy: Mapping[int, int]  # messages in flight, by channel
    most: int
    most_of_one: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to be sent: the notification that leads it, and those that it carries."""

    leader: Notification
    carried: tuple[Notification, ...] = ()

    @property
    def attempt(self) -> int:
        return self.leader.attempts + 1

    @property
    def incident_ids(self) -> list[int]:
        return [each.incident_id for each in (self.leader, *self.carried) if each.incident_id is not None]


def tell(tx: Writer, told: Sequence[Happening]) -> None:
    """Writes what was told into the timeline, and for whoever wants to hear of it into the outbox."""
    ids = timeline.append(tx, told)
    notices = _notices(told, ids)
    if notices and (wanted := store.subscriptions(tx)):
        _queue(tx, notices, wanted)


def send_test(tx: Writer, wishes: Sequence[int]) -> list[Notification | Problem]:
    """A message that says only that it works, to each of these channels."""
    return decided(tx, wishes, _test)


def retry(tx: Writer, wishes: Sequence[int]) -> list[Notification | Problem]:
    """Messages that were given up are tried again, under the same message id."""
    return decided(tx, wishes, _retry)


def claim(tx: Writer, wishes: Sequence[Claim]) -> list[list[Claimed]]:
    """What is due now, leased to this process; messages for people of the same event are folded into one."""
    return [_claim(tx, wish) for wish in wishes]


def settle(tx: Writer, wishes: Sequence[Settled]) -> list[None]:
    """Attempts are written down; who was told, and who could not be, stands in the timeline."""
    held = store.hold_notifications(tx, [wish.notification_id for wish in wishes])
    carried = store.carried(tx, list(held))
    store.add_deliveries(tx, [_delivery(wish) for wish in wishes])
    for wish in wishes:
        before = held[wish.notification_id]
        late = before.attempts != wish.attempt or before.state != "sending"
        if before.state == "sent" or (late and wish.verdict.outcome != "sent"):
            continue  # another process took over meanwhile: its word counts
        _settle(tx, wish, before, carried.get(before.id, []))
    return [None for _ in wishes]


def release(tx: Writer, wishes: Sequence[None]) -> list[None]:
    """Every lease ends: for a process that has just started and knows that it is alone."""
    store.release(tx)
    return [None for _ in wishes]


def _notices(told: Sequence[Happening], ids: Sequence[int]) -> list[Notice]:
    """What somebody may want to hear of. A rise in the batch that opened the incident is part of the opening."""
    notices: list[Notice] = []
    opened: set[int] = set()
    for happening, id in zip(told, ids, strict=True):
        if happening.incident_id is None:
            continue
        event = model.noticed(happening.kind, happening.changes)
        if event is None or (event[0] == "raised" and happening.incident_id in opened):
            continue
        if event[0] == "opened":
            opened.add(happening.incident_id)
        notices.append(Notice(id, happening.incident_id, *event))
    return notices


def _queue(tx: Writer, notices: Sequence[Notice], wanted: Sequence[Subscription]) -> None:
    facts = store.facts(tx, [notice.incident_id for notice in notices])
    kinds = {each.id: each.kind for each in store.channels(tx)}
    pairs: list[tuple[Notice, int]] = []
    for notice in notices:
        fits = [each.channel_id for each in wanted if model.wants(each, notice, *facts[notice.incident_id])]
        machine = notice.event not in model.FOR_PEOPLE
        pairs += [
            (notice, id) for id in dict.fromkeys(fits) if id in kinds and (not machine or kinds[id] in model.MACHINES)
        ]
    if pairs:
        people = {id for id, kind in kinds.items() if kind not in model.MACHINES}
        due = _bursts(tx, [(id, notice.event) for notice, id in pairs if id in people])
        store.queue(tx, [_row(tx, id, notice, due.get((id, notice.event), tx.now)) for notice, id in pairs])


def _bursts(tx: Writer, wanted: Sequence[tuple[int, str]]) -> dict[tuple[int, str], datetime]:
    """When each is due: at once, unless a message of this event went to this channel a moment ago.

    The log's lock is held here, so that no other process decides the same at the same time.
    """
    due: dict[tuple[int, str], datetime] = {}
    known = store.bursts(tx) if wanted else {}
    for each in dict.fromkeys(wanted):
        until = known.get(each)
        if until is not None and until > tx.now:
            due[each] = until
        else:
            due[each] = tx.now
            store.begin_burst(tx, *each, tx.now + model.BURST, again=until is not None)
    return due


def _row(tx: Writer, channel_id: int, notice: Notice | None, due_at: datetime) -> dict[str, Any]:
    return {
        "channel_id": channel_id,
        "incident_id": None if notice is None else notice.incident_id,
        "entry_id": None if notice is None else notice.entry_id,
        "event": "test" if notice is None else notice.event,
        "message_id": f"msg_{secrets.token_hex(12)}",
        "created_at": tx.now,
        "state": "waiting",
        "due_at": due_at,
    }


def _claim(tx: Writer, wish: Claim) -> list[Claimed]:
    full = [id for id, count in wish.busy.items() if count >= wish.most_of_one]
    due = store.hold_due(tx, full, 10 * wish.most + 200)
    people = {each.id for each in store.channels(tx) if each.kind not in model.MACHINES}
    room = {each.channel_id: wish.most_of_one - wish.busy.get(each.channel_id, 0) for each in due}
    groups: dict[Any, list[Notification]] = {}
    for each in due:
        fresh = each.channel_id in people and each.attempts == 0 and each.event != "test"
        groups.setdefault((each.channel_id, each.event) if fresh else each.id, []).append(each)
    taken: list[list[Notification]] = []
    for group in groups.values():
        if len(taken) < wish.most and room[group[0].channel_id] > 0:
            room[group[0].channel_id] -= 1
            taken.append(group)
    if not taken:
        return []
    for leader, *others in taken:
        if others:
            store.carry(tx, leader.id, [each.id for each in others])
    leaders = [group[0] for group in taken]
    store.lease(tx, [each.id for each in leaders], tx.now + model.LEASE)
    former = store.carried(tx, [each.id for each in leaders])
    return [Claimed(each, tuple(former.get(each.id, ()))) for each in leaders]


def _settle(tx: Writer, wish: Settled, before: Notification, carried: Sequence[Notification]) -> None:
    verdict = wish.verdict
    if verdict.outcome == "again":
        values = {"state": "waiting", "due_at": verdict.due_at, "leased_until": None, "reason": verdict.reason}
        store.settle(tx, [before.id], values)
        return
    done = {"state": verdict.outcome, "settled_at": tx.now, "leased_until": None, "reason": verdict.reason}
    store.settle(tx, [before.id], done)
    if carried:
        store.settle(tx, [each.id for each in carried], {"settled_at": tx.now})
    kind = "notified" if verdict.outcome == "sent" else "not_notified"
    for each in (before, *carried):
        refs = {"notification": each.id, "channel": each.channel_id}
        tx.tell(Happening(kind, CLOCK, each.incident_id, refs=refs))


def _delivery(wish: Settled) -> dict[str, Any]:
    return {
        "notification_id": wish.notification_id,
        "at": wish.at,
        "outcome": wish.verdict.outcome,
        "status": wish.verdict.status,
        "reason": wish.verdict.reason,
        "milliseconds": wish.milliseconds,
    }


def _test(tx: Writer, channel_id: int) -> Notification:
    model.in_use(store.one_channel(tx, channel_id))
    (new,) = store.queue(tx, [_row(tx, channel_id, None, tx.now)])
    return _notification(tx, new)


def _retry(tx: Writer, notification_id: int) -> Notification:
    before = store.hold_notifications(tx, [notification_id]).get(notification_id)
    if before is None:
        raise NotFound("There is no notification with this id.")
    model.in_use(store.one_channel(tx, before.channel_id))
    if before.state != "dead":
        raise AlreadyThere(f"The notification is `{before.state}`; only one that was given up is tried again.")
    store.settle(tx, [before.id], {"state": "waiting", "due_at": tx.now, "settled_at": None})
    return _notification(tx, before.id)


def _notification(tx: Writer, id: int) -> Notification:
    found = store.one_notification(tx, id)
    assert found is not None
    return found
