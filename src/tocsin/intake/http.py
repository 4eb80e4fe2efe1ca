"""How integrations and reports are said: `/api/integrations`, `/api/reports`, and a door for each dialect."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.access.call import Call, found, the_only
from tocsin.access.guard import Routes
from tocsin.access.http import Rotation, overlap
from tocsin.db.once import Kept
from tocsin.incidents import model as incident_model
from tocsin.incidents import shapes as incident_shapes
from tocsin.incidents import store as incidents
from tocsin.intake import actions, drafts, store
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.doors import Doors, Payloads
from tocsin.intake.model import Integration, NewIntegration, Report, Taken, new_key
from tocsin.intake.receive import refusing, through
from tocsin.intake.shapes import (
    IntegrationAnswer,
    IntegrationDraft,
    IntegrationEdit,
    IntegrationList,
    NewIntegrationAnswer,
    ReportAnswer,
    ReportDraft,
    ReportPage,
    TakenAnswer,
    TakenList,
    Trial,
    TrialAnswer,
    integration_view,
    new_view,
    raw_view,
    report_view,
    taken_view,
)
from tocsin.kit import errors, ids, openapi, paging
from tocsin.kit.answers import Answer

routes = Routes("reports")

INTEGRATION_ID = openapi.Parameter("integration_id", "path", "The integration's id.", openapi.ID)
INCIDENT_ID = openapi.Parameter("incident_id", "path", "The incident's id.", openapi.ID)
REPORT_ID = openapi.Parameter("report_id", "path", "The report's id.", openapi.ID)
BEFORE = openapi.Parameter("before", "query", "Only reports before this id; `next` of the page before.", openapi.ID)
LIMIT = openapi.Parameter(
    "limit",
    "query",
    "At most so many.",
    {"type": "integer", "minimum": 1, "maximum": paging.MOST, "default": paging.USUAL},
)
MISSING = (errors.NotFound, errors.Invalid)


@routes.add("POST", "/api/reports", may="reports:send", takes=ReportDraft, nested=True, gives=TakenAnswer, status=201)
async def report(call: Call) -> Answer:
    """Report that something is wrong, that somebody has it in hand, or that it is over."""
    wish = drafts.own_report(call.content, call)

    def say(results: Sequence[Any]) -> Kept:
        return Kept(201, msgspec.json.encode(TakenAnswer(taken_view(the_only(results)))))

    return await call.write(actions.take, [wish], say)


@routes.add(
    "GET",
    "/api/reports/{report_id}",
    may="reports:read",
    gives=ReportAnswer,
    parameters=(REPORT_ID,),
    refuses=MISSING,
)
async def read_report(call: Call) -> Answer:
    """One report, with its raw payload while that is kept."""
    call.asked()
    each = await _report(call)
    raw = await call.db.read(store.payload_of, each.id)
    return found(ReportAnswer(report_view(each), raw_view(raw)))


@routes.add(
    "POST",
    "/api/reports/{report_id}/replay",
    may="integrations:manage",
    takes=incident_shapes.Nothing,
    empty_too=True,
    gives=TakenList,
    parameters=(REPORT_ID,),
    refuses=(errors.NotFound, errors.AlreadyThere),
)
async def replay_report(call: Call) -> Answer:
    """Take a report in once more, by today's settings: its raw payload must still be kept whole."""
    each = await _report(call)
    wishes = await drafts.replay(call.db, each, call.request_id, call.service.part(Payloads).keep)
    return await call.write(actions.take, wishes, _say_taken)


@routes.add(
    "GET",
    "/api/incidents/{incident_id}/reports",
    may="reports:read",
    gives=ReportPage,
    parameters=(INCIDENT_ID, BEFORE, LIMIT),
    refuses=MISSING,
)
async def list_incident_reports(call: Call) -> Answer:
    """What was reported of an incident, newest first."""
    before, limit = _page(call)
    incident = await call.db.read(incidents.one, ids.whole(call.given("incident_id"), "incident_id"))
    if incident is None or not incident_model.visible_to(incident, call.principal):
        raise errors.NotFound(f"There is no incident {call.given('incident_id')}.")
    rows = await call.db.read(store.reports_of_incident, incident.id, before, limit + 1)
    return found(_report_page(rows, limit))


@routes.add(
    "POST",
    "/api/integrations",
    may="integrations:manage",
    takes=IntegrationDraft,
    nested=True,
    gives=NewIntegrationAnswer,
    status=201,
    once=False,
)
async def create_integration(call: Call) -> Answer:
    """Make a door for machines. Its key is in this answer and nowhere else."""
    wish = drafts.new_integration(call.content, call.actor, call.service.keyring, call.request_id)
    answer = await call.write(actions.create_integration, [wish], lambda results: _new(call, the_only(results), 201))
    await call.service.part(Doors).hear()
    return answer


@routes.add("GET", "/api/integrations", may="integrations:read", gives=IntegrationList)
async def list_integrations(call: Call) -> Answer:
    """Every integration there ever was, without keys."""
    call.asked()
    rows = await call.db.read(store.integrations)
    return found(IntegrationList([_view(call, each) for each in rows]))


@routes.add(
    "GET",
    "/api/integrations/{integration_id}",
    may="integrations:read",
    gives=IntegrationAnswer,
    parameters=(INTEGRATION_ID,),
    refuses=MISSING,
)
async def read_integration(call: Call) -> Answer:
    """One integration, without its key."""
    call.asked()
    return found(IntegrationAnswer(_view(call, await _integration(call))))


