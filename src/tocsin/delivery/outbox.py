"""The outbox: what is to be told, written with the entry that causes it; what came of each attempt.

`tell` is how entries get into the timeline of a serving process. Delivery is at least once: a lease that runs out is
taken by somebody else, under the same message id. What a channel hears of one incident goes out in its order.
"""

import secrets
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tocsin.db.transaction import CLOCK, Happening, Writer, decided
from tocsin.delivery import model, recipients, store
from tocsin.delivery.model import Answer, Channel, Notice, Notification, Subscription, Verdict
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
    answer: Answer


def tell(tx: Writer, told: Sequence[Happening]) -> None:
    """Writes what was told into the timeline, and for whoever wants to hear of it into the outbox."""
    ids = timeline.append(tx, told)
    # Here the log's lock is held: whoever queues something behind a message sees it settled, or is seen by this.
    if settled := _settled(told):
        store.free(tx, settled)
    notices = _notices(told, ids)
    if notices and (wanted := store.subscriptions(tx)):
        _queue(tx, notices, wanted)


def send_test(tx: Writer, wishes: Sequence[int]) -> list[Notification | Problem]:
    """A message that says only that it works, to each of these channels."""
    return decided(tx, wishes, _test)


def retry(tx: Writer, wishes: Sequence[int]) -> list[Notification | Problem]:
    """Messages that were given up are tried again, under the same message id."""
    return decided(tx, wishes, _retry)


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
        if wish.answer.moved_to is not None:
            _follow(tx, before.channel_id, wish.answer.moved_to)
    return [None for _ in wishes]


def end(tx: Writer, channel_id: int, reason: str) -> None:
    """What a removed channel was still to be told is not sent any more, which the timeline says."""
    ended = store.unsettled(tx, channel_id)
    values = {"state": "dead", "reason": reason, "settled_at": tx.now, "leased_until": None}
    store.settle(tx, [each.id for each in ended], values)
    for each in ended:
        tx.tell(happened("not_notified", each))


def _settled(told: Sequence[Happening]) -> list[int]:
    return [each.refs["notification"] for each in told if each.kind in ("notified", "not_notified")]


def _notices(told: Sequence[Happening], ids: Sequence[int]) -> list[Notice]:
    """What somebody may want to hear of. Several rises in one batch are one, and part of an opening in it: whoever is
    told is told of the severity that it has in the end.
    """
    notices: list[Notice] = []
    risen: set[int] = set()
    for happening, id in zip(told, ids, strict=True):
        incident_id, event = happening.incident_id, model.noticed(happening.kind, happening.changes)
        if incident_id is None or event is None or (event[0] == "raised" and incident_id in risen):
            continue
        if event[0] in ("opened", "raised"):
            risen.add(incident_id)
        notices.append(Notice(id, incident_id, *event))
    return notices


Pair = tuple[Notice, Channel]


def _queue(tx: Writer, notices: Sequence[Notice], wanted: Sequence[Subscription]) -> None:
    new = {notice.incident_id for notice in notices if notice.event == "opened"}
    before = store.told_before(tx, sorted({notice.incident_id for notice in notices} - new))
    pairs = _pairs(tx, notices, wanted, {each for each, (_, told) in before.items() if told})
    if not pairs:
        return
    due = _bursts(tx, [(to.id, notice.event) for notice, to in pairs if to.kind not in model.MACHINES])
    ahead = {each: last for each, (last, _) in before.items() if last is not None}
    for some in _rounds(pairs):
        places = [(to.id, notice.incident_id) for notice, to in some]
        rows = [
            _row(tx, to.id, notice, due.get((to.id, notice.event), tx.now), ahead.get(place))
            for (notice, to), place in zip(some, places, strict=True)
        ]
        ahead |= zip(places, store.queue(tx, rows), strict=True)


def _pairs(
    tx: Writer, notices: Sequence[Notice], wanted: Sequence[Subscription], told: Set[tuple[int, int]]
) -> list[Pair]:
    """Who hears of what, each once."""
    facts = store.facts(tx, [notice.incident_id for notice in notices])
    channels = {each.id: each for each in store.channels(tx)}
    pairs: list[Pair] = []
    for notice in notices:
        severity, source = facts[notice.incident_id]
        fits = dict.fromkeys(
            each.channel_id
            for each in wanted
            if model.wants(each, notice, severity, source, told=(each.channel_id, notice.incident_id) in told)
        )
        to = [channels[id] for id in fits if id in channels]
        pairs += [(notice, each) for each in to if each.kind in model.MACHINES or notice.event in model.FOR_PEOPLE]
    return pairs


