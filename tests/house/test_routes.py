"""Every route is guarded, and every operation is in the docs: what is not declared cannot be reached."""

import pytest

from tocsin.access.guard import Guarded
from tocsin.access.model import MAY
from tocsin.app import ROUTES, create_app
from tocsin.intake.dialects import DIALECTS

# What answers without a key. Whoever adds to it says to everybody on the network: come in.
PUBLIC = {
    "/",
    "/docs",
    "/swagger",
    "/openapi.json",
    "/errors",
    "/errors/{slug}",
    "/static/{path:path}",
    "/livez",
    "/readyz",
    "/metrics",
    "/sign-in",
    "/a/{token}",
}
# Senders' own addresses: their dialect asks for the integration's key where the sender has it.
DOORS = {path.path for dialect in DIALECTS.values() for path in dialect.paths} | {"/in/telegram/{channel_id}"}
ALIASES = {"/incidents": "/api/incidents", "/incidents/status": "/api/incidents/status"}


def test_the_application_has_our_routes_and_no_others() -> None:
    served = create_app().router.routes
    assert served
    assert all(type(route) is Guarded for route in served), "FastAPI's own routes would never ask for the key"
    assert [id(route) for route in served] == [id(route) for route in ROUTES]


def test_what_needs_no_key_is_listed_here() -> None:
    assert {route.path for route in ROUTES if route.may == "public"} == PUBLIC | DOORS


def test_every_other_route_has_a_permission_that_somebody_has() -> None:
    for route in ROUTES:
        if route.may != "public":
            assert MAY[route.may], route.path
            assert route.roles == MAY[route.may]


def test_a_route_without_a_permission_cannot_be_built() -> None:
    with pytest.raises(TypeError):
        Guarded("/open", ROUTES[0].serve, methods=["GET"])  # type: ignore[call-arg]


def test_the_description_has_every_operation_but_pages_and_aliases() -> None:
    described = {(method.upper(), path) for path, item in create_app().openapi()["paths"].items() for method in item}
    served = {(method, route.path) for route in ROUTES for method in route.methods or ()}
    pages = {route.path for route in ROUTES if route.entrance is not None}
    hidden = {(method, path) for method, path in served if path in PUBLIC | DOORS | pages or path in ALIASES}
    assert described == served - hidden


def test_an_alias_does_what_the_documented_path_does() -> None:
    by_path = {(route.path, *(route.methods or ())): route for route in ROUTES}
    for (path, *methods), route in by_path.items():
        if path in ALIASES:
            original = by_path[(ALIASES[path], *methods)]
            assert (route.serve, route.may, route.most) == (original.serve, original.may, original.most)


def test_operations_have_names_of_their_own() -> None:
    names = [
        operation["operationId"] for item in create_app().openapi()["paths"].values() for operation in item.values()
    ]
    assert len(names) == len(set(names))
