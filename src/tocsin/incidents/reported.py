"""What a report does to an incident: the rules of `model.py` for what machines say. Pure.

One trouble, one incident: a trigger opens, or joins the one that is active. What names no active incident changes
nothing and is accepted all the same, because the sender cannot know what people did meanwhile.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from tocsin.incidents.model import LONGEST_LABEL, MOST_LABELS, RANK, USUAL_SEVERITY, Incident, first_line, newer
from tocsin.timeline.model import canonical

Action = Literal["trigger", "acknowledge", "unacknowledge", "resolve", "amend", "note"]
Outcome = Literal[
    "opened", "joined", "acknowledged", "unacknowledged", "resolved", "over", "amended", "noted", "nothing", "refused"
]

TAGS = "tags"  # the label that holds what a source lists without values
NO_INCIDENT = "no active incident has this dedup key"
COUNTED = ("reports_count", "last_reported_at")  # the last fields of an incident: see `_counted`


class Sender(msgspec.Struct, frozen=True):
    """Whose report it is: an integration's or a key's. `owner` is the scope of its dedup keys."""

    owner: str
    source: str
    key_id: int | None = None
    integration_id: int | None = None
    partner_id: int | None = None
    partner: str | None = None
    # Whether the source's word that it is over ends what a person has taken in hand.
    ends_what_is_taken: bool = True


class Signal(msgspec.Struct, frozen=True):
    """One report, as the register hears it. `incident_id` is for senders that name our incident."""

    action: Action
    sender: Sender
    dedup_key: str | None = None
    incident_id: int | None = None
    description: str | None = None
    summary: str | None = None
    severity: str | None = None
    asset: str | None = None
    labels: Mapping[str, str] = {}
    # Of an amendment: labels that come or, where the value is None, go; and tags that come or go.
    relabel: Mapping[str, str | None] = {}
    retag: Mapping[str, bool] = {}


class Heard(msgspec.Struct, frozen=True):
    """What came of a signal: the incident as it now is (id 0: a new one), and what the timeline says, if anything."""

    incident: Incident | None
    outcome: Outcome
    reason: str
    kind: str | None = None
    changes: Mapping[str, Sequence[Any]] = {}


def heard(incident: Incident | None, signal: Signal, *, at: datetime, described: bool = False) -> Heard:
    """Decides one signal; `incident` is the one that it names or joins, None where there is none.

    `described` says that people have put its description in their own words: the source's do not replace those.
    """
    if incident is None:
        if signal.action == "trigger":
            return Heard(opened(signal, at), "opened", "nothing active had this dedup key", "filed")
        if signal.action == "note" and signal.dedup_key is None and signal.incident_id is None:
            return Heard(None, "noted", "kept as a note beside the incidents")
        return Heard(None, "nothing", NO_INCIDENT)
    if signal.action == "note":
        return Heard(incident, "noted", f"a note on incident {incident.id}", "noted")
    if not incident.active:
        return Heard(incident, "nothing", f"incident {incident.id} has ended")
    if signal.action == "amend":
        return _amended(incident, signal, at, described)
    return _ON_ACTIVE[signal.action](incident, signal, at)


def opened(signal: Signal, at: datetime) -> Incident:
    """The incident that a first report opens; its id is given out later."""
    sender, description = signal.sender, signal.description or signal.summary or ""
    return Incident(
        id=0,
        description=description,
        status="new",
        source=sender.source,
        created_at=at,
        summary=signal.summary,
        filed_by=sender.key_id,
        partner_id=sender.partner_id,
        partner=sender.partner,
        partner_words=description if sender.partner_id is not None else None,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        closed_at=None,
        updated_at=at,
        reopened_count=0,
        version=1,
        severity=signal.severity or USUAL_SEVERITY,
        asset=signal.asset,
        labels=canonical(signal.labels),
        integration_id=sender.integration_id,
        dedup_owner=sender.owner,
        dedup_key=signal.dedup_key,
    )


def _joined(incident: Incident, signal: Signal, at: datetime) -> Heard:
    """Counted. No new version: nobody's view of the trouble has changed, unless it has become worse."""
    after = _counted(incident, at)
    changes: dict[str, Sequence[Any]] = {"reports": [incident.reports_count, after.reports_count]}
    if signal.severity is not None and RANK[signal.severity] > RANK[incident.severity]:
        after = newer(after, at, severity=signal.severity)
        changes["severity"] = [incident.severity, signal.severity]
    return Heard(after, "joined", f"incident {incident.id} is active for this dedup key", "reported", changes)


