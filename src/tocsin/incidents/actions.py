"""What may be done with incidents. Each function takes many wishes and gives one result for each, in order.

A result is the incident as it now is, or a `Problem`; a refused wish changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from tocsin.access import store as access
from tocsin.access.model import Partner, Principal
from tocsin.db.transaction import CLOCK, Actor, Happening, Writer
from tocsin.incidents import model, store, troubles
from tocsin.incidents.model import Change, Decision, Incident
from tocsin.incidents.store import Progress
from tocsin.kit.errors import AlreadyThere, Invalid, NotFound, Problem, RefusedMove, VersionMismatch
from tocsin.timeline.model import canonical

Versions = tuple[int, ...] | None


class File(msgspec.Struct, frozen=True):
    """Somebody reports that something is wrong."""

    description: str
    source: str
    status: str
    summary: str | None
    partner: str | None
    by: Principal
    request_id: str | None = None
    severity: str = model.USUAL_SEVERITY
    asset: str | None = None
    labels: Mapping[str, str] = {}


class ChangeStatus(msgspec.Struct, frozen=True):
    """Move to `status`, if the version is one of `versions` (`If-Match`); None does not ask."""

    incident_id: int
    status: str
    by: Principal
    versions: Versions = None
    request_id: str | None = None


class Edit(msgspec.Struct, frozen=True):
    """New words, a new status, a new severity, or several at once; None leaves as it is."""

    incident_id: int
    status: str | None
    description: str | None
    by: Principal
    versions: Versions = None
    request_id: str | None = None
    severity: str | None = None


class Acknowledge(msgspec.Struct, frozen=True):
    """Take note of the incident, or with `back` take that back."""

    incident_id: int
    back: bool
    by: Principal
    versions: Versions = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """An incident as the original service kept it, in our words."""

    id: int
    description: str
    status: str
    source: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Adopt:
    """A piece of the original's incidents, in id order; `since` is how far the import had come."""

    origin: str
    since: Progress
    incidents: Sequence[Original]


Wish = ChangeStatus | Edit | Acknowledge
Result = Incident | Problem


class Step(NamedTuple):
    """One thing that a wish does to an incident; `was` is how the wish found it."""

    wish: Wish
    was: Incident
    change: Change


def file(tx: Writer, wishes: Sequence[File]) -> list[Result]:
    """New incidents."""
    partners = access.partners_by_slug(tx, [wish.partner for wish in wishes if wish.partner is not None])
    decided = [_checked(wish, partners) for wish in wishes]
    rows = [_row(wish, partners, tx.now) for wish, refusal in zip(wishes, decided, strict=True) if refusal is None]
    ids = iter(store.add(tx, rows) if rows else [])
    fresh = iter(rows)
    results: list[Result] = []
    for wish, refusal in zip(wishes, decided, strict=True):
        results.append(refusal or _filed(tx, wish, next(ids), next(fresh)))
    return results


def change(tx: Writer, wishes: Sequence[Wish]) -> list[Result]:
    """Moves, edits, acknowledgements. Wishes on one incident are decided in turn; its row is written once."""
    before = store.hold(tx, [wish.incident_id for wish in wishes])
    now = dict(before)
    done: list[Step] = []
    results: list[Result] = []
    for wish in wishes:
        try:
            results.append(_decide(tx, wish, now, done))
        except Problem as refusal:
            results.append(refusal)
    changed = [incident for id, incident in now.items() if incident is not before[id]]
    reworded = [step for step in done if step.change.kind == "described"]
    reworded_ids = {was.id for _, was, _ in reworded}
    store.save(tx, changed, [incident for incident in changed if incident.id in reworded_ids])
    _tell(tx, done, iter(_keep_former(tx, reworded)))
    return results


def reserve(tx: Writer, wishes: Sequence[int]) -> list[None]:
    """No new incident gets one of the ids up to these: they belong to incidents that are about to be adopted."""
    store.reserve_up_to(tx, max(wishes))
    return [None for _ in wishes]


def adopt(tx: Writer, wishes: Sequence[Adopt]) -> list[Progress | Problem]:
    """The original's incidents. A piece comes with its progress or not at all: a killed import makes no doubles."""
    results: list[Progress | Problem] = []
    for wish in wishes:
        try:
            results.append(_adopt(tx, wish))
        except Problem as refusal:
            results.append(refusal)
    return results


def _decide(tx: Writer, wish: Wish, now: dict[int, Incident], done: list[Step]) -> Incident:
    """One wish on the state so far. All its steps are decided before the first one counts."""
    incident = now.get(wish.incident_id)
    if incident is None or not model.visible_to(incident, wish.by):
        raise NotFound(f"There is no incident {wish.incident_id}.")
    if wish.versions is not None and incident.version not in wish.versions:
        raise VersionMismatch(f"The incident is at version {incident.version}; read it again.")
    after, steps = incident, list[Step]()
    for decide in _steps(wish, tx.now):
        decision = decide(after)
        if isinstance(decision, Change):
            _the_only_one(tx, decision.after, after, now)
            after = decision.after
            steps.append(Step(wish, incident, decision))
    done += steps
    if steps:
        # Two fields changed by one request are one change of the version.
        now[incident.id] = after._replace(version=incident.version + 1) if len(steps) > 1 else after
    return now[incident.id]


