"""Incident: the one trouble that people work on, and every rule about it. Pure: no SQL, no HTTP, no clock.

The lifecycle is the table `REFUSED`: any move that it does not name is allowed. A rule gives a `Change`, the same
incident where there is nothing to change, or raises a `Problem` that says what would be right.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from tocsin.access.model import MAY_FILE, Principal
from tocsin.kit.errors import Invalid, NotAllowed, RefusedMove

Status = Literal["new", "open", "in_progress", "on_hold", "resolved", "closed"]
Source = Literal["operator", "monitoring", "partner"]
Severity = Literal["info", "low", "medium", "high", "critical"]  # in the order of their ranks
STATUSES: tuple[Status, ...] = get_args(Status)
SOURCES: tuple[Source, ...] = get_args(Source)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
RANK: Mapping[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}
USUAL_SEVERITY: Severity = "medium"
ENDED: frozenset[str] = frozenset({"resolved", "closed"})
ACTIVE: tuple[Status, ...] = tuple(status for status in STATUSES if status not in ENDED)

# From → the statuses that it cannot go to. A move to the status that it has is no move.
REFUSED: Mapping[str, frozenset[str]] = {
    "new": frozenset(),
    "open": frozenset({"new"}),
    "in_progress": frozenset({"new"}),
    "on_hold": frozenset({"new"}),
    "resolved": frozenset({"new"}),
    "closed": frozenset({"new", "resolved", "on_hold"}),
}

# Whose first move to `in_progress`, or filing with it, says that somebody has taken note: a program's does not.
PEOPLE = frozenset({"admin", "operator"})

MOST_AT_ONCE = 1000  # drafts in one request
LONGEST_DESCRIPTION = 65_536
LONGEST_SUMMARY = 140
LONGEST_ASSET = 255
MOST_LABELS = 64
LONGEST_LABEL = 1024  # of a name and its value together


# An incident's id, version and count of reports: two times the same mark is two times the same incident, because
# every change raises the version or counts a report.
Mark = tuple[int, int, int]


class Incident(NamedTuple):
    """An incident as it stands. `summary` is None where the description's first line serves.

    A tuple, because a database row becomes one five times faster than a dataclass, and lists are long.
    """

    id: int
    description: str
    status: str
    source: str
    created_at: datetime
    summary: str | None
    filed_by: int | None
    partner_id: int | None
    partner: str | None
    partner_words: str | None
    acknowledged_at: datetime | None
    acknowledged_by: int | None
    resolved_at: datetime | None
    closed_at: datetime | None
    updated_at: datetime
    reopened_count: int
    version: int
    severity: str = USUAL_SEVERITY
    asset: str | None = None
    labels: str = "{}"  # JSON in canonical form: it goes out as it is kept
    integration_id: int | None = None
    dedup_owner: str | None = None
    dedup_key: str | None = None
    reports_count: int = 1
    last_reported_at: datetime | None = None  # None: nobody has reported it since it was filed

    @property
    def active(self) -> bool:
        return self.status not in ENDED

    @property
    def mark(self) -> Mark:
        return self.id, self.version, self.reports_count


class Change(msgspec.Struct, frozen=True):
    """An incident as it is to be, and what the timeline says of it."""

    after: Incident
    kind: str
    changes: Mapping[str, Sequence[Any]] = {}


Decision = Change | Incident


def allowed_moves(status: str) -> list[str]:
    """The statuses that an incident may go to from here."""
    return [to for to in STATUSES if to != status and to not in REFUSED[status]]


def summary_of(incident: Incident) -> str:
    """The given summary, else the description's first line, at most 140 characters."""
    if incident.summary is not None:
        return incident.summary
    return first_line(incident.description)


def first_line(text: str, most: int = LONGEST_SUMMARY) -> str:
    """A text's first line, cut with `…` where it is too long."""
    return cut(text.lstrip().split("\n", 1)[0].rstrip(), most)


def cut(text: str, most: int) -> str:
    """At most so many characters; a cut is seen."""
    return text if len(text) <= most else text[: most - 1] + "…"


def good_status(text: str, field: str = "status") -> str:
    """`text` if it is a status; `Invalid` names the right ones."""
    if text not in STATUSES:
        raise Invalid.field(field, f"must be one of {', '.join(STATUSES)}")
    return text


def good_source(text: str, field: str = "source") -> str:
    """`text` if it is a source; `Invalid` names the right ones."""
    if text not in SOURCES:
        raise Invalid.field(field, f"must be one of {', '.join(SOURCES)}")
    return text


def good_severity(text: str, field: str = "severity") -> str:
    """`text` if it is a severity; `Invalid` names the right ones."""
    if text not in RANK:
        raise Invalid.field(field, f"must be one of {', '.join(reversed(SEVERITIES))}")
    return text


def good_asset(text: str | None) -> str | None:
    """`text` if it is one short line."""
    if text is not None and (len(text) > LONGEST_ASSET or "\n" in text or not text.strip()):
        raise Invalid.field("asset", f"must be one line of 1 to {LONGEST_ASSET} characters")
    return text


def good_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """`labels` if they are few and short."""
    if len(labels) > MOST_LABELS:
        raise Invalid.field("labels", f"must be at most {MOST_LABELS}")
    for name, value in labels.items():
        if len(name.encode()) + len(value.encode()) > LONGEST_LABEL:
            raise Invalid.field(f"labels.{name[:80]}", f"must take at most {LONGEST_LABEL} bytes, name and value")
    return labels


