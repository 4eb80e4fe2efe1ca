"""The original's README, run word for word: only the two port numbers are the test's own.

The README's copy and where it comes from: `readme.py`.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.original import readme
from tests.original.checkout import Checkout
from tests.original.server import ROOT, Answer, Server, free_port
from tests.postgres import Postgres

FIVE = ["id", "description", "status", "source", "created_at"]
CREATE, LIST, CHANGE = readme.curls()


@pytest.fixture(scope="module")
def checkout(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Installed by Poetry, and migrated; DB_PORT is the test's own."""
    checkout = Checkout(tmp_path_factory.mktemp("original") / "checkout")
    checkout.install()
    checkout.environment["DB_PORT"] = str(postgres.port)
    return checkout


@pytest.fixture(scope="module")
def server(checkout: Checkout, postgres: Postgres) -> Iterator[Server]:
    migrated = checkout.run("/bin/sh", "-c", readme.command("alembic upgrade"))
    assert migrated.returncode == 0, migrated.stdout
    assert postgres.psql("SELECT count(*) FROM tocsin_version", "database") == "1", "before the first start"
    port = free_port()
    command = translated(readme.command("uvicorn"), "--port=8000", f"--port={port}")
    with Server(command, cwd=checkout.root, environment=checkout.environment, port=port) as server:
        yield server


def test_env_example_begins_with_the_env_that_the_readme_prints() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert example.startswith(readme.env())
    rest = example.removeprefix(readme.env()).splitlines()
    assert [line for line in rest if line and not line.startswith("#")] == [], "further settings are commented out"


def test_our_russian_readme_keeps_its_commands_in_its_order() -> None:
    ours = (ROOT / "README.ru.md").read_text(encoding="utf-8")
    commands = [block.strip() for block in readme.blocks("shell") if not block.startswith("curl")]
    places = [ours.find(f"\n```shell\n{command}\n```") for command in commands]
    assert -1 not in places
    assert places == sorted(places)
    assert readme.env() in ours


def test_its_create_answers_201_with_the_incident(server: Server, curl_environment: dict[str, str]) -> None:
    answer = run_curl(CREATE, server, curl_environment)
    assert answer.status == 201
    incident = as_documented(answer.body)
    assert (incident["description"], incident["status"], incident["source"]) == ("", "new", "operator")


def test_its_list_answers_200_with_every_incident(server: Server, curl_environment: dict[str, str]) -> None:
    filed = file_one(server)
    answer = run_curl(LIST, server, curl_environment)
    assert answer.status == 200
    assert filed["id"] in [incident["id"] for incident in answer.body["incidents"]]
    for incident in answer.body["incidents"]:
        as_documented({"incident": incident})


def test_its_change_of_status_answers_200_with_the_incident(server: Server, curl_environment: dict[str, str]) -> None:
    file_one(server)  # its block says id 1
    answer = run_curl(CHANGE, server, curl_environment)
    assert answer.status == 200
    incident = as_documented(answer.body)
    assert (incident["id"], incident["status"]) == (1, "in_progress")


def test_the_bodies_that_it_prints_are_accepted(server: Server) -> None:
    create, created, nothing, _, change, changed = readme.documents()
    filed = server.ask("POST", "/api/incidents", create, key=readme.KEY)
    assert filed.status == 201
    assert list(created["incident"]) == FIVE
    assert as_documented(filed.body)["status"] == create["status"] == "open"
    assert filed.body["incident"]["description"] == create["description"]
    assert server.ask("GET", "/api/incidents", nothing, key=readme.KEY).status == 200
    moved = server.ask("PATCH", "/api/incidents/status", change, key=readme.KEY)
    assert moved.status == 200
    assert as_documented(moved.body)["status"] == changed["incident"]["status"]


def test_put_changes_the_status_as_its_heading_says(server: Server) -> None:
    filed = file_one(server)
    wish = {"incident_id": filed["id"], "status": "in_progress"}
    answer = server.ask("PUT", "/api/incidents/status", wish, key=readme.KEY)
    assert (answer.status, as_documented(answer.body)["status"]) == (200, "in_progress")


@pytest.mark.parametrize("prefix", ["/api", ""])
@pytest.mark.parametrize("slash", ["", "/"])
def test_its_paths_answer_without_a_redirect(server: Server, prefix: str, slash: str) -> None:
    draft = {"description": "Самокат 875643 не отвечает", "status": "new", "source": "operator"}
    filed = server.ask("POST", f"{prefix}/incidents{slash}", draft, key=readme.KEY)
    assert filed.status == 201
    listed = server.ask("GET", f"{prefix}/incidents{slash}?status=new", {}, key=readme.KEY)
    assert listed.status == 200
    assert filed.body["incident"]["id"] in [incident["id"] for incident in listed.body["incidents"]]
    wish = {"incident_id": filed.body["incident"]["id"], "status": "in_progress"}
    for method in ("PATCH", "PUT"):
        assert server.ask(method, f"{prefix}/incidents/status{slash}", wish, key=readme.KEY).status == 200


def test_an_unknown_incident_is_404(server: Server) -> None:
    wish = {"incident_id": 4_000_000_000, "status": "in_progress"}
    assert server.ask("PATCH", "/api/incidents/status", wish, key=readme.KEY).status == 404


def test_no_key_is_401_and_a_wrong_one_403(server: Server) -> None:
    assert server.ask("GET", "/api/incidents").status == 401
    assert server.ask("GET", "/api/incidents", key="YOUR_SECRET_TOKEN").status == 403


def test_its_example_key_is_warned_about_and_works(server: Server) -> None:
    assert server.ask("GET", "/api/incidents", key=readme.KEY).status == 200
    assert re.search(r"warn", server.said(), re.IGNORECASE)
    assert "API_KEY" in server.said()
    assert readme.KEY not in server.said(), "a secret is never logged"


def as_documented(body: dict[str, Any]) -> dict[str, Any]:
    """The incident in the envelope that the README prints, its five fields first and in its order."""
    incident: dict[str, Any] = body["incident"]
    assert list(incident)[:5] == FIVE
    assert isinstance(incident["id"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", incident["created_at"])
    return incident


def file_one(server: Server) -> dict[str, Any]:
    draft = {"description": "Точка продаж 12 не отвечает", "source": "operator"}
    return as_documented(server.ask("POST", "/api/incidents", draft, key=readme.KEY).body)


def run_curl(block: str, server: Server, environment: dict[str, str]) -> Answer:
    """The block as a shell runs it, but for the port and the token that it asks to be filled in."""
    block = translated(block, "localhost:8000", f"localhost:{server.port}").replace("YOUR_SECRET_TOKEN", readme.KEY)
    done = subprocess.run(
        ["/bin/sh", "-c", block], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return Answer(int(status), {}, json.loads(body))


def translated(block: str, theirs: str, ours: str) -> str:
    assert block.count(theirs) == 1
    return block.replace(theirs, ours)
