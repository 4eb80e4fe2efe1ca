"""How incidents are said: the routes. Shapes stand in `shapes.py`, what a list may be asked in `asking.py`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from tocsin.access.call import Call, found, the_only
from tocsin.access.guard import MIB, Routes
from tocsin.access.model import Principal
from tocsin.db.once import Kept
from tocsin.incidents import actions, asking, model, store
from tocsin.incidents.lines import Lines, joined
from tocsin.incidents.model import Incident
from tocsin.incidents.shapes import (
    BatchAnswer,
    Draft,
    Drafts,
    Edit,
    FormerList,
    FormerView,
    IncidentAnswer,
    IncidentPage,
    ItemResult,
    LooseDrafts,
    Move,
    Nothing,
    say,
    view,
)
from tocsin.kit import bodies, errors, ids, openapi
from tocsin.kit.answers import Answer
from tocsin.kit.clock import rfc3339
from tocsin.kit.problems import NO_STORE
from tocsin.timeline import http as timeline
from tocsin.timeline import store as entries

routes = Routes("incidents")

INCIDENT_ID = openapi.Parameter("incident_id", "path", "The incident's id.", openapi.ID)
CHANGES = (errors.NotFound, errors.RefusedMove, errors.VersionMismatch)


@routes.add("POST", "/api/incidents", "/incidents", may="incidents:file", takes=Draft, gives=IncidentAnswer, status=201)
async def file_incident(call: Call) -> Answer:
    """File an incident."""
    who = call.principal
    wish = _wish(call.content, who, call.request_id)
    return await call.write(actions.file, [wish], lambda results: say(the_only(results), who, 201))


@routes.add(
    "GET",
    "/api/incidents",
    "/incidents",
    may="incidents:read",
    gives=IncidentPage,
    parameters=asking.FILTERS,
    refuses=(errors.Invalid,),
)
async def list_incidents(call: Call) -> Answer:
    """Incidents, newest first, a page at a time."""
    asked, who = call.asked(), call.principal
    question = asking.question(asked, who)
    lines = await call.service.part(Lines).page(call.db, question, who)
    limit = question.limit - 1
    shown = lines[:limit]
    more = asking.cursor(shown[-1].created_at, shown[-1].id) if len(lines) > limit else None
    link = [(b"link", _link(call.scope["path"], call.scope["query_string"]) % more.encode())] if more else []
    return Answer(joined(shown, more), headers=[NO_STORE, *link])


@routes.add(
    "PATCH PUT",
    "/api/incidents/status",
    "/incidents/status",
    may="incidents:change",
    takes=Move,
    gives=IncidentAnswer,
    parameters=(openapi.IF_MATCH,),
    refuses=CHANGES,
)
async def change_status(call: Call) -> Answer:
    """Move an incident to another status. A move to the status that it has is no move and no error."""
    move: Move = call.content
    incident_id = ids.in_range(move.incident_id, "incident_id")
    status = model.good_status(move.status)
    wish = actions.ChangeStatus(incident_id, status, call.principal, call.versions(), call.request_id)
    return await _changed(call, wish)


@routes.add(
    "POST",
    "/api/incidents/batch",
    may="incidents:file",
    takes=LooseDrafts,
    shows=Drafts,
    nested=True,
    gives=BatchAnswer,
    most=16 * MIB,
)
async def file_many(call: Call) -> Answer:
    """File up to 1,000 incidents in one go; each draft gets its own result, in the order of the request."""
    loose: LooseDrafts = call.content
    if len(loose.incidents) > model.MOST_AT_ONCE:
        raise errors.Invalid.field("incidents", f"must hold at most {model.MOST_AT_ONCE:,} drafts")
    who = call.principal
    read = [_draft(item, who, call.request_id) for item in loose.incidents]
    wishes = [each for each in read if isinstance(each, actions.File)]

    def say_all(results: Sequence[Any]) -> Kept:
        done = iter(results)
        of_each = [next(done) if isinstance(each, actions.File) else each for each in read]
        answer = BatchAnswer([_item(result, who) for result in of_each])
        return Kept(200, msgspec.json.encode(answer))

    return await call.write(actions.file, wishes, say_all)


@routes.add(
    "GET",
    "/api/incidents/{incident_id}",
    may="incidents:read",
    gives=IncidentAnswer,
    parameters=(INCIDENT_ID,),
    refuses=(errors.NotFound, errors.Invalid),
)
async def read_incident(call: Call) -> Answer:
    """One incident; its `ETag` is the version for `If-Match`."""
    call.asked()
    incident = await _visible(call)
    headers = [(b"etag", b'"%d"' % incident.version)]
    return found(IncidentAnswer(view(incident, call.principal)), headers=headers)


@routes.add(
    "PATCH",
    "/api/incidents/{incident_id}",
    may="incidents:change",
    takes=Edit,
    gives=IncidentAnswer,
    parameters=(INCIDENT_ID, openapi.IF_MATCH),
    refuses=CHANGES,
)
async def edit_incident(call: Call) -> Answer:
    """Change the status, the description, the severity, or several at once."""
    edit: Edit = call.content
    status = None if edit.status is None else model.good_status(edit.status)
    description = None if edit.description is None else model.good_description(edit.description)
    severity = None if edit.severity is None else model.good_severity(edit.severity)
    wish = actions.Edit(_id(call), status, description, call.principal, call.versions(), call.request_id, severity)
    return await _changed(call, wish)


@routes.add(
    "POST",
    "/api/incidents/{incident_id}/acknowledge",
    may="incidents:acknowledge",
    takes=Nothing,
    empty_too=True,
    gives=IncidentAnswer,
    parameters=(INCIDENT_ID, openapi.IF_MATCH),
    refuses=(errors.NotFound, errors.VersionMismatch),
)
async def acknowledge_incident(call: Call) -> Answer:
    """Take note of an incident; doing it twice is doing it once."""
    return await _changed(call, actions.Acknowledge(_id(call), False, call.principal, call.versions(), call.request_id))


@routes.add(
    "DELETE",
    "/api/incidents/{incident_id}/acknowledge",
    may="incidents:acknowledge",
    gives=IncidentAnswer,
    parameters=(INCIDENT_ID, openapi.IF_MATCH),
    refuses=(errors.NotFound, errors.VersionMismatch, errors.Invalid),
)
async def take_back_acknowledgement(call: Call) -> Answer:
    """Take an acknowledgement back."""
    wish = actions.Acknowledge(_id(call), True, call.principal, call.versions(), call.request_id)
    result: Incident = await call.db.write(actions.change, wish)
    return found(IncidentAnswer(view(result, call.principal)), headers=[(b"etag", b'"%d"' % result.version)])


@routes.add(
    "GET",
    "/api/incidents/{incident_id}/timeline",
    may="incidents:read",
    gives=timeline.EntryPage,
    parameters=(INCIDENT_ID, timeline.AFTER, timeline.LIMIT),
    refuses=(errors.NotFound, errors.Invalid),
)
async def read_incident_timeline(call: Call) -> Answer:
    """Everything that happened to one incident, oldest first."""
    after, limit = timeline.asked_for(call)
    incident = await _visible(call)
    lines = await call.db.read(entries.of_incident, incident.id, after, limit + 1)
    return found(timeline.page(lines, limit, call.principal))


@routes.add(
    "GET",
    "/api/incidents/{incident_id}/descriptions",
    may="incidents:read",
    gives=FormerList,
    parameters=(INCIDENT_ID,),
    refuses=(errors.NotFound, errors.Invalid),
)
async def read_former_descriptions(call: Call) -> Answer:
    """What the description said before each edit, oldest first. Empty for partners: the words may be another's."""
    call.asked()
    incident = await _visible(call)
    rows = await call.db.read(store.former, incident.id) if call.principal.role != "partner" else []
    return found(FormerList([FormerView(row.id, row.description, rfc3339(row.replaced_at)) for row in rows]))


