"""How what was told is said: the outbox and its attempts, by channel, by incident, one by one."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.access.call import Call, found, the_only
from tocsin.access.guard import Routes
from tocsin.db.once import Kept
from tocsin.db.transaction import Reader
from tocsin.delivery import outbox, store
from tocsin.delivery.http import CHANNEL_ID, MISSING, channel_of, id_of
from tocsin.delivery.model import Delivery, Notification
from tocsin.delivery.shapes import NotificationAnswer, NotificationPage, notification_view
from tocsin.incidents import shapes as incident_shapes
from tocsin.incidents import store as incidents
from tocsin.kit import errors, ids, openapi, paging
from tocsin.kit.answers import Answer

routes = Routes("channels")

NOTIFICATION_ID = openapi.Parameter("notification_id", "path", "The notification's id.", openapi.ID)
INCIDENT_ID = openapi.Parameter("incident_id", "path", "The incident's id.", openapi.ID)
BEFORE = openapi.Parameter("before", "query", "Only those before this id; `next` of the page before.", openapi.ID)
LIMIT = openapi.Parameter(
    "limit",
    "query",
    "At most so many.",
    {"type": "integer", "minimum": 1, "maximum": paging.MOST, "default": paging.USUAL},
)

Told = tuple[list[Notification], dict[int, list[Delivery]]]


@routes.add(
    "GET",
    "/api/channels/{channel_id}/notifications",
    may="channels:read",
    gives=NotificationPage,
    parameters=(CHANNEL_ID, BEFORE, LIMIT),
    refuses=MISSING,
)
async def list_channel_notifications(call: Call) -> Answer:
    """What a channel was told, newest first, with every attempt."""
    asked = call.asked()
    before, limit = asked.get("before", [""])[-1], paging.limit(asked.get("limit", [None])[-1])
    each = await channel_of(call)
    place = ids.whole(before, "before") if before else None
    return found(_page(*await call.db.read(told_to, each.id, place, limit + 1), limit))


@routes.add(
    "GET",
    "/api/incidents/{incident_id}/notifications",
    may="channels:read",
    gives=NotificationPage,
    parameters=(INCIDENT_ID,),
    refuses=MISSING,
)
async def list_incident_notifications(call: Call) -> Answer:
    """Who was told of an incident, newest first, with every attempt."""
    call.asked()
    incident = await call.db.read(incidents.one, id_of(call, "incident_id"))
    if incident is None:
        raise errors.NotFound(f"There is no incident {call.given('incident_id')}.")
    return found(_page(*await call.db.read(_told_of, incident.id, paging.MOST), paging.MOST))


@routes.add(
    "GET",
    "/api/notifications/{notification_id}",
    may="channels:read",
    gives=NotificationAnswer,
    parameters=(NOTIFICATION_ID,),
    refuses=MISSING,
)
async def read_notification(call: Call) -> Answer:
    """One notification, with every attempt."""
    call.asked()
    id = id_of(call, "notification_id")
    each = await call.db.read(store.one_notification, id)
    if each is None:
        raise errors.NotFound(f"There is no notification {id}.")
    attempts = await call.db.read(store.attempts, [id])
    return found(NotificationAnswer(notification_view(each, attempts.get(id, []))))


@routes.add(
    "POST",
    "/api/notifications/{notification_id}/retry",
    may="channels:manage",
    takes=incident_shapes.Nothing,
    empty_too=True,
    gives=NotificationAnswer,
    parameters=(NOTIFICATION_ID,),
    refuses=(errors.NotFound, errors.AlreadyThere),
)
async def retry_notification(call: Call) -> Answer:
    """Try a message again that was given up, under the same message id."""

    def say(results: Sequence[Any]) -> Kept:
        return Kept(200, msgspec.json.encode(NotificationAnswer(notification_view(the_only(results), []))))

    return await call.write(outbox.retry, [id_of(call, "notification_id")], say)


def told_to(reader: Reader, channel_id: int, before: int | None, limit: int) -> Told:
    """What a channel was told, newest first, and the attempts of each."""
    rows = store.notifications_of_channel(reader, channel_id, before, limit)
    return rows, store.attempts(reader, [each.id for each in rows])


def _told_of(reader: Reader, incident_id: int, limit: int) -> Told:
    rows = store.notifications_of_incident(reader, incident_id, limit)
    return rows, store.attempts(reader, [each.id for each in rows])


def _page(rows: Sequence[Notification], attempts: dict[int, list[Delivery]], limit: int) -> NotificationPage:
    shown = rows[:limit]
    after = str(shown[-1].id) if len(rows) > limit else None
    return NotificationPage([notification_view(each, attempts.get(each.id, [])) for each in shown], after)