def _counted(incident: Incident, at: datetime) -> Incident:
    """The incident as one more report leaves it: of a storm nearly all reports do this, and `_replace` takes five times
    as long.
    """
    return Incident._make((*incident[: -len(COUNTED)], incident.reports_count + 1, at))


def _acknowledged(incident: Incident, signal: Signal, at: datetime) -> Heard:
    if incident.acknowledged_at is not None:
        return Heard(incident, "nothing", f"incident {incident.id} was acknowledged already")
    after = newer(incident, at, acknowledged_at=at, acknowledged_by=signal.sender.key_id)
    return Heard(after, "acknowledged", f"incident {incident.id}", "acknowledged", {"acknowledged": [False, True]})


def _unacknowledged(incident: Incident, signal: Signal, at: datetime) -> Heard:
    if incident.acknowledged_at is None:
        return Heard(incident, "nothing", f"incident {incident.id} was not acknowledged")
    after = newer(incident, at, acknowledged_at=None, acknowledged_by=None)
    return Heard(after, "unacknowledged", f"incident {incident.id}", "unacknowledged", {"acknowledged": [True, False]})


def _resolved(incident: Incident, signal: Signal, at: datetime) -> Heard:
    if incident.acknowledged_at is not None and not signal.sender.ends_what_is_taken:
        return Heard(incident, "over", f"incident {incident.id} is in somebody's hands: only noted", "over")
    after = newer(incident, at, status="resolved", resolved_at=at)
    return Heard(after, "resolved", f"incident {incident.id}", "moved", {"status": [incident.status, "resolved"]})


def headed(head: str | None, rest: str | None) -> str | None:
    """A description that begins with the whole of a summary that was cut, unless it says that anyway."""
    if not head or not rest:
        return head or rest
    return rest if head in rest else f"{head}\n\n{rest}"


def _amended(incident: Incident, signal: Signal, at: datetime, described: bool) -> Heard:
    """The source puts its own report in other words. Its severity may rise, as by any report."""
    changed: dict[str, Any] = {}
    told: dict[str, Sequence[Any]] = {}
    if signal.summary is not None and signal.summary != incident.summary:
        changed["summary"] = signal.summary
    if not described and (words := _reworded(incident, signal)) != incident.description:
        changed["description"] = words
    if (labels := _relabelled(incident, signal)) != incident.labels:
        changed["labels"] = labels
    if signal.severity is not None and RANK[signal.severity] > RANK[incident.severity]:
        changed["severity"] = signal.severity
        told["severity"] = [incident.severity, signal.severity]
    if changed:
        return Heard(newer(incident, at, **changed), "amended", f"incident {incident.id}", "amended", told)
    if described and signal.description is not None:
        return Heard(incident, "noted", f"a person has described incident {incident.id}: the source's words stay here")
    return Heard(incident, "nothing", f"incident {incident.id} says the same already")


def _relabelled(incident: Incident, signal: Signal) -> str:
    """The labels with what comes and without what goes; new ones have the room that is left."""
    if not signal.relabel and not signal.retag:
        return incident.labels
    labels: dict[str, str] = json.loads(incident.labels)
    changes: dict[str, str | None] = dict(signal.relabel)
    if signal.retag:
        kept = [tag for tag in parted(labels.get(TAGS)) if signal.retag.get(tag, True)]
        changes[TAGS] = joined([*kept, *(tag for tag, comes in signal.retag.items() if comes and tag not in kept)])
    for name, value in changes.items():
        if not value:
            labels.pop(name, None)
        elif name in labels or len(labels) < MOST_LABELS:
            labels[name] = value
    return canonical(labels)


def joined(tags: Sequence[str]) -> str:
    """Tags as the one label in which they are kept; the last are left out where it would be too long."""
    text = ""
    for tag in tags:
        more = f"{text}, {tag}" if text else tag
        if len(f"{TAGS}{more}".encode("utf-8", "replace")) > LONGEST_LABEL:
            break
        text = more
    return text


def parted(label: str | None) -> list[str]:
    """The other way."""
    return label.split(", ") if label else []


def _reworded(incident: Incident, signal: Signal) -> str:
    """The description in a source's other words. With a new summary, `signal.description` is what was cut of that."""
    head, _, rest = incident.description.partition("\n\n")
    if not (incident.summary or "").endswith("…") or first_line(head) != incident.summary:
        head, rest = "", incident.description
    if signal.summary is None:
        return (headed(head, signal.description) or "") if signal.description is not None else incident.description
    if signal.summary == incident.summary and signal.description is None:
        return incident.description
    return headed(signal.description, rest) or signal.summary


_ON_ACTIVE = {
    "trigger": _joined,
    "acknowledge": _acknowledged,
    "unacknowledge": _unacknowledged,
    "resolve": _resolved,
}
