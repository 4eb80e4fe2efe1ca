"""Who may what: every operation of `/openapi.json`, with every role, on what is its own and what is not."""

import re
from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from tests.people import Answer, Person
from tests.world import World
from tocsin.access.guard import Guarded, Routes
from tocsin.access.http import routes as key_routes
from tocsin.access.model import MAY
from tocsin.incidents.model import SEVERITIES

ROLES = ("admin", "operator", "viewer", "monitoring", "partner")
Operation = tuple[str, str]

# What each role is answered, in the order of ROLES; `own/foreign` where that is not the same.
WALK: dict[Operation, str] = {
    ("POST", "/api/incidents"): "201 201 403 201 201",
    ("GET", "/api/incidents"): "200 200 200 200 200",
    ("PATCH", "/api/incidents/status"): "200 200 403 200/404 403/404",
    ("PUT", "/api/incidents/status"): "200 200 403 200/404 403/404",
    ("POST", "/api/incidents/batch"): "200 200 403 200 200",
    ("GET", "/api/incidents/{incident_id}"): "200 200 200 200/404 200/404",
    ("PATCH", "/api/incidents/{incident_id}"): "200 200 403 403/404 200/404",
    ("POST", "/api/incidents/{incident_id}/acknowledge"): "200 200 403 200/404 403",
    ("DELETE", "/api/incidents/{incident_id}/acknowledge"): "200 200 403 200/404 403",
    ("GET", "/api/incidents/{incident_id}/timeline"): "200 200 200 200/404 200/404",
    ("GET", "/api/incidents/{incident_id}/descriptions"): "200 200 200 200/404 200/404",
    ("GET", "/api/timeline"): "200 200 200 200 200",
    ("GET", "/api/stream"): "422 422 422 422 422",
    ("GET", "/api/incidents/{incident_id}/reports"): "200 200 200 200/404 403",
    ("POST", "/api/reports"): "201 201 403 201 201",
    ("GET", "/api/reports/{report_id}"): "200 200 200 200/404 403",
    ("POST", "/api/reports/{report_id}/replay"): "409 403 403 403 403",
    ("POST", "/api/integrations"): "201 403 403 403 403",
    ("GET", "/api/integrations"): "200 200 403 403 403",
    ("GET", "/api/integrations/{integration_id}"): "200 200 403 403 403",
    ("PATCH", "/api/integrations/{integration_id}"): "200 403 403 403 403",
    ("DELETE", "/api/integrations/{integration_id}"): "200 403 403 403 403",
    ("POST", "/api/integrations/{integration_id}/rotate"): "200 403 403 403 403",
    ("GET", "/api/integrations/{integration_id}/reports"): "200 200 403 403 403",
    ("POST", "/api/integrations/{integration_id}/try"): "200 403 403 403 403",
    ("POST", "/api/channels"): "201 403 403 403 403",
    ("GET", "/api/channels"): "200 200 403 403 403",
    ("GET", "/api/channels/{channel_id}"): "200 200 403 403 403",
    ("PATCH", "/api/channels/{channel_id}"): "200 403 403 403 403",
    ("DELETE", "/api/channels/{channel_id}"): "200 403 403 403 403",
    ("POST", "/api/channels/{channel_id}/test"): "202 403 403 403 403",
    ("POST", "/api/channels/{channel_id}/rotate"): "200 403 403 403 403",
    ("GET", "/api/channels/{channel_id}/notifications"): "200 200 403 403 403",
    ("GET", "/api/incidents/{incident_id}/notifications"): "200 200 403 403 403",
    ("GET", "/api/notifications/{notification_id}"): "200 200 403 403 403",
    ("POST", "/api/notifications/{notification_id}/retry"): "409 403 403 403 403",
    ("POST", "/api/subscriptions"): "201 403 403 403 403",
    ("GET", "/api/subscriptions"): "200 200 403 403 403",
    ("DELETE", "/api/subscriptions/{subscription_id}"): "200 403 403 403 403",
    ("POST", "/api/keys"): "201 403 403 403 403",
    ("GET", "/api/keys"): "200 403 403 403 403",
    ("GET", "/api/keys/{key_id}"): "200 403 403 403 403",
    ("DELETE", "/api/keys/{key_id}"): "200 403 403 403 403",
    ("POST", "/api/keys/{key_id}/rotate"): "200 403 403 403 403",
    ("GET", "/api/partners"): "200 403 403 403 403",
    ("POST", "/api/partners"): "201 403 403 403 403",
}