@routes.add(
    "PATCH",
    "/api/integrations/{integration_id}",
    may="integrations:manage",
    takes=IntegrationEdit,
    nested=True,
    gives=IntegrationAnswer,
    parameters=(INTEGRATION_ID,),
    refuses=(errors.NotFound,),
)
async def change_integration(call: Call) -> Answer:
    """Change its name, its settings as a whole, or the secret that its sender signs with."""
    before = await _integration(call)
    wish = drafts.changed_integration(before, call.content, call.actor, call.service.keyring, call.request_id)
    return await call.write(actions.change_integration, [wish], lambda results: _kept(call, the_only(results)))


@routes.add(
    "DELETE",
    "/api/integrations/{integration_id}",
    may="integrations:manage",
    gives=IntegrationAnswer,
    parameters=(INTEGRATION_ID,),
    refuses=MISSING,
)
async def remove_integration(call: Call) -> Answer:
    """Close a door for good: its key is dead everywhere within a second. Its reports and incidents stay."""
    wish = actions.RemoveIntegration(_id(call, "integration_id"), call.actor, call.request_id)
    gone: Integration = await call.db.write(actions.remove_integration, wish)
    return found(IntegrationAnswer(_view(call, gone)))


@routes.add(
    "POST",
    "/api/integrations/{integration_id}/rotate",
    may="integrations:manage",
    takes=Rotation,
    empty_too=True,
    gives=NewIntegrationAnswer,
    parameters=(INTEGRATION_ID,),
    refuses=(errors.NotFound,),
    once=False,
)
async def rotate_integration(call: Call) -> Answer:
    """Give it a new key; the old one stays good for `overlap_seconds`."""
    rotation: Rotation = call.content
    kept_for = overlap(rotation.overlap_seconds)
    wish = actions.RotateIntegration(_id(call, "integration_id"), new_key(), kept_for, call.actor, call.request_id)
    answer = await call.write(actions.rotate_integration, [wish], lambda results: _new(call, the_only(results), 200))
    await call.service.part(Doors).hear()
    return answer


@routes.add(
    "GET",
    "/api/integrations/{integration_id}/reports",
    may="integrations:read",
    gives=ReportPage,
    parameters=(INTEGRATION_ID, BEFORE, LIMIT),
    refuses=MISSING,
)
async def list_integration_reports(call: Call) -> Answer:
    """An integration's log: everything that came in by it, what came of it and why, newest first."""
    before, limit = _page(call)
    each = await _integration(call)
    rows = await call.db.read(store.reports_of_integration, each.id, before, limit + 1)
    return found(_report_page(rows, limit))


@routes.add(
    "POST",
    "/api/integrations/{integration_id}/try",
    may="integrations:manage",
    takes=Trial,
    nested=True,
    gives=TrialAnswer,
    parameters=(INTEGRATION_ID,),
    refuses=(errors.NotFound,),
)
async def try_payload(call: Call) -> Answer:
    """A dry run: what a payload would say. Nothing is stored."""
    trial: Trial = call.content
    each = await _integration(call)
    return found(drafts.tried(each, trial))


def _id(call: Call, name: str) -> int:
    return ids.whole(call.given(name), name)


async def _report(call: Call) -> Report:
    each = await call.db.read(store.report_by_id, _id(call, "report_id"))
    if each is None or (not call.principal.sees_all and each.key_id != call.principal.key_id):
        raise errors.NotFound(f"There is no report {call.given('report_id')}.")
    return each


async def _integration(call: Call) -> Integration:
    each = await call.db.read(store.one, _id(call, "integration_id"))
    if each is None:
        raise errors.NotFound("There is no integration with this id; `GET /api/integrations` lists them.")
    return each


def _page(call: Call) -> tuple[int | None, int]:
    asked = call.asked()
    before = asked.get("before", [""])[-1]
    return ids.whole(before, "before") if before else None, paging.limit(asked.get("limit", [None])[-1])


def _report_page(rows: Sequence[Report], limit: int) -> ReportPage:
    shown = rows[:limit]
    return ReportPage([report_view(each) for each in shown], str(shown[-1].id) if len(rows) > limit else None)


def _view(call: Call, each: Integration) -> Any:
    return integration_view(each, DIALECTS[each.dialect], drafts.base_of(call))


def _kept(call: Call, each: Integration) -> Kept:
    return Kept(200, msgspec.json.encode(IntegrationAnswer(_view(call, each))))


def _new(call: Call, new: NewIntegration, status: int) -> Kept:
    said = new_view(new, DIALECTS[new.integration.dialect], drafts.base_of(call))
    location = f"/api/integrations/{new.integration.id}" if status == 201 else None
    return Kept(status, msgspec.json.encode(said), location=location)


def _say_taken(results: Sequence[Any]) -> Kept:
    for each in results:
        if isinstance(each, errors.Problem):
            raise each
    taken: Sequence[Taken] = results
    return Kept(200, msgspec.json.encode(TakenList([taken_view(each) for each in taken])))


# The doors: each dialect listens where its senders send. They answer in its form, so they are no part of our API.
for _dialect in DIALECTS.values():
    for _path in _dialect.paths:
        _how: dict[str, Any] = {"may": "public", "bare": True, "shown": False, "refusing": refusing(_dialect)}
        routes.add(_path.methods, _path.path, **_how)(through(_dialect))
