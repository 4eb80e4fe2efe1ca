"""What the service says of itself: health, figures, its own description, its pages."""

import re
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from sqlalchemy import select

from tests.world import World
from tocsin.db.engine import forget_writers
from tocsin.db.schema import last_batch
from tocsin.db.transaction import Reader
from tocsin.kit import metrics
from tocsin.kit.errors import Unavailable, every_problem


def test_a_live_process_says_so_without_a_key(world: World) -> None:
    answer = world.stranger.get("/livez")
    assert (answer.status, answer.json) == (200, {"live": True})
    assert world.stranger.ask("HEAD", "/livez").status == 200


def test_it_is_ready_when_the_database_is_there(world: World) -> None:
    answer = world.stranger.get("/readyz")
    assert (answer.status, answer.json) == (200, {"ready": True})
    assert answer.headers["cache-control"] == "no-store"


async def away(*_: Any, **__: Any) -> None:
    raise Unavailable("The database is away.")


def test_when_the_database_is_away_it_is_not_ready_and_it_heals_by_itself(world: World) -> None:
    world.without_loop("watch the database")
    db = world.service.db
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db.storage, "probe", away)
        world.run(db.probe())
        answer = world.stranger.get("/readyz")
        assert (answer.status, answer.problem) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert world.stranger.get("/livez").status == 200
    world.run(db.probe())
    assert world.stranger.get("/readyz").status == 200


def test_a_write_that_the_database_cannot_take_is_503_and_stores_nothing(world: World) -> None:
    world.without_loop("watch the database")
    batcher = world.service.db.batcher
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batcher._engine, "transaction", away)
        answer = world.ada.files()
        assert (answer.status, answer.problem) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert world.stranger.get("/readyz").status == 503
    world.run(world.service.db.probe())
    assert world.stranger.get("/readyz").status == 200
    assert world.ada.files().incident["id"] == 1


def test_readiness_asks_the_database_nothing(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("read", "transaction", "probe"):
            patch.setattr(world.service.db.storage, name, None)
        assert world.stranger.get("/readyz").status == 200


def test_a_server_that_stops_is_no_longer_ready(world: World) -> None:
    world.service.stopping = True
    assert world.stranger.get("/readyz").status == 503
    assert "stopping" in world.stranger.get("/readyz").detail


def test_the_figures_have_their_names(world: World) -> None:
    world.ada.filed()
    answer = world.stranger.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    for name in metrics.NAMES:
        assert f"# TYPE {name.removesuffix('_total')}" in text, name
    assert 'tocsin_requests_total{method="POST",route="/api/incidents",status="201"}' in text


def test_strangers_cannot_make_new_figures(world: World) -> None:
    for number in range(3):
        world.stranger.get(f"/nowhere/{number}")
        world.stranger.ask(f"BREW{number}", "/api/incidents")
        world.ada.sees(31_415_926_535_897 + number)
    text = world.stranger.get("/metrics").body.decode()
    assert "nowhere" not in text
    assert "BREW" not in text
    assert "314159265358" not in text
    assert 'route="/api/incidents/{incident_id}"' in text


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.stranger.get("/openapi.json").json
    return found


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [each for value in part.values() for each in references(value)]
    return [each for value in part for each in references(value)] if isinstance(part, list) else []


def test_the_description_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Tocsin"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert {"401", "403", "429", "503"} < set(operation["responses"]), where
            assert any(status.startswith("2") for status in operation["responses"]), where
            named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), where
    assert document["components"]["securitySchemes"]["key"]["name"] == "x-api-key"


def test_answers_look_as_they_are_described(world: World, document: dict[str, Any]) -> None:
    incident = world.ada.filed(status="closed")
    answers = [
        ("/api/incidents", "post", world.ada.files()),
        ("/api/incidents", "get", world.ada.lists()),
        ("/api/incidents/status", "patch", world.ada.moves(incident, "open")),
        ("/api/incidents/batch", "post", world.ada.files_many([{"description": "", "source": "operator"}, 1])),
        ("/api/incidents/{incident_id}", "get", world.ada.sees(incident)),
        ("/api/incidents/{incident_id}/timeline", "get", world.ada.timeline_of(incident)),
        ("/api/timeline", "get", world.admin.timeline()),
        ("/api/keys", "post", world.admin.makes_key()),
        ("/api/keys", "get", world.admin.get("/api/keys")),
        ("/api/partners", "get", world.admin.get("/api/partners")),
        ("/api/incidents/{incident_id}", "get", world.ada.sees(404)),
        ("/api/incidents/status", "patch", world.ada.moves(incident, "new")),
        ("/api/incidents", "post", world.ada.files(source="police")),
    ]
    for path, method, answer in answers:
        told = document["paths"][path][method]["responses"][str(answer.status)]["content"]
        schema = told[answer.headers["content-type"]]["schema"]
        jsonschema.validate(answer.json, schema | {"components": document["components"]})


def test_the_documentation_page_uses_nothing_but_this_server(world: World) -> None:
    answer = world.stranger.get("/docs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = answer.body.decode()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    files = [name for name in re.findall(r"""(?:src|href)=["']([^"'#]+)["']""", page) if name.startswith("/static/")]
    assert len(files) >= 3
    for name in files:
        assert world.stranger.get(name).status == 200, name


def test_swagger_leads_to_the_documentation(world: World) -> None:
    answer = world.stranger.get("/swagger")
    assert (answer.status, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize(("languages", "word"), [("", "en"), ("de, en;q=0.5", "en"), ("ru-RU,ru;q=0.9", "ru")])
def test_the_first_page_speaks_the_browsers_language(world: World, languages: str, word: str) -> None:
    answer = world.stranger.ask("GET", "/", headers={"Accept-Language": languages})
    assert answer.status == 200
    assert f'<html lang="{word}"' in answer.body.decode()
    assert "script" not in answer.headers["content-security-policy"]
    assert f"http://127.0.0.1:{world.port}" in answer.body.decode()


def test_the_type_of_every_problem_is_a_page_of_this_server(world: World) -> None:
    listed = world.stranger.get("/errors").body.decode()
    for problem in every_problem():
        answer = world.stranger.get(f"/errors/{problem.slug}")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert problem.slug in listed
    assert world.stranger.get("/errors/no-such-problem").status == 404


def test_the_type_in_an_answer_leads_there(world: World) -> None:
    for answer in (world.stranger.lists(), world.ada.sees(404), world.ada.get("/nowhere"), world.ada.files(source="x")):
        assert answer.problem
        assert world.stranger.get(answer.json["type"]).status == 200


def test_the_marks_of_processes_that_are_gone_are_forgotten(world: World) -> None:
    def marks(reader: Reader) -> list[str]:
        return [row.writer for row in reader.rows(select(last_batch.c.writer))]

    world.ada.filed()
    before = set(world.reads(marks))
    world.clock.forward(days=2)
    world.restarts()
    world.ada.filed()
    now = world.service.db.clock()
    world.run(world.service.db.write(forget_writers, now - timedelta(days=1)))
    assert not before & set(world.reads(marks))
    assert (len(world.reads(marks)) == 1) == (world.service.db.name == "postgresql")
