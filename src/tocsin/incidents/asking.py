"""What a list of incidents may be asked: a request's query as a question for the store, and the next page's cursor."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from tocsin.access.model import Principal
from tocsin.incidents import model
from tocsin.incidents.model import Incident
from tocsin.incidents.store import Question
from tocsin.kit import clock, errors, openapi, paging
from tocsin.timeline import http as timeline

FILTERS = (
    openapi.Parameter(
        "status",
        "query",
        "One or several statuses, by commas or repeated; `active` is all but resolved and closed.",
        openapi.some_of((*model.STATUSES, "active")),
    ),
    openapi.Parameter("source", "query", "One or several sources, likewise.", openapi.some_of(model.SOURCES)),
    openapi.Parameter("created_after", "query", "Filed at this time or later (RFC 3339, or a date).", openapi.TIME),
    openapi.Parameter("created_before", "query", "Filed before this time.", openapi.TIME),
    openapi.Parameter("cursor", "query", "Go on after this `next`.", openapi.TEXT),
    timeline.LIMIT,
)


def question(asked: Mapping[str, list[str]], who: Principal) -> Question:
    """The list's query as a question; one more row than the limit shows whether there is a next page."""
    place = paging.place(asked.get("cursor", [None])[-1], 2)
    return Question(
        statuses=_statuses(asked.get("status", [])),
        sources=tuple(model.good_source(name) for name in _names(asked.get("source", []))),
        created_after=_time(asked, "created_after"),
        created_before=_time(asked, "created_before"),
        filed_by=who.key_id if who.role == "monitoring" else None,
        partner_id=who.partner_id if who.role == "partner" else None,
        place=(_moment(place[0]), place[1]) if place is not None else None,
        limit=paging.limit(asked.get("limit", [None])[-1]) + 1,
    )


def _names(values: Sequence[str]) -> list[str]:
    """`a,b` and repeated parameters as one list, each name once."""
    return list(dict.fromkeys(name for value in values for part in value.split(",") if (name := part.strip())))


def _statuses(values: Sequence[str]) -> tuple[str, ...]:
    wanted: dict[str, None] = {}
    for name in _names(values):
        if name != "active" and name not in model.STATUSES:
            raise errors.Invalid.field("status", f"must be one of {', '.join(model.STATUSES)}, or active")
        wanted |= dict.fromkeys(model.ACTIVE if name == "active" else (name,))
    return () if len(wanted) == len(model.STATUSES) else tuple(wanted)


def _time(asked: Mapping[str, list[str]], name: str) -> datetime | None:
    text = asked.get(name, [""])[-1]
    if not text:
        return None
    try:
        # A `+` that was not escaped in the address arrives as a space.
        return clock.parsed(text.replace(" ", "+"))
    except ValueError:
        raise errors.Invalid.field(name, "must be a time such as 2026-11-23T08:00:00Z, or a date") from None


def cursor(last: Incident) -> str:
    return paging.cursor(clock.microseconds(last.created_at), last.id)


def _moment(count: int) -> datetime:
    try:
        return clock.from_microseconds(count)
    except OverflowError:
        raise errors.Invalid.field(
            "cursor", "is not a cursor of this list; take `next` from the answer before"
        ) from None