# A report in a key's own words is not replayed, but sent again: 409. So is a message that was not given up.
PROBLEMS = {403: "not-allowed", 404: "not-found", 409: "already-there", 422: "invalid"}
DOOR = {"name": "spare", "dialect": "generic"}
FILED = {"description": "it burns", "source": "operator"}


SPARES, LEAST = count(), cycle(SEVERITIES)


def spare_channel(world: World) -> int:
    draft = {"name": f"spare {next(SPARES)}", "kind": "webhook", "config": {"url": "http://127.0.0.1:1/"}}
    id: int = world.admin.post("/api/channels", draft).json["channel"]["id"]
    return id


def spare_notification(world: World) -> int:
    answer = world.admin.post(f"/api/channels/{spare_channel(world)}/test")
    id: int = answer.json["notification"]["id"]
    return id


def spare_subscription(world: World) -> int:
    answer = world.admin.post("/api/subscriptions", {"channel_id": spare_channel(world), "severity": "critical"})
    id: int = answer.json["subscription"]["id"]
    return id


def body_of(operation: Operation, who: Person, incident: int) -> Any:
    bodies: dict[str, Any] = {
        "POST /api/incidents": FILED | {"source": who.source},
        "PATCH /api/incidents/status": {"incident_id": incident, "status": "open"},
        "PUT /api/incidents/status": {"incident_id": incident, "status": "open"},
        "POST /api/incidents/batch": {"incidents": [FILED | {"source": who.source}]},
        "PATCH /api/incidents/{incident_id}": {"description": "it burns more"},
        "POST /api/reports": {"summary": "it burns"},
        "POST /api/integrations": DOOR,
        "PATCH /api/integrations/{integration_id}": {"name": "another"},
        "POST /api/integrations/{integration_id}/try": {"body": {}},
        "POST /api/channels": {"name": f"spare {next(SPARES)}", "kind": "ntfy", "config": {"topic": "a"}},
        "PATCH /api/channels/{channel_id}": {"name": f"spare {next(SPARES)}"},
        "POST /api/subscriptions": {"channel_id": 1, "severity": next(LEAST)},  # the same one twice is refused
        "POST /api/keys": {"name": "x", "role": "viewer"},
        "POST /api/partners": {"slug": f"partner-{incident}"},
    }
    return bodies.get(" ".join(operation))


def knocks(world: World, who: Person, operation: Operation, author: Person) -> Answer:
    """One operation, on an incident or report of this author's, or on something that nobody needs."""
    method, path = operation
    made: dict[str, Callable[[], int]] = {
        "incident_id": lambda: author.filed()["id"],
        "report_id": lambda: author.reports("it burns").report["id"],
        "key_id": lambda: world.admin.makes_key("spare", "viewer").json["key"]["id"],
        "channel_id": lambda: spare_channel(world),
        "notification_id": lambda: spare_notification(world),
        "subscription_id": lambda: spare_subscription(world),
        "integration_id": lambda: world.admin.post("/api/integrations", DOOR).json["integration"]["id"],
    }
    address = path.format_map({name: make() for name, make in made.items() if f"{{{name}}}" in path})
    if path == "/api/stream":
        address += "?incident=0"  # whoever may listen is told that this is no id: a stream itself never ends
    return who.ask(method, address, body_of(operation, who, author.filed()["id"]))


def operations(world: World) -> set[Operation]:
    document = world.stranger.get("/openapi.json").json
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def routes(world: World) -> Iterator[tuple[Operation, Guarded]]:
    for context in iter_route_contexts(world.app.router.routes):
        route = context.original_route
        assert isinstance(route, Guarded)
        for method in route.methods or ():
            yield (method, route.path), route