def good_description(text: str) -> str:
    """`text` if it is not too long; empty is allowed."""
    if len(text) > LONGEST_DESCRIPTION:
        raise Invalid.field("description", f"must have at most {LONGEST_DESCRIPTION:,} characters")
    return text


def good_summary(text: str | None) -> str | None:
    """`text` if it is one short line."""
    if text is not None and (len(text) > LONGEST_SUMMARY or "\n" in text or not text.strip()):
        raise Invalid.field("summary", f"must be one line of 1 to {LONGEST_SUMMARY} characters")
    return text


def may_file(who: Principal, source: str, partner: str | None) -> None:
    """Raises `NotAllowed` where this role may not file this, `Invalid` where the parts do not fit."""
    if source not in MAY_FILE[who.role]:
        right = ", ".join(s for s in SOURCES if s in MAY_FILE[who.role])
        raise NotAllowed(f"A key with the role `{who.role}` files with source {right}, not `{source}`.")
    if partner is not None and who.partner_id is not None:
        raise NotAllowed("A partner's key files for its own company; leave `partner` out.")


def times_implied(status: str, at: datetime, by: Principal) -> dict[str, Any]:
    """The time fields that filing with a status sets. `open` does not acknowledge: nobody works on it yet."""
    working = status == "in_progress" and by.role in PEOPLE
    return {
        "acknowledged_at": at if working else None,
        "acknowledged_by": by.key_id if working else None,
        "resolved_at": at if status in ENDED else None,
        "closed_at": at if status == "closed" else None,
    }


def moved(incident: Incident, to: str, *, at: datetime, by: Principal) -> Decision:
    """The incident moved to another status by a person or program."""
    if to == incident.status:
        return incident
    reopening = not incident.active and to not in ENDED
    _may_move(by, to, reopening)
    if to in REFUSED[incident.status]:
        allowed = allowed_moves(incident.status)
        raise RefusedMove(
            f"An incident that is `{incident.status}` cannot go to `{to}`; it can go to {', '.join(allowed)}.",
            allowed=allowed,
        )
    changed: dict[str, Any] = {"status": to, **_times_of_move(incident, to, at, by)}
    told: dict[str, list[Any]] = {"status": [incident.status, to]}
    if reopening:
        changed["reopened_count"] = incident.reopened_count + 1
        told["reopened"] = [incident.reopened_count, incident.reopened_count + 1]
    return Change(newer(incident, at, **changed), "moved", told)


def described(incident: Incident, description: str, *, at: datetime, by: Principal) -> Decision:
    """The incident in other words. A partner's own words never overwrite those of the people who work on it."""
    if by.role == "monitoring":
        raise NotAllowed(
            "A monitoring key moves, acknowledges and resolves its own incidents; it does not describe them."
        )
    if by.partner_id is not None:
        theirs = incident.description == (incident.partner_words or "")
        if description == incident.partner_words:
            return incident
        changed = {"partner_words": description} | ({"description": description} if theirs else {})
    elif description == incident.description:
        return incident
    else:
        changed = {"description": description}
    return Change(newer(incident, at, **changed), "described")


def rated(incident: Incident, severity: str, *, at: datetime, by: Principal) -> Decision:
    """The incident with another severity. Reports may raise it; only people lower it."""
    if severity == incident.severity:
        return incident
    if by.role == "partner":
        raise NotAllowed("How bad it is, is for operators to say.")
    if by.role == "monitoring" and RANK[severity] < RANK[incident.severity]:
        raise NotAllowed("A program may raise the severity; only people lower it.")
    return Change(newer(incident, at, severity=severity), "rated", {"severity": [incident.severity, severity]})


def acknowledged(incident: Incident, *, at: datetime, by: Principal) -> Decision:
    """Somebody takes note. Twice is once: the first stays."""
    if incident.acknowledged_at is not None:
        return incident
    after = newer(incident, at, acknowledged_at=at, acknowledged_by=by.key_id)
    return Change(after, "acknowledged", {"acknowledged": [False, True]})


def unacknowledged(incident: Incident, *, at: datetime) -> Decision:
    """The acknowledgement is taken back."""
    if incident.acknowledged_at is None:
        return incident
    after = newer(incident, at, acknowledged_at=None, acknowledged_by=None)
    return Change(after, "unacknowledged", {"acknowledged": [True, False]})


def visible_to(incident: Incident, who: Principal) -> bool:
    """Whether this incident is there for this caller at all."""
    if who.sees_all:
        return True
    if who.role == "monitoring":
        return incident.filed_by == who.key_id
    return who.partner_id is not None and incident.partner_id == who.partner_id


def _may_move(by: Principal, to: str, reopening: bool) -> None:
    if by.role == "partner" and not reopening:
        raise NotAllowed(f"A partner may reopen its own incidents, and make no other move; `{to}` is for operators.")


def _times_of_move(incident: Incident, to: str, at: datetime, by: Principal) -> dict[str, Any]:
    times: dict[str, Any] = {}
    if to == "in_progress" and incident.acknowledged_at is None and by.role in PEOPLE:
        times |= {"acknowledged_at": at, "acknowledged_by": by.key_id}
    if to in ENDED:
        # Closing what was resolved keeps the time at which it was resolved.
        times["resolved_at"] = incident.resolved_at or at
        times["closed_at"] = at if to == "closed" else None
    else:
        times |= {"resolved_at": None, "closed_at": None}
    return times


def newer(incident: Incident, at: datetime, **changed: Any) -> Incident:
    """The next version."""
    return incident._replace(updated_at=at, version=incident.version + 1, **changed)