def _the_only_one(tx: Writer, after: Incident, before: Incident, now: dict[int, Incident]) -> None:
    """Raises `RefusedMove` where a reopened incident's trouble goes on in another already."""
    if after.active and not before.active and (rival := troubles.rival_of(tx, after, now)) is not None:
        raise RefusedMove(f"Incident {rival.id} is active for the same trouble; go on with that one.", allowed=[])


def _steps(wish: Wish, at: datetime) -> list[Callable[[Incident], Decision]]:
    if isinstance(wish, ChangeStatus):
        return [lambda incident: model.moved(incident, wish.status, at=at, by=wish.by)]
    if isinstance(wish, Acknowledge):
        if wish.back:
            return [lambda incident: model.unacknowledged(incident, at=at)]
        return [lambda incident: model.acknowledged(incident, at=at, by=wish.by)]
    steps: list[Callable[[Incident], Decision]] = []
    status, description = wish.status, wish.description
    if status is not None:
        steps.append(lambda incident: model.moved(incident, status, at=at, by=wish.by))
    if description is not None:
        steps.append(lambda incident: model.described(incident, description, at=at, by=wish.by))
    if wish.severity is not None:
        severity = wish.severity
        steps.append(lambda incident: model.rated(incident, severity, at=at, by=wish.by))
    return steps


def _tell(tx: Writer, done: Sequence[Step], former: Iterator[int]) -> None:
    """An entry for each step, in the order in which they were decided; `former` names the words before, in turn."""
    for wish, was, change in done:
        refs = {"former_description": next(former)} if change.kind == "described" else {}
        tx.tell(Happening(change.kind, actor(wish.by), was.id, change.changes, refs, wish.request_id))


def _keep_former(tx: Writer, reworded: Sequence[Step]) -> list[int]:
    """The words before go into a table of their own; the timeline names them by id."""
    rows = [
        {"incident_id": was.id, "description": _words_before(wish, was), "replaced_at": tx.now}
        for wish, was, _ in reworded
    ]
    return store.keep_former(tx, rows) if rows else []


def _words_before(wish: Wish, was: Incident) -> str:
    return (was.partner_words or "") if wish.by.partner_id is not None else was.description


def _adopt(tx: Writer, wish: Adopt) -> Progress:
    since = wish.since
    if store.hold_progress(tx, wish.origin) != since:
        raise AlreadyThere("Another import from the same database is running; let it finish.")
    there = set(store.taken(tx, [each.id for each in wish.incidents]))
    if foreign := [id for id in there if id > since.last_id]:
        raise AlreadyThere(f"The id {min(foreign)} was given to another incident in the meantime.")
    # Up to `last_id` what is there was adopted before; only what came late is missing.
    fresh = [each for each in wish.incidents if each.id not in there]
    if fresh:
        store.add_with_ids(tx, [_adopted(each) for each in fresh])
    now = Progress(max(since.last_id, wish.incidents[-1].id), since.imported + len(fresh))
    store.save_progress(tx, wish.origin, since, now)
    for each in fresh:
        tx.tell(Happening("imported", CLOCK, each.id, {"status": [None, each.status]}))
    return now


def _adopted(original: Original) -> dict[str, Any]:
    """The columns of an incident whose times of work nobody wrote down: they stay unknown."""
    return {
        "id": original.id,
        "description": original.description,
        "status": original.status,
        "source": original.source,
        "created_at": original.created_at,
        "updated_at": original.created_at,
        "reopened_count": 0,
        "version": 1,
    }


def _checked(wish: File, partners: dict[str, Partner]) -> Problem | None:
    """Why this cannot be filed, if it cannot."""
    try:
        model.good_status(wish.status)
        model.may_file(wish.by, model.good_source(wish.source), wish.partner)
        model.good_description(wish.description)
        model.good_summary(wish.summary)
        model.good_severity(wish.severity)
        model.good_asset(wish.asset)
        model.good_labels(wish.labels)
    except Problem as refusal:
        return refusal
    if wish.partner is not None and wish.partner not in partners:
        return Invalid.field("partner", "is not a partner here; `GET /api/partners` lists them")
    return None


def _row(wish: File, partners: dict[str, Partner], at: datetime) -> dict[str, Any]:
    """The columns of a new incident."""
    own = wish.by.partner_id
    return {
        "description": wish.description,
        "status": wish.status,
        "source": wish.source,
        "created_at": at,
        "summary": wish.summary,
        "filed_by": wish.by.key_id,
        "partner_id": partners[wish.partner].id if wish.partner is not None else own,
        "partner_words": wish.description if own is not None else None,
        **model.times_implied(wish.status, at, wish.by),
        "updated_at": at,
        "reopened_count": 0,
        "version": 1,
        "severity": wish.severity,
        "asset": wish.asset,
        "labels": canonical(wish.labels) if wish.labels else "{}",
    }


def _filed(tx: Writer, wish: File, id: int, row: dict[str, Any]) -> Incident:
    slug = wish.partner if wish.partner is not None else wish.by.partner
    tx.tell(Happening("filed", actor(wish.by), id, {"status": [None, wish.status]}, request_id=wish.request_id))
    return Incident(id=id, partner=slug, **row)


def actor(who: Principal) -> Actor:
    """Who did it, as the timeline says it."""
    return Actor("key", who.key_id) if who.channel_id is None else Actor("channel", who.channel_id)
