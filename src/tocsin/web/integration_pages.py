"""The doors for machines: make one, read its log, replay what failed."""

from datetime import timedelta
from typing import Any

from tocsin.access import store as access
from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.access.model import MAY, USUAL_OVERLAP
from tocsin.incidents.model import SOURCES
from tocsin.intake import actions, drafts, store
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.doors import Doors, Payloads
from tocsin.intake.model import Integration, NewIntegration, new_key
from tocsin.intake.shapes import IntegrationDraft, lines
from tocsin.kit import errors, ids, openapi
from tocsin.kit.answers import Answer
from tocsin.kit.clock import rfc3339
from tocsin.web import entrance, render
from tocsin.web.entrance import PAGES, Form

routes = Routes("console")

ON_A_PAGE = 100
BEFORE = openapi.Parameter("before", "query", "Only reports before this one.", openapi.TEXT)


@routes.add("GET", "/integrations", may="integrations:read", shown=False, entrance=PAGES)
async def show_integrations(call: Call) -> Answer:
    """Every integration that is open, and the form that makes one."""
    every = [each for each in await call.db.read(store.integrations) if each.removed_at is None]
    partners = await call.db.read(access.partners)
    choices: dict[str, Any] = {"dialects": DIALECTS, "sources": SOURCES, "partners": partners}
    return render.page(call, "integrations.html", integrations=every, **choices, **_may(call))


@routes.add("POST", "/integrations", may="integrations:manage", shown=False, entrance=PAGES)
async def create_integration(call: Call) -> Answer:
    """Makes one; this answer, and no other, shows its key."""
    form: Form = call.content
    # A partner's door is one choice of the form: the source, and whose it is.
    source, _, partner = (form.text("source") or "monitoring").partition("/")
    draft = IntegrationDraft(form.text("name"), form.text("dialect"), source, partner or None)
    wish = drafts.new_integration(draft, call.actor, call.service.keyring, call.request_id)
    made: NewIntegration = await call.db.write(actions.create_integration, wish)
    await call.service.part(Doors).hear()
    return _made(call, made, 201)


@routes.add(
    "GET", "/integrations/{integration_id}", may="integrations:read", shown=False, entrance=PAGES, parameters=(BEFORE,)
)
async def show_integration(call: Call) -> Answer:
    """An integration and its log: what came in, what came of it and why."""
    each = await _integration(call)
    before = call.asked().get("before", [""])[-1]
    place = ids.whole(before, "before") if before else None
    rows = await call.db.read(store.reports_of_integration, each.id, place, ON_A_PAGE + 1)
    values: dict[str, Any] = {
        "reports": rows[:ON_A_PAGE],
        "more": rows[ON_A_PAGE - 1].id if len(rows) > ON_A_PAGE else None,
        "newest": place is None,
    }
    address = drafts.base_of(call) + DIALECTS[each.dialect].paths[0].path
    return render.page(
        call,
        "integration.html",
        integration=each,
        dialect=DIALECTS[each.dialect],
        address=address,
        **values,
        **_may(call),
    )


@routes.add("POST", "/integrations/{integration_id}/rotate", may="integrations:manage", shown=False, entrance=PAGES)
async def rotate_integration(call: Call) -> Answer:
    """A new key; the old one stays good for a day."""
    form: Form = call.content
    before = await _integration(call)
    if form.text("seen") != (rfc3339(before.rotated_at) if before.rotated_at else ""):
        # A page that is loaded again sends its form again: one key more, and the one that was just pasted is dead.
        raise errors.VersionMismatch(
            "This key was changed since the page was opened; open it again to change it again."
        )
    overlap: timedelta = USUAL_OVERLAP
    wish = actions.RotateIntegration(_id(call), new_key(), overlap, call.actor, call.request_id)
    made: NewIntegration = await call.db.write(actions.rotate_integration, wish)
    await call.service.part(Doors).hear()
    return _made(call, made, 200)


@routes.add("POST", "/integrations/{integration_id}/remove", may="integrations:manage", shown=False, entrance=PAGES)
async def remove_integration(call: Call) -> Answer:
    """Closes it for good."""
    await call.db.write(actions.remove_integration, actions.RemoveIntegration(_id(call), call.actor, call.request_id))
    return entrance.seen_other("/integrations")


@routes.add("POST", "/reports/{report_id}/replay", may="integrations:manage", shown=False, entrance=PAGES)
async def replay(call: Call) -> Answer:
    """Takes a report in once more; the log shows what came of it."""
    id = ids.whole(call.given("report_id"), "report_id")
    report = await call.db.read(store.report_by_id, id)
    if report is None:
        raise errors.NotFound(f"There is no report {id}.")
    keep = call.service.part(Payloads).keep
    await call.db.write_many(actions.take, await drafts.replay(call.db, report, call.request_id, keep))
    return entrance.seen_other(f"/integrations/{report.integration_id}")


def _made(call: Call, made: NewIntegration, status: int) -> Answer:
    dialect = DIALECTS[made.integration.dialect]
    pasted = lines(made, dialect, drafts.base_of(call))
    values: dict[str, Any] = {"integration": made.integration, "dialect": dialect, "key": made.key, "lines": pasted}
    return render.page(call, "integration_made.html", status, **values)


def _may(call: Call) -> dict[str, Any]:
    return {"may_manage": call.principal.role in MAY["integrations:manage"]}


def _id(call: Call) -> int:
    return ids.whole(call.given("integration_id"), "integration_id")


async def _integration(call: Call) -> Integration:
    each = await call.db.read(store.one, _id(call))
    if each is None:
        raise errors.NotFound(f"There is no integration {call.given('integration_id')}.")
    return each
