"""Channels, subscriptions and notifications; who is told of what, and when a failed message is tried again. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from tocsin.delivery.recipients import Recipients
from tocsin.incidents.model import ENDED, RANK, SEVERITIES, SOURCES, Incident
from tocsin.kit.errors import Invalid, NotFound

LONGEST_NAME = 200
EVENTS = ("opened", "raised", "resolved", "reopened", "acknowledged", "unacknowledged", "test")
# What people hear of; machines, which keep a copy, hear of everything.
FOR_PEOPLE = frozenset(EVENTS) - {"acknowledged", "unacknowledged"}
MACHINES = frozenset({"webhook"})

BURST = timedelta(seconds=10)
LEASE = timedelta(seconds=20)
DEADLINE = 10.0  # seconds for one attempt; well below the lease
FIRST_WAIT, LONGEST_WAIT = 5.0, 3600.0  # seconds
GIVE_UP_AFTER = timedelta(hours=24)
ACKNOWLEDGED_BY_LINK = timedelta(days=7)
MOST_LINES = 10  # incidents that a folded message names

# States of a notification that is still to be sent.
UNDER_WAY = ("waiting", "sending")

Outcome = Literal["sent", "again", "dead"]


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to somebody. `config` may be shown; `sealed` holds its secrets, encrypted."""

    id: int
    name: str
    kind: str
    config: Mapping[str, Any]
    sealed: bytes | None
    created_at: datetime
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a channel wants to hear of: from `severity` on, of these sources; none named means all."""

    id: int
    channel_id: int
    severity: str
    sources: tuple[str, ...]
    created_at: datetime
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing that a channel is to be told. `message_id` is the same on every attempt."""

    id: int
    channel_id: int
    incident_id: int | None
    entry_id: int | None
    event: str
    message_id: str
    created_at: datetime
    state: str
    due_at: datetime
    carried_by: int | None
    leased_until: datetime | None
    attempts: int
    settled_at: datetime | None
    reason: str | None
    follows: int | None = None  # of the same channel and incident; sent only after that one is settled
    recipients: str | None = None  # of a mail that was not taken for everybody: see `recipients.py`


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt."""

    id: int
    notification_id: int
    at: datetime
    outcome: str
    status: int | None
    reason: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened and that somebody may want to hear of. `rose_from` is the severity before a rise."""

    entry_id: int
    incident_id: int
    event: str
    rose_from: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel says: one incident, or several folded into one. `incidents` stand worst first, at most ten."""

    event: str
    message_id: str
    happened_at: datetime
    at: datetime  # of this attempt
    incidents: Sequence[Incident] = ()
    count: int = 1
    page: str = ""  # the incident's, or the list
    acknowledge: str | None = None  # a link; None where there is nothing to acknowledge
    token: str | None = None  # the same for a button
    shown: bytes = b"null"  # the incident as the API shows it, for machines
    was: str | None = None  # the severity before a rise

    @property
    def incident(self) -> Incident | None:
        """The one incident that it is about; None where there are several, or none."""
        return self.incidents[0] if self.count == 1 and self.incidents else None


@dataclass(frozen=True, slots=True)
class Request:
    """A message as HTTP. Never shown or logged: its address may hold a token."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as e-mail. `thread` names the incident: its mails stand together."""

    to: Sequence[str]
    subject: str
    text: str
    html: str
    message_id: str
    thread: str | None = None
    recipients: Recipients = field(default_factory=Recipients)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said to an attempt; `status` is None where it said nothing. `wait` is in seconds."""

    status: int | None
    reason: str
    wait: float | None = None
    final: bool = False
    silent: bool = False  # nobody was there, or nobody said anything
    recipients: Recipients | None = None  # of a mail, where the server took it for some of them at least
    moved_to: str | None = None  # the chat's new number, by which it is tried again


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message after an attempt. `due_at` is set where it is tried again."""

    outcome: Outcome
    reason: str
    status: int | None = None
    due_at: datetime | None = None


