"""The list: what is active, live, and the line that files a new incident."""

from dataclasses import dataclass

from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.access.model import MAY, Principal
from tocsin.db.transaction import Reader
from tocsin.incidents import actions, asking, model, store
from tocsin.incidents.model import Incident
from tocsin.incidents.store import Question
from tocsin.kit import ids, openapi
from tocsin.kit.answers import Answer
from tocsin.live.http import Stream, place_of
from tocsin.live.hub import Hub
from tocsin.live.model import Filters, Frame
from tocsin.timeline import store as timeline
from tocsin.web import entrance, render
from tocsin.web.entrance import PAGES, Form

routes = Routes("console")

ON_A_PAGE = 100
# In place of a comment, which scripts do not see: the page can tell a quiet time from a dead connection.
PULSE = b"event: pulse\ndata: \n\n"
SHOWS = {"active": model.ACTIVE, "ended": tuple(sorted(model.ENDED)), "all": ()}

SHOW = openapi.Parameter("show", "query", "`active`, `ended` or `all`.", openapi.TEXT)
SOURCE = openapi.Parameter("source", "query", "Of one source only.", openapi.TEXT)
CURSOR = openapi.Parameter("cursor", "query", "Go on after this place.", openapi.TEXT)
AFTER = openapi.Parameter("after", "query", "From this entry on.", openapi.TEXT)
INCIDENT = openapi.Parameter("incident", "query", "Of one incident only.", openapi.TEXT)
LIST = (SHOW, SOURCE, CURSOR)


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list, and the entry that it is up to date with."""

    incidents: list[Incident]
    newest: int


async def show_list(call: Call, who: Principal) -> Answer:
    """The list for somebody who has signed in; `/` leads here."""
    call.principal = who
    asked = call.asked()
    show = asked.get("show", ["active"])[-1]
    show = show if show in SHOWS else "active"
    source = asked.get("source", [""])[-1]
    wanted = {"status": list(SHOWS[show]), "source": [source], "limit": [str(ON_A_PAGE)]}
    question = asking.question({**wanted, "cursor": asked["cursor"]} if "cursor" in asked else wanted, who)
    listing = await call.db.read(_listing, question)
    shown = listing.incidents[:ON_A_PAGE]
    more = asking.cursor(shown[-1].created_at, shown[-1].id) if len(listing.incidents) > ON_A_PAGE else None
    return render.page(
        call,
        "list.html",
        incidents=shown,
        newest=listing.newest,
        more=more,
        show=show,
        source=source,
        later="cursor" in asked,
        sources=model.SOURCES,
        severities=tuple(reversed(model.SEVERITIES)),
        may_file=who.role in MAY["incidents:file"],
    )


@routes.add("POST", "/file", may="incidents:file", shown=False, entrance=PAGES)
async def file_line(call: Call) -> Answer:
    """Files one line; the list shows it."""
    form: Form = call.content
    words = form.text("words")
    if words:
        severity = form.text("severity") or model.USUAL_SEVERITY
        wish = actions.File(words, "operator", "new", None, None, call.principal, call.request_id, severity)
        await call.db.write(actions.file, wish)
    return entrance.seen_other("/")


@routes.add("GET", entrance.LIVE, may="incidents:read", shown=False, entrance=PAGES, parameters=(AFTER, INCIDENT))
async def live(call: Call) -> Answer:
    """Says that something has changed, to an open page; what it is, the page then asks for itself."""
    incident = call.asked().get("incident", [""])[-1]
    filters = Filters(incident_id=ids.whole(incident, "incident") if incident else None)
    hub = call.service.part(Hub)
    listener = await hub.join(call.principal, filters, place_of(call))
    return Stream(hub, listener, b"id: %d\nevent: pulse\ndata: \n\n" % listener.last, _changed, PULSE)


def _changed(frames: list[Frame]) -> bytes:
    return b"id: %d\nevent: changed\ndata: \n\n" % frames[-1].entry.id


def _listing(reader: Reader, question: Question) -> Listing:
    # The entry first: what is written in between is then heard of once more, never missed.
    newest = timeline.newest(reader)
    return Listing(store.page(reader, question), newest)
