"""The register as the design and the docs describe it, in plain Python: what `test_state_machine.py` compares with.

Written from the words, not from the program. An operation changes the model and gives the incident, or raises `Refused`
and changes nothing. Ids are the program's to give: who opens an incident hands in the one that it got.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

STATUSES = ("new", "open", "in_progress", "on_hold", "resolved", "closed")
ENDED = ("resolved", "closed")
SEVERITIES = ("info", "low", "medium", "high", "critical")
NEVER = {"closed": ("new", "resolved", "on_hold")}  # any other status refuses only the way back to `new`
WRITERS = ("admin", "operator", "monitoring", "partner")
PEOPLE = ("admin", "operator")
USUAL_SOURCE = {"monitoring": "monitoring", "partner": "partner", "machine": "monitoring"}
FILES = {"monitoring": ("monitoring",), "partner": ("partner",)}  # everybody else: any source

Id = Callable[[], int]
Versions = Sequence[int] | None  # those that `If-Match` names; None where it does not ask


class Refused(Exception):
    """What the caller is told instead: the status, and the problem's name."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class Caller:
    """Who asks. `kind` is `key` or `integration`; `ends` says whether its word ends what is in somebody's hands."""

    kind: str
    id: int
    name: str
    role: str
    partner: str | None = None
    ends: bool = True

    def sees(self, incident: "Incident") -> bool:
        if self.role == "monitoring":
            return incident.filed_by == self.id
        return self.role != "partner" or incident.partner == self.partner


@dataclass(frozen=True)
class Told:
    """One entry of the timeline, as far as the model says it."""

    incident_id: int
    kind: str
    by: Caller
    changes: Mapping[str, Sequence[Any]]


@dataclass
class Incident:
    """What is known of one incident. Of a report by a dialect, `taken` holds what the dialect made of its words."""

    id: int
    description: str
    status: str
    source: str
    created_at: datetime
    filed_by: int | None = None
    summary: str | None = None
    severity: str = "medium"
    asset: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    trouble: tuple[str, str] | None = None  # whose dedup key it is, and the key
    partner: str | None = None
    partner_words: str | None = None
    reports: int = 1
    last_reported_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: int | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    updated_at: datetime | None = None
    reopened: int = 0
    version: int = 1
    former: list[str] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return self.status not in ENDED