def noticed(kind: str, changes: Mapping[str, Sequence[Any]]) -> tuple[str, str | None] | None:
    """The event that an entry is, with the severity before a rise; None where nobody is told."""
    if kind == "filed":
        return "opened", None
    if kind in ("acknowledged", "unacknowledged"):
        return kind, None
    if kind == "moved":
        before, after = changes["status"]
        if "reopened" in changes:
            return "reopened", None
        return ("resolved", None) if after in ENDED and before not in ENDED else None
    if kind in ("rated", "reported", "amended") and "severity" in changes:
        before, after = changes["severity"]
        return ("raised", before) if RANK[after] > RANK[before] else None
    return None


def wants(subscription: Subscription, notice: Notice, severity: str, source: str, *, told: bool) -> bool:
    """Whether this is for this subscriber. Of a rise hears only who had not been told of the incident before it; of
    the end whoever was `told` that there is one, even if it is less severe by now.
    """
    if subscription.sources and source not in subscription.sources:
        return False
    if told and notice.event in ("resolved", "reopened"):
        return True
    least = RANK[subscription.severity]
    if notice.rose_from is not None and RANK[notice.rose_from] >= least:
        return False
    return RANK[severity] >= least


def burst(until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """When something of an event is due, and until when its burst lasts then: each message, a folded one too, opens
    ten seconds in which the next one waits. `until` is the end that was known; one that lies further ahead than any
    burst's was written before the clock went back, and would keep people waiting for as long as it did.
    """
    if until is None or until <= now or until - now > 2 * BURST:
        return now, now + BURST
    if until - now > BURST:  # a folded message goes out at the beginning of the last ten seconds
        return until - BURST, until
    return until, until + BURST


def judged(answer: Answer, attempts: int, created_at: datetime, now: datetime, dice: random.Random) -> Verdict:
    """The one rule for every way out: done, again later, or never.

    2xx is done. 429, 5xx and silence are tried again: after 5 s, 10 s, 20 s … up to an hour, with jitter so that many
    do not come back at once, or later where the other side asks for it; for 24 hours. Everything else is final.
    """
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Verdict("sent", answer.reason, status)
    refused = status is not None and status != 429 and status < 500
    if answer.final or (refused and answer.moved_to is None):
        return Verdict("dead", answer.reason, status)
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts - 1, 20))
    until = created_at + GIVE_UP_AFTER
    due_at = now + timedelta(seconds=dice.uniform(longest / 2, longest))
    if due_at > until:
        return Verdict("dead", f"given up after 24 hours: {answer.reason}", status)
    # Who asks for no wait, or for a time that has passed, gets ours: they would be asked without pause.
    asked = now + timedelta(seconds=min(answer.wait or 0.0, GIVE_UP_AFTER.total_seconds()))
    return Verdict("again", answer.reason, status, max(due_at, min(asked, until)))


def waits(header: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds: a number, or a date; None where it says neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def worst_first(incidents: Sequence[Incident]) -> list[Incident]:
    """As a folded message names them."""
    return sorted(incidents, key=lambda each: (-RANK[each.severity], each.id))


def in_use(channel: Channel | None) -> Channel:
    """The channel, if there is one that was not removed; else raises `NotFound`."""
    if channel is None or channel.removed_at is not None:
        raise NotFound("There is no channel with this id; `GET /api/channels` lists them.")
    return channel


def good_name(name: str) -> str:
    """`name` if it is one short line."""
    if not name.strip() or len(name) > LONGEST_NAME or "\n" in name:
        raise Invalid.field("name", f"must be one line of 1 to {LONGEST_NAME} characters")
    return name.strip()


def least(text: str) -> str:
    """The severity in `high` or `high+`, which mean the same; raises `Invalid`."""
    severity = text.strip().lower().removesuffix("+")
    if severity not in SEVERITIES:
        raise Invalid.field("severity", f"must be one of {', '.join(reversed(SEVERITIES))}, meaning at least that")
    return severity


def good_sources(sources: Sequence[str]) -> tuple[str, ...]:
    """The sources that are named, each once; raises `Invalid`."""
    for each in sources:
        if each not in SOURCES:
            raise Invalid.field("sources", f"must be some of {', '.join(SOURCES)}, or empty for all")
    return tuple(dict.fromkeys(sources))
