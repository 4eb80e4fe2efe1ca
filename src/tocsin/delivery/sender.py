"""Lease, send, settle: what carries messages out of the outbox. One for each process; they share the work.

Nothing here is needed for a message not to be lost: whatever this process forgets, the next one finds in the outbox.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from tocsin.access.model import ENVIRONMENT
from tocsin.db.engine import Database
from tocsin.db.transaction import Reader
from tocsin.delivery import claiming, links, model, outbox, recipients, store
from tocsin.delivery.channels import KINDS
from tocsin.delivery.claiming import Claimed, Load
from tocsin.delivery.model import Answer, Channel, Mail, Message, Notification, Verdict
from tocsin.delivery.outbox import Settled
from tocsin.delivery.transport import Way
from tocsin.incidents import store as incidents
from tocsin.incidents.model import Incident
from tocsin.incidents.shapes import view
from tocsin.kit import metrics
from tocsin.kit.errors import Problem
from tocsin.kit.keyring import Keyring, Unsealable
from tocsin.kit.nudge import Nudge
from tocsin.settings import Settings
from tocsin.timeline import store as timeline

log = structlog.get_logger("tocsin.delivery")

LOOK = 0.25  # seconds between two looks without a hint
LAST_WAIT = 3.0  # seconds that a stop allows messages in flight


class Sender:
    """Wakes when a commit of this process has touched the outbox, and looks now and then for what others left."""

    def __init__(self, db: Database, settings: Settings, keyring: Keyring) -> None:
        self._db = db
        self._settings = settings
        self._keyring = keyring
        self._way = Way(settings, db.clock)
        self._dice = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._busy: Counter[int] = Counter()
        self._silent: dict[int, None] = {}  # channels that gave no answer the last time, longest ago first
        self._tasks: set[asyncio.Task[None]] = set()
        self.nudge = Nudge()
        db.after_commit(self._committed)

    @property
    def way(self) -> Way:
        """The guarded way out, for what belongs to a message: a pressed button's answer."""
        return self._way

    def _committed(self, touched: Set[str]) -> None:
        """Most batches of a storm queue nothing: looking after each was a twentieth of a request's time."""
        if store.OUTBOX in touched:
            self.nudge.give()

    @property
    def in_flight(self) -> int:
        """Messages that are being sent."""
        return len(self._tasks)

    @property
    def load(self) -> Load:
        """What is in flight, by channel."""
        return Load({id: count for id, count in self._busy.items() if count}, tuple(self._silent))

    async def once(self) -> None:
        """Loop: wait for a hint, then take what is due until there is nothing more to take."""
        await self.nudge.wait(LOOK)
        while await self._took_some():
            pass

    async def count_waiting(self) -> None:
        """Loop: the figure of what waits."""
        metrics.NOTIFICATIONS_WAITING.set(await self._db.read(store.waiting))

    async def close(self) -> None:
        """Gives messages in flight a moment; whatever is not settled then is sent again by the next process."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=LAST_WAIT)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._way.close()

    async def _took_some(self) -> bool:
        load = self.load
        if not await self._db.read(store.anything_due, self._db.clock(), load.full):
            return False
        claimed: list[Claimed] = await self._db.write(claiming.claim, load)
        for each in claimed:
            self._busy[each.leader.channel_id] += 1
            task = asyncio.create_task(self._deliver(each), name="deliver")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(claimed)

    async def _deliver(self, claimed: Claimed) -> None:
        leader = claimed.leader
        began = time.perf_counter()
        try:
            channel, found = await self._db.read(_what_it_needs, leader.channel_id, claimed.incident_ids)
            answer = await self._answered(claimed, channel, found)
            self._silent.pop(leader.channel_id, None)
            if answer.silent:
                self._silent[leader.channel_id] = None
            now = self._db.clock()
            verdict = model.judged(answer, claimed.attempt, leader.created_at, now, self._dice)
            milliseconds = round((time.perf_counter() - began) * 1000)
            settled = Settled(leader.id, claimed.attempt, now, verdict, milliseconds, answer)
            await self._db.write(outbox.settle, settled)
            _figures(channel, claimed, verdict, now)
        except Problem as problem:
            # The database is away: the lease runs out, and the message is sent again under the same id.
            log.warning("a message could not be settled", notification=leader.id, problem=problem.detail)
        finally:
            self._busy[leader.channel_id] -= 1
            self.nudge.give()

    async def _answered(self, claimed: Claimed, channel: Channel | None, found: Sequence[Incident]) -> Answer:
        try:
            return await self._send(claimed, channel, found)
        except Problem:
            raise
        except Exception as problem:
            # Whatever went wrong here, somebody waits to be told: it is an attempt like any other, seen in the log,
            # tried again and given up. Let through, it would be sent again with each lease that runs out, for ever.
            reason = f"a fault of Tocsin's own: {type(problem).__name__}"
            log.exception("a message could not be made", notification=claimed.leader.id, reason=reason)
            return Answer(None, reason)

    async def _send(self, claimed: Claimed, channel: Channel | None, found: Sequence[Incident]) -> Answer:
        if channel is None or channel.removed_at is not None:
            return Answer(None, "the channel was removed", final=True)
        try:
            secrets = {"api": self._settings.telegram_api, **unsealed(self._keyring, channel)}
        except Unsealable as problem:
            return Answer(None, f"not sent: its secrets are {problem}")
        kind = KINDS[channel.kind]
        message = self._message(claimed, channel, found)
        if message.event == "raised":
            message = replace(message, was=await self._db.read(_severity_before, claimed.leader))
        out = kind.render(message, channel.config, secrets)
        if isinstance(out, Mail):
            known = recipients.read(claimed.leader.recipients)
            return await self._way.mail(replace(out, recipients=known), model.DEADLINE)
        answer, body = await self._way.send(out, model.DEADLINE)
        if answer.status is None or 200 <= answer.status < 300:
            return answer
        own = kind.answered(answer.status, body)
        return own if own.wait is not None else replace(own, wait=answer.wait)

    def _message(self, claimed: Claimed, channel: Channel, found: Sequence[Incident]) -> Message:
        """What is said: the incidents as they are now, worst first."""
        leader, base, now = claimed.leader, self._settings.address, self._db.clock()
        about = model.worst_first(found)
        one = about[0] if len(about) == 1 else None
        token = None
        if one is not None and one.active and one.acknowledged_at is None and leader.event != "resolved":
            token = links.token(self._keyring, one.id, channel.id, now)
        return Message(
            leader.event,
            leader.message_id,
            leader.created_at,
            now,
            about,
            max(1, len(about)),
            f"{base}/i/{one.id}" if one is not None else f"{base}/",
            None if token is None else f"{base}/a/{token}",
            token,
            shown(one),
        )


def unsealed(keyring: Keyring, channel: Channel) -> Mapping[str, Any]:
    """A channel's secrets; raises `Unsealable`."""
    return {} if channel.sealed is None else keyring.unseal(channel.sealed)


def shown(incident: Incident | None) -> bytes:
    """An incident as the API shows it to an administrator."""
    import msgspec

    return b"null" if incident is None else msgspec.json.encode(view(incident, ENVIRONMENT))


def _what_it_needs(
    reader: Reader, channel_id: int, incident_ids: Sequence[int]
) -> tuple[Channel | None, list[Incident]]:
    return store.one_channel(reader, channel_id), incidents.many(reader, incident_ids)


def _severity_before(reader: Reader, rise: Notification) -> str | None:
    """From what an incident had risen when this was queued."""
    entry_id = rise.entry_id or 0
    for entry in timeline.of_incident(reader, rise.incident_id or 0, entry_id - 1, 1):
        return str(entry.changes["severity"][0]) if entry.id == entry_id and "severity" in entry.changes else None
    return None


def _figures(channel: Channel | None, claimed: Claimed, verdict: Verdict, now: datetime) -> None:
    kind = channel.kind if channel is not None else "none"
    metrics.DELIVERIES.labels(kind, verdict.outcome).inc()
    if verdict.outcome == "sent":
        metrics.DELIVERY_SECONDS.labels(kind).observe(max(0.0, (now - claimed.leader.created_at).total_seconds()))
