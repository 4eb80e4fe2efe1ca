"""Paths and methods, right and wrong."""

import pytest

from tests.world import World


@pytest.mark.parametrize("path", ["/api/incidents", "/api/incidents/", "/incidents", "/incidents/"])
def test_one_trailing_slash_and_the_short_form_make_no_difference(world: World, path: str) -> None:
    filed = world.ada.post(path, {"description": "x", "source": "operator"})
    assert filed.status == 201
    assert filed.headers["location"] == "/api/incidents/1"
    assert world.ada.get(path).ids == [1]


@pytest.mark.parametrize("path", ["/api/incidents/1/", "/api/incidents/1/timeline/", "/api/timeline/", "/livez/"])
def test_one_trailing_slash_is_dropped_everywhere(world: World, path: str) -> None:
    world.ada.filed()
    assert world.ada.get(path).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "//api/incidents", "/api//incidents", "/api/incidents//", "/api/incidents/1//", "//", "/incidents/1",
        "/incidents/batch", "/api", "/api/incident", "/API/incidents", "/api/incidents/1/2", "/api/incidents/1/ack",
        "/.env", "/../etc/passwd", "/static/../settings.py", "/%2e%2e/", "/nowhere?x=1",
    ],
)  # fmt: skip
def test_an_unknown_path_is_404_and_says_where_the_paths_are_listed(world: World, path: str) -> None:
    for who in (world.ada, world.stranger):
        answer = who.get(path)
        assert answer.status == 404, path
        assert answer.problem in ("no-such-path", "not-found")
    if answer.problem == "no-such-path":
        assert "/docs" in answer.detail


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/incidents", "GET, POST"),
        ("PUT", "/incidents/", "GET, POST"),
        ("HEAD", "/api/incidents", "GET, POST"),
        ("OPTIONS", "/api/incidents", "GET, POST"),
        ("TRACE", "/api/incidents", "GET, POST"),
        ("POST", "/api/incidents/status", "PATCH, PUT"),
        ("GET", "/api/incidents/status", "PATCH, PUT"),
        ("DELETE", "/incidents/status", "PATCH, PUT"),
        ("GET", "/api/incidents/batch", "POST"),
        ("PATCH", "/api/incidents/batch", "POST"),
        ("DELETE", "/api/incidents/1", "GET, PATCH"),
        ("GET", "/api/incidents/1/acknowledge", "DELETE, POST"),
        ("POST", "/api/incidents/1/timeline", "GET"),
        ("PATCH", "/api/keys/1", "DELETE, GET"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/metrics", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_all_the_right_ones_are_named(
    world: World, method: str, path: str, allowed: str
) -> None:
    answer = world.ada.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert answer.problem == "wrong-method"


@pytest.mark.parametrize("path", ["/%ff", "/%00", "/api/incidents/%ff", "/errors/%ff", "/static/%00", "/static/", "/é"])
def test_odd_bytes_in_a_path_harm_nobody(world: World, path: str) -> None:
    answer = world.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {world.ada.key}\r\n\r\n".encode())
    assert answer.status in (400, 404, 422)
    assert world.log.events("a request failed") == []


def test_other_origins_are_not_invited(world: World) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET"):
        answer = world.ada.ask(method, "/api/incidents", headers=headers)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("given", ["call-17", "a.b:c_d-e", "x" * 64])
def test_a_callers_request_id_is_kept(world: World, given: str) -> None:
    answer = world.ada.ask("GET", "/api/incidents", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, 'a"b', "\xe9", "<b>"])
def test_a_request_id_that_is_long_or_odd_is_replaced(world: World, given: str) -> None:
    answer = world.ada.ask("GET", "/api/incidents", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] not in ("", given)


def test_every_request_has_an_id_of_its_own(world: World) -> None:
    assert len({world.ada.lists().headers["x-request-id"] for _ in range(10)}) == 10


def test_what_is_no_http_is_refused_by_the_parser_itself(world: World) -> None:
    assert world.raw(b"GET /api incidents HTTP/1.1\r\n\r\n").status == 400
    assert world.ada.lists().status == 200