def test_the_walk_and_the_description_and_the_routes_are_the_same_operations(world: World) -> None:
    documented = {operation for operation, route in routes(world) if route.include_in_schema}
    assert operations(world) == documented == set(WALK)


def test_what_is_not_described_is_an_alias_or_open_to_everybody(world: World) -> None:
    described = {operation: route for operation, route in routes(world) if route.include_in_schema}
    for (method, path), route in routes(world):
        if route.include_in_schema or route.entrance is not None:  # who may at the pages: `test_console.py`
            continue
        if path.startswith("/incidents"):
            assert route.may == described[method, f"/api{path}"].may, path
            assert route.roles == described[method, f"/api{path}"].roles, path
        else:
            # A dialect's door, and Telegram's, ask for a key of their own: `test_integrations.py`, `test_delivery.py`.
            assert (route.may, method in ("GET", "HEAD") or route.bare) == ("public", True), path


def test_nothing_that_is_described_is_open_to_everybody(world: World) -> None:
    for operation, route in routes(world):
        if route.entrance is not None:
            continue
        assert (route.may == "public") != route.include_in_schema or operation[1].startswith("/incidents"), operation


@pytest.mark.parametrize("role", ROLES)
def test_every_operation_answers_each_role_as_the_table_says(world: World, role: str) -> None:
    cast = (world.admin, world.ada, world.vera, world.probe, world.acme)
    who = dict(zip(ROLES, cast, strict=True))[role]
    author = who if role in ("monitoring", "partner") else world.ada
    assert spare_channel(world) == 1
    for operation, row in WALK.items():
        own, _, foreign = row.split()[ROLES.index(role)].partition("/")
        for stranger, expected in ((False, int(own)), (True, int(foreign or own))):
            answer = knocks(world, who, operation, world.globex if stranger else author)
            where = (operation, "foreign" if stranger else "own")
            assert answer.status == expected, where
            if expected in PROBLEMS:
                assert answer.problem == PROBLEMS[expected], where


def test_every_operation_asks_for_a_key_and_does_nothing_without_a_good_one(world: World) -> None:
    incident = world.ada.filed()
    before = world.admin.timeline().entries
    for operation in WALK:
        method, path = operation
        # Nobody gets far enough to see that there is no 2 of most things.
        address, body = re.sub(r"\{\w+\}", "2", path), body_of(operation, world.ada, incident["id"])
        assert world.stranger.ask(method, address, body).problem == "no-key", operation
        assert world.ada.with_key("nonsense").ask(method, address, body).problem == "wrong-key", operation
    assert world.admin.timeline().entries == before


def test_a_wrong_role_is_told_which_roles_are_right(world: World) -> None:
    detail = world.vera.files().detail
    assert "viewer" in detail
    assert "admin, monitoring, operator, partner" in detail


def test_whoever_may_not_file_under_a_source_is_told_which_it_may(world: World) -> None:
    for person, source in ((world.probe, "monitoring"), (world.acme, "partner")):
        answer = person.files(source="operator")
        assert answer.problem == "not-allowed"
        assert f"source {source}" in answer.detail
    assert world.ada.lists().ids == []


def test_the_role_is_looked_at_before_the_body(world: World) -> None:
    assert world.vera.post("/api/incidents", b"no json").problem == "not-allowed"


def test_a_foreign_incident_and_none_are_told_alike(world: World) -> None:
    foreign = world.ada.filed()
    for person in (world.probe, world.acme):
        there, nowhere = person.sees(foreign), person.sees(999)
        assert there.detail.replace(str(foreign["id"]), "999") == nowhere.detail


def test_a_route_without_a_permission_cannot_be_built() -> None:
    async def answer(call: Any) -> Any:
        """Never called."""

    with pytest.raises(TypeError, match="may"):
        Guarded("/x", answer)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="may"):
        Routes("x").add("GET", "/x")  # type: ignore[call-arg]


def test_every_permission_has_its_roles() -> None:
    declared = {route.may for route in key_routes}
    assert declared <= set(MAY)
    assert all(MAY.values())
