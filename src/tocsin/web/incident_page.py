"""One incident: what it is, its story, what was reported of it, who was told; and what may be done with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.access.model import MAY
from tocsin.db.transaction import Reader
from tocsin.delivery import outbox
from tocsin.delivery import store as delivery
from tocsin.delivery.model import Delivery, Notification
from tocsin.incidents import actions, model, store
from tocsin.incidents.model import Incident
from tocsin.intake import store as intake
from tocsin.intake.model import Report
from tocsin.intake.shapes import raw_view
from tocsin.kit import errors, ids
from tocsin.kit.answers import Answer
from tocsin.timeline import store as timeline
from tocsin.timeline.model import Entry
from tocsin.web import entrance, render
from tocsin.web.entrance import PAGES, Form
from tocsin.web.story import story

routes = Routes("console")

REPORTS = 20  # the newest; the API has all of them
NOTIFICATIONS = 100
TOLD = 100  # the first and the last entries of a long story, and the newest repeats


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page shows, from one look at the database each."""

    incident: Incident
    entries: Sequence[Entry]
    whole: bool
    newest: int
    reports: Sequence[Report]
    told: Sequence[Notification]
    attempts: Mapping[int, Sequence[Delivery]]
    channels: Mapping[int, str]
    integrations: Mapping[int, str]


@routes.add("GET", "/i/{incident_id}", may="incidents:read", shown=False, entrance=PAGES)
async def show_incident(call: Call) -> Answer:
    """The incident's page."""
    shown = await call.db.read(_shown, _id(call))
    if shown is None:
        raise errors.NotFound(f"There is no incident {call.given('incident_id')}.")
    role = call.principal.role
    return render.page(
        call,
        "incident.html",
        shown=shown,
        incident=shown.incident,
        story=story(shown.entries),
        moves=model.allowed_moves(shown.incident.status),
        may_change=role in MAY["incidents:change"],
        severities=tuple(reversed(model.SEVERITIES)),
        most_reports=REPORTS,
    )


@routes.add("POST", "/i/{incident_id}/acknowledge", may="incidents:acknowledge", shown=False, entrance=PAGES)
async def acknowledge(call: Call) -> Answer:
    """Takes it in hand; with `back` gives it back."""
    form: Form = call.content
    back = form.text("back") == "yes"
    # Taking it twice is taking it once; giving it back is for whoever sees how it is now.
    wish = actions.Acknowledge(_id(call), back, call.principal, _seen(form) if back else None, call.request_id)
    return await _changed(call, wish)


@routes.add("POST", "/i/{incident_id}/move", may="incidents:change", shown=False, entrance=PAGES)
async def move(call: Call) -> Answer:
    """Moves it to another status."""
    form: Form = call.content
    status = model.good_status(form.text("status"))
    return await _changed(call, actions.ChangeStatus(_id(call), status, call.principal, _seen(form), call.request_id))


@routes.add("POST", "/i/{incident_id}/rate", may="incidents:change", shown=False, entrance=PAGES)
async def rate(call: Call) -> Answer:
    """Says how bad it is."""
    form: Form = call.content
    severity = model.good_severity(form.text("severity"))
    return await _changed(call, actions.Edit(_id(call), None, None, call.principal, None, call.request_id, severity))


@routes.add("GET", "/reports/{report_id}", may="reports:read", shown=False, entrance=PAGES)
async def show_report(call: Call) -> Answer:
    """One report with its raw payload."""
    id = ids.whole(call.given("report_id"), "report_id")
    report = await call.db.read(intake.report_by_id, id)
    if report is None:
        raise errors.NotFound(f"There is no report {id}.")
    raw = await call.db.read(intake.payload_of, id)
    return render.page(call, "report.html", report=report, raw=raw_view(raw))


@routes.add("POST", "/notifications/{notification_id}/retry", may="channels:manage", shown=False, entrance=PAGES)
async def retry(call: Call) -> Answer:
    """Tries a message again that was given up."""
    id = ids.whole(call.given("notification_id"), "notification_id")
    again: Notification = await call.db.write(outbox.retry, id)
    home = f"/i/{again.incident_id}" if again.incident_id is not None else f"/channels/{again.channel_id}"
    return entrance.seen_other(home)


def _seen(form: Form) -> actions.Versions:
    """The version that the page showed. A key on the list sends none: the list is how it is now."""
    given = form.text("version")
    return (ids.whole(given, "version"),) if given else None


async def _changed(call: Call, wish: actions.Wish) -> Answer:
    await call.db.write(actions.change, wish)
    return entrance.seen_other(f"/i/{wish.incident_id}")


def _id(call: Call) -> int:
    return ids.whole(call.given("incident_id"), "incident_id")


def _shown(reader: Reader, incident_id: int) -> Shown | None:
    newest = timeline.newest(reader)
    incident = store.one(reader, incident_id)
    if incident is None:
        return None
    told = delivery.notifications_of_incident(reader, incident_id, NOTIFICATIONS)
    entries, whole = timeline.story_of_incident(reader, incident_id, TOLD)
    return Shown(
        incident=incident,
        entries=entries,
        whole=whole,
        newest=newest,
        reports=intake.reports_of_incident(reader, incident_id, None, REPORTS),
        told=told,
        attempts=delivery.attempts(reader, [each.id for each in told]),
        channels={each.id: each.name for each in delivery.channels(reader)},
        integrations={each.id: each.name for each in intake.integrations(reader)},
    )
