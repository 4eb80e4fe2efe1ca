"""What Tocsin does otherwise than the original, on purpose: the rows of `docs/original.md`, one test each."""

import re
from typing import Any

import pytest

from tests.original import readme
from tests.original.server import ROOT, Server

STATUS = "/api/incidents/status"


def test_the_table_of_differences_names_every_test_here_and_no_other() -> None:
    rows = (ROOT / "docs" / "original.md").read_text(encoding="utf-8").splitlines()
    named = [row.rpartition("| `")[2].removesuffix("` |") for row in rows if row.endswith("` |")]
    here = [name for name in globals() if name.startswith("test_") and "table_of_differences" not in name]
    assert sorted(named) == sorted(here)


def test_the_list_comes_newest_first_in_pages_of_200(register: Server) -> None:
    drafts = [{"description": f"report {number}", "source": "monitoring"} for number in range(201)]
    assert ask(register, "POST", "/api/incidents/batch", {"incidents": drafts})["results"][-1]["status"] == 201
    page = ask(register, "GET", "/api/incidents")
    ids = [incident["id"] for incident in page["incidents"]]
    assert len(ids) == 200
    assert ids == sorted(ids, reverse=True)
    assert page["next"]
    assert len(ask(register, "GET", "/api/incidents?limit=1000")["incidents"]) > 200
    assert register.ask("GET", "/api/incidents?limit=1001", key=readme.KEY).status == 422


def test_the_list_s_envelope_is_incidents_and_next(register: Server) -> None:
    assert list(ask(register, "GET", "/api/incidents?status=closed")) == ["incidents", "next"]


def test_unknown_fields_are_refused_but_for_id_and_created_at_when_filing(register: Server) -> None:
    draft = {"description": "typo", "source": "operator"}
    refused = register.ask("POST", "/api/incidents", draft | {"staus": "new"}, key=readme.KEY)
    assert refused.status == 422
    assert "staus" in str(refused.body)
    own = {"id": 999_999, "created_at": "2001-01-01T00:00:00.000Z"}
    filed = register.ask("POST", "/api/incidents", draft | own, key=readme.KEY)
    assert filed.status == 201
    assert filed.body["incident"]["id"] != own["id"]
    assert filed.body["incident"]["created_at"] > "2025"


@pytest.mark.parametrize(("before", "after"), [("open", "new"), ("closed", "resolved"), ("closed", "on_hold")])
def test_a_move_that_makes_no_sense_is_refused(register: Server, before: str, after: str) -> None:
    filed = ask(register, "POST", "/api/incidents", {"description": "x", "status": before, "source": "operator"})
    wish = {"incident_id": filed["incident"]["id"], "status": after}
    refused = register.ask("PATCH", STATUS, wish, key=readme.KEY)
    assert refused.status == 409
    assert "in_progress" in str(refused.body), "it names the moves that are allowed"


@pytest.mark.parametrize("status", ["open", "on_hold"])
def test_there_are_two_more_statuses(register: Server, status: str) -> None:
    draft = {"description": "x", "status": status, "source": "operator"}
    assert ask(register, "POST", "/api/incidents", draft)["incident"]["status"] == status


def test_errors_are_problem_json(register: Server) -> None:
    wish = {"incident_id": 4_000_000_000, "status": "open"}
    for method, path, body, key, status in (
        ("GET", "/api/incidents", None, None, 401),
        ("GET", "/api/incidents", None, "wrong", 403),
        ("PATCH", STATUS, wish, readme.KEY, 404),
        ("GET", "/api/incidents?status=broken", None, readme.KEY, 422),
        ("POST", "/api/incidents", b"{", readme.KEY, 400),
    ):
        refused = register.ask(method, path, body, key=key)
        assert refused.status == refused.body["status"] == status
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.body["type"]


def test_put_does_what_patch_does(register: Server) -> None:
    filed = ask(register, "POST", "/api/incidents", {"description": "x", "source": "operator"})
    wish = {"incident_id": filed["incident"]["id"], "status": "on_hold"}
    assert ask(register, "PUT", STATUS, wish)["incident"]["status"] == "on_hold"


def test_an_incident_has_more_fields_after_the_first_five(register: Server) -> None:
    incident = ask(register, "POST", "/api/incidents", {"description": "x", "source": "operator"})["incident"]
    assert list(incident)[:5] == ["id", "description", "status", "source", "created_at"]
    assert {"acknowledged_at", "resolved_at", "closed_at", "updated_at", "version"} <= set(incident)


def test_times_have_milliseconds(register: Server) -> None:
    incident = ask(register, "POST", "/api/incidents", {"description": "x", "source": "operator"})["incident"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", incident["created_at"])


def test_a_slash_at_the_end_is_answered_at_once(register: Server) -> None:
    assert register.ask("GET", "/api/incidents/", key=readme.KEY).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/incidents", {"description": "\0", "source": "operator"}),
        ("POST", "/api/incidents", b'{"description": "\\ud800", "source": "operator"}'),
        ("PATCH", STATUS, b'{"incident_id": %s, "status": "closed"}' % (b"9" * 40)),
        ("GET", "/api/incidents?status=broken", None),
    ],
)
def test_what_made_a_500_is_422(register: Server, method: str, path: str, body: Any) -> None:
    assert register.ask(method, path, body, key=readme.KEY).status == 422


def test_without_a_database_s_settings_it_runs_on_sqlite(register: Server) -> None:
    assert (register.folder / "data" / "tocsin.db").exists()


def ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    answer = server.ask(method, path, body, key=readme.KEY)
    assert answer.status in (200, 201), answer.body
    return answer.body