def shown(at: datetime | None) -> str | None:
    """A time as the API says it."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def first_line(words: str) -> str:
    """The summary of a description: its first line, at most 140 characters."""
    line = words.lstrip().split("\n")[0].rstrip()
    return line if len(line) <= 140 else line[:139] + "…"


def view(incident: Incident, who: Caller) -> dict[str, Any]:
    """The incident as this caller is to see it: a partner its own words, and nothing that others know."""
    outside = who.role == "partner"
    words = (incident.partner_words or "") if outside else incident.description
    told = {
        "asset": incident.asset,
        "dedup_key": incident.trouble[1] if incident.trouble else None,
        "labels": dict(incident.labels),
        "reports_count": incident.reports,
        "last_reported_at": shown(incident.last_reported_at or incident.created_at),
        "acknowledged_by": incident.acknowledged_by,
    }
    return {
        "id": incident.id,
        "description": words,
        "status": incident.status,
        "source": incident.source,
        "created_at": shown(incident.created_at),
        "summary": first_line(words) if outside or incident.summary is None else incident.summary,
        "severity": incident.severity,
        "partner": incident.partner,
        "partner_words": incident.partner_words,
        "acknowledged_at": shown(incident.acknowledged_at),
        "resolved_at": shown(incident.resolved_at),
        "closed_at": shown(incident.closed_at),
        "updated_at": shown(incident.updated_at or incident.created_at),
        "reopened_count": incident.reopened,
        "version": incident.version,
        **({name: {} if name == "labels" else None for name in told} if outside else told),
    }


class Register:
    """Every incident, in the order of their ids, and everything that was told."""

    def __init__(self) -> None:
        self.incidents: dict[int, Incident] = {}
        self.told: list[Told] = []

    def seen_by(self, who: Caller) -> list[Incident]:
        """What is there for this caller, newest first."""
        return [each for each in reversed(self.incidents.values()) if who.sees(each)]

    def told_to(self, who: Caller) -> list[Told]:
        return [each for each in self.told if who.sees(self.incidents[each.incident_id])]

    def active(self, trouble: tuple[str, str]) -> Incident | None:
        """The one that goes on for this owner and dedup key."""
        return next((each for each in self.incidents.values() if each.active and each.trouble == trouble), None)

    # Incidents

    def file(self, who: Caller, draft: Mapping[str, Any], at: datetime, id: Id) -> Incident:
        _allowed(who, WRITERS)
        status, source = draft.get("status", "new"), draft["source"]
        if source not in FILES.get(who.role, (source,)) or (who.role == "partner" and draft.get("partner")):
            raise Refused(403, "not-allowed")
        new = Incident(id(), draft["description"], status, source, at, who.id)
        for name in ("summary", "severity", "asset", "labels", "partner"):
            if name in draft:
                setattr(new, name, draft[name])
        if who.role == "partner":
            new.partner, new.partner_words = who.partner, new.description
        if status == "in_progress" and who.role in PEOPLE:
            new.acknowledged_at, new.acknowledged_by = at, who.id
        new.resolved_at = at if status in ENDED else None
        new.closed_at = at if status == "closed" else None
        return self._opened(new, who)

    def edit(
        self, who: Caller, id: int, at: datetime, *, status: str | None = None, description: str | None = None,
        severity: str | None = None, versions: Versions = None,
    ) -> Incident:  # fmt: skip
        """A new status, other words, another severity: all of what is asked, or nothing of it."""
        _allowed(who, WRITERS)
        before = self._found(who, id, versions)
        after = copy.deepcopy(before)
        told: list[Told] = []
        if status is not None:
            told.extend(self._move(after, who, status, at))
        if description is not None:
            told.extend(_describe(after, who, description))
        if severity is not None:
            told.extend(_rate(after, who, severity))
        return self._changed(before, after, told, at)

    def acknowledge(
        self, who: Caller, id: int, at: datetime, *, back: bool = False, versions: Versions = None
    ) -> Incident:
        _allowed(who, (*PEOPLE, "monitoring"))
        before = self._found(who, id, versions)
        return self._acknowledge(before, who, at, back, who.id)

    def reads(self, who: Caller, id: int) -> Incident:
        return self._found(who, id, None)

    # Reports

    def reports_of_one_request(
        self, who: Caller, said: Sequence[tuple[str, str, Mapping[str, Any]]], at: datetime, id: Id
    ) -> None:
        """Several at once, each an action, a key and what it says: repeats are told once for each incident."""
        begun = len(self.told)
        for action, key, more in said:
            self.report(who, action, key, at, id, **more)
        self.told[begun:] = _counted(self.told[begun:])

    def report(self, who: Caller, action: str, key: str | None, at: datetime, id: Id, **said: Any) -> str:
        """What comes of one report: it opens, joins, acknowledges, resolves, or changes nothing."""
        _allowed(who, WRITERS)
        trouble = None if key is None else (f"{who.kind} {who.id}", key)
        there = None if trouble is None else self.active(trouble)
        if there is None:
            return "nothing" if action != "trigger" else self._reported_first(who, trouble, at, id, said)
        if action == "trigger":
            return self._joined(there, who, at, said.get("severity"))
        if action == "acknowledge":
            was = there.acknowledged_at
            self._acknowledge(there, who, at, False, who.id if who.kind == "key" else None)
            return "acknowledged" if was is None else "nothing"
        if there.acknowledged_at is not None and not who.ends:
            self.told.append(Told(there.id, "over", who, {}))
            return "over"
        after = replace(there, status="resolved", resolved_at=at)
        self._changed(there, after, [Told(there.id, "moved", who, {"status": [there.status, "resolved"]})], at)
        return "resolved"

    # Inside

    def _reported_first(
        self, who: Caller, trouble: tuple[str, str] | None, at: datetime, id: Id, said: Mapping[str, Any]
    ) -> str:
        words = said.get("description") or said.get("summary") or ""
        source = said.get("source") or USUAL_SOURCE.get(who.role, "operator")
        new = Incident(id(), words, "new", source, at, who.id if who.kind == "key" else None, trouble=trouble)
        new.summary, new.severity = said.get("summary"), said.get("severity") or "medium"
        if who.role == "partner":
            new.partner, new.partner_words = who.partner, words
        self._opened(new, who)
        return "opened"

    def _joined(self, there: Incident, who: Caller, at: datetime, severity: str | None) -> str:
        changes: dict[str, Sequence[Any]] = {"reports": [there.reports, there.reports + 1]}
        there.reports, there.last_reported_at = there.reports + 1, at
        if severity is not None and SEVERITIES.index(severity) > SEVERITIES.index(there.severity):
            changes["severity"] = [there.severity, severity]
            there.severity, there.version, there.updated_at = severity, there.version + 1, at
        self.told.append(Told(there.id, "reported", who, changes))
        return "joined"

    def _opened(self, new: Incident, who: Caller) -> Incident:
        assert new.id > max(self.incidents, default=0), "ids ascend, and none is given twice"
        self.incidents[new.id] = new
        self.told.append(Told(new.id, "filed", who, {"status": [None, new.status]}))
        return new

    def _move(self, after: Incident, who: Caller, to: str, at: datetime) -> Iterator[Told]:
        was = after.status
        if to == was:
            return
        reopens = not after.active and to not in ENDED
        if who.role == "partner" and not reopens:
            raise Refused(403, "not-allowed")
        if to in NEVER.get(was, ("new",)) or (reopens and after.trouble and self.active(after.trouble)):
            raise Refused(409, "refused-move")
        changes: dict[str, Sequence[Any]] = {"status": [was, to]}
        if reopens:
            changes["reopened"] = [after.reopened, after.reopened + 1]
            after.reopened += 1
        if to == "in_progress" and after.acknowledged_at is None and who.role in PEOPLE:
            after.acknowledged_at, after.acknowledged_by = at, who.id
        after.resolved_at = (after.resolved_at or at) if to in ENDED else None
        after.closed_at = at if to == "closed" else None
        after.status = to
        yield Told(after.id, "moved", who, changes)

    def _acknowledge(self, before: Incident, who: Caller, at: datetime, back: bool, by: int | None) -> Incident:
        if (before.acknowledged_at is None) == back:
            return before
        after = replace(before, acknowledged_at=None if back else at, acknowledged_by=None if back else by)
        kind = "unacknowledged" if back else "acknowledged"
        return self._changed(before, after, [Told(before.id, kind, who, {"acknowledged": [back, not back]})], at)

    def _changed(self, before: Incident, after: Incident, told: Sequence[Told], at: datetime) -> Incident:
        if not told:
            return before
        after.version, after.updated_at = before.version + 1, at
        self.incidents[after.id] = after
        self.told += told
        return after

    def _found(self, who: Caller, id: int, versions: Versions) -> Incident:
        found = self.incidents.get(id)
        if found is None or not who.sees(found):
            raise Refused(404, "not-found")
        if versions is not None and found.version not in versions:
            raise Refused(412, "version-mismatch")
        return found


def _counted(told: Sequence[Told]) -> list[Told]:
    """One entry for the repeats of an incident that nothing else came between."""
    kept: list[Told] = []
    for each in told:
        place = next((i for i in reversed(range(len(kept))) if kept[i].incident_id == each.incident_id), None)
        if place is None or not each.kind == kept[place].kind == "reported":
            kept.append(each)
            continue
        first = kept.pop(place).changes
        merged = {name: [before, each.changes.get(name, (None, after))[1]] for name, (before, after) in first.items()}
        kept.append(replace(each, changes={**each.changes, **merged}))
    return kept


def _allowed(who: Caller, roles: Sequence[str]) -> None:
    if who.kind == "key" and who.role not in roles:
        raise Refused(403, "not-allowed")


def _describe(after: Incident, who: Caller, words: str) -> Iterator[Told]:
    """A partner changes its own words; the incident's go with them only as long as they are the same."""
    if who.role == "monitoring":
        raise Refused(403, "not-allowed")
    mine = who.role == "partner"
    was = after.partner_words if mine else after.description
    if words == was:
        return
    if not mine or after.description == (was or ""):
        after.description = words
    if mine:
        after.partner_words = words
    after.former.append(was or "")
    yield Told(after.id, "described", who, {})


def _rate(after: Incident, who: Caller, severity: str) -> Iterator[Told]:
    was = after.severity
    if severity == was:
        return
    lower = SEVERITIES.index(severity) < SEVERITIES.index(was)
    if who.role == "partner" or (who.role == "monitoring" and lower):
        raise Refused(403, "not-allowed")
    after.severity = severity
    yield Told(after.id, "rated", who, {"severity": [was, severity]})