async def _changed(call: Call, wish: actions.Wish) -> Answer:
    who = call.principal
    return await call.write(actions.change, [wish], lambda results: say(the_only(results), who, 200))


async def _visible(call: Call) -> Incident:
    incident = await call.db.read(store.one, _id(call))
    if incident is None or not model.visible_to(incident, call.principal):
        raise errors.NotFound(f"There is no incident {call.given('incident_id')}.")
    return incident


def _id(call: Call) -> int:
    return ids.whole(call.given("incident_id"), "incident_id")


def _wish(draft: Draft, who: Principal, request_id: str) -> actions.File:
    return actions.File(
        draft.description,
        draft.source,
        draft.status,
        draft.summary,
        draft.partner,
        who,
        request_id,
        draft.severity,
        draft.asset,
        draft.labels,
    )


def _draft(item: Any, who: Principal, request_id: str) -> actions.File | errors.Problem:
    try:
        return _wish(bodies.as_kind(item, Draft), who, request_id)
    except errors.Problem as refusal:
        return refusal


def _item(result: Incident | errors.Problem, who: Principal) -> ItemResult:
    if isinstance(result, errors.Problem):
        return ItemResult(result.status, problem=result.body())
    return ItemResult(201, incident=view(result, who))


@lru_cache(maxsize=128)
def _link(path: str, query: bytes) -> bytes:
    """RFC 8288: the next page with the same filters, as an address relative to this server; `%b` is its cursor's place.

    A cursor needs no escape, and whatever else has a `%` says it twice.
    """
    kept = [(name, value) for name, value in parse_qsl(query.decode("latin-1"), True) if name != "cursor"]
    address = f"{quote(path)}?{urlencode([*kept, ('cursor', '')])}".replace("%", "%%")
    return f'<{address}%b>; rel="next"'.encode("ascii")
