"""What a list of incidents may be asked: a request's query as a question for the store, and the next page's cursor."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from tocsin.access.model import Principal
from tocsin.incidents import model
from tocsin.incidents.store import Question
from tocsin.kit import clock, errors, openapi, paging
from tocsin.timeline import http as timeline

Given = tuple[tuple[str, tuple[str, ...]], ...]  # a query's names and their values

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
    given = tuple((name, tuple(values)) for name, values in asked.items())
    filed_by = who.key_id if who.role == "monitoring" else None
    return _question(given, filed_by, who.partner_id if who.role == "partner" else None)


@lru_cache(maxsize=128)
def _question(given: Given, filed_by: int | None, partner_id: int | None) -> Question:
    """Open pages and programs ask the same again and again."""
    asked = dict(given)
    place = paging.place(asked.get("cursor", (None,))[-1], 2)
    return Question(
        statuses=_statuses(asked.get("status", ())),
        sources=tuple(model.good_source(name) for name in _names(asked.get("source", ()))),
        created_after=_time(asked, "created_after"),
        created_before=_time(asked, "created_before"),
        filed_by=filed_by,
        partner_id=partner_id,
        place=(_moment(place[0]), place[1]) if place is not None else None,
        limit=paging.limit(asked.get("limit", (None,))[-1]) + 1,
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


def _time(asked: Mapping[str, Sequence[str]], name: str) -> datetime | None:
    text = asked.get(name, ("",))[-1]
    if not text:
        return None
    try:
        # A `+` that was not escaped in the address arrives as a space.
        return clock.parsed(text.replace(" ", "+"))
    except ValueError:
        raise errors.Invalid.field(name, "must be a time such as 2026-11-23T08:00:00Z, or a date") from None


def cursor(created_at: datetime, id: int) -> str:
    """The place after the last incident of a page."""
    return paging.cursor(clock.microseconds(created_at), id)


def _moment(count: int) -> datetime:
    try:
        return clock.from_microseconds(count)
    except OverflowError:
        raise errors.Invalid.field(
            "cursor", "is not a cursor of this list; take `next` from the answer before"
        ) from None