def _rounds(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """In the same order, but each channel hears once of each incident in a round: what follows must know the id of
    what it follows.
    """
    rounds: list[list[Pair]] = []
    depth: Counter[tuple[int, int]] = Counter()
    for notice, to in pairs:
        place = (to.id, notice.incident_id)
        if depth[place] == len(rounds):
            rounds.append([])
        rounds[depth[place]].append((notice, to))
        depth[place] += 1
    return rounds


def _bursts(tx: Writer, wanted: Sequence[tuple[int, str]]) -> dict[tuple[int, str], datetime]:
    """When each is due: at once, unless a message of this event went to this channel a moment ago.

    The log's lock is held here, so that no other process decides the same at the same time.
    """
    due: dict[tuple[int, str], datetime] = {}
    known = store.bursts(tx) if wanted else {}
    for each in dict.fromkeys(wanted):
        due[each], until = model.burst(known.get(each), tx.now)
        if until != known.get(each):
            store.begin_burst(tx, *each, until, again=each in known)
    return due


def _row(tx: Writer, channel_id: int, notice: Notice | None, due_at: datetime, follows: int | None) -> dict[str, Any]:
    return {
        "channel_id": channel_id,
        "incident_id": None if notice is None else notice.incident_id,
        "entry_id": None if notice is None else notice.entry_id,
        "event": "test" if notice is None else notice.event,
        "message_id": f"msg_{secrets.token_hex(12)}",
        "created_at": tx.now,
        "state": "waiting",
        "due_at": due_at,
        "follows": follows,
    }


def _settle(tx: Writer, wish: Settled, before: Notification, carried: Sequence[Notification]) -> None:
    """Whatever becomes of a message becomes of those that it carries."""
    verdict, others = wish.verdict, [each.id for each in carried]
    values: dict[str, Any] = {"leased_until": None, "reason": verdict.reason}
    mail = wish.answer.recipients or recipients.read(before.recipients)
    if wish.answer.recipients is not None:
        store.settle(tx, [before.id], {"recipients": mail.written})
    if verdict.outcome == "again":
        store.settle(tx, [before.id], {**values, "state": "waiting", "due_at": verdict.due_at})
        store.settle(tx, others, values)
        return
    values["settled_at"] = tx.now
    store.settle(tx, [before.id], {**values, "state": verdict.outcome})
    store.settle(tx, others, {**values, "state": "carried" if verdict.outcome == "sent" else "dead"})
    for each in (before, *carried):
        if verdict.outcome == "sent" or mail.taken:
            tx.tell(happened("notified", each))
        if verdict.outcome == "dead" or mail.refused:
            tx.tell(happened("not_notified", each))


def _follow(tx: Writer, channel_id: int, chat: str) -> None:
    """The chat of a channel has another number, as its other side says."""
    channel = store.one_channel(tx, channel_id)
    if channel is not None and channel.removed_at is None and channel.config.get("chat") not in (None, chat):
        store.change_channel(tx, channel.id, {"config": {**channel.config, "chat": chat}})
        tx.tell(Happening("channel_changed", CLOCK, refs={"channel": channel.id}))


def happened(kind: str, each: Notification) -> Happening:
    """The entry that says what became of it; it also lets go what follows it."""
    return Happening(kind, CLOCK, each.incident_id, refs={"notification": each.id, "channel": each.channel_id})


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
    (new,) = store.queue(tx, [_row(tx, channel_id, None, tx.now, None)])
    return _notification(tx, new)


def _retry(tx: Writer, notification_id: int) -> Notification:
    asked = store.one_notification(tx, notification_id)
    if asked is None:
        raise NotFound("There is no notification with this id.")
    model.in_use(store.one_channel(tx, asked.channel_id))
    leader_id = asked.carried_by or asked.id
    leader = store.hold_notifications(tx, [leader_id])[leader_id]
    if leader.state != "dead":
        raise AlreadyThere(f"The notification is `{leader.state}`; only one that was given up is tried again.")
    values: dict[str, Any] = {"state": "waiting", "due_at": tx.now, "settled_at": None}
    if leader.recipients is not None:
        values["recipients"] = recipients.read(leader.recipients).once_more().written
    store.settle(tx, [leader.id], values)
    carried = store.carried(tx, [leader.id]).get(leader.id, [])
    store.settle(tx, [each.id for each in carried], {"state": "carried", "settled_at": None})
    return _notification(tx, asked.id)


def _notification(tx: Writer, id: int) -> Notification:
    found = store.one_notification(tx, id)
    assert found is not None
    return found
