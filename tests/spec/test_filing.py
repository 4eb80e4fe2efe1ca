"""Filing an incident: `POST /api/incidents`."""

import re
from typing import Any

import pytest

from tests.world import World

NOW = "2026-11-23T08:15:30.167Z"
NO_TIMES = dict.fromkeys(("acknowledged_at", "acknowledged_by", "resolved_at", "closed_at"))

# Texts that have met a system which could not keep them.
TEXTS = {
    "nothing": "",
    "a space": " ",
    "Russian": "Самокат 875643 не на связи",
    "astral": "🛴🔥 𝔸𝕣𝕜 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "combining, not composed": "e\u0301 и\u0306",
    "composed": "\u00e9 й",
    "right to left": "הקטנוע \u202b875643\u202c לא מחובר",
    "lines": "first\nsecond\r\nthird\rfourth\u2028fifth",
    "controls": "\t\x01\x1b[31m\x7f",
    "quotes": "'; DROP TABLE incident; -- \" \\ %s {x} :id $1",
    "a byte order mark": "\ufeffscooter",
    "not a character": "\uffff\ufffe",
}


def test_filing_answers_201_with_the_incident_and_its_place(world: World) -> None:
    answer = world.ada.files("Scooter 875643 is offline")
    assert answer.status == 201
    assert answer.headers["location"] == f"/api/incidents/{answer.incident['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store"
    assert world.ada.get(answer.headers["location"]).incident == answer.incident


def test_the_originals_five_fields_come_first_and_in_its_order(world: World) -> None:
    incident = world.ada.filed("Scooter 875643 is offline")
    assert list(incident.items())[:5] == [
        ("id", incident["id"]),
        ("description", "Scooter 875643 is offline"),
        ("status", "new"),
        ("source", "operator"),
        ("created_at", NOW),
    ]


def test_times_are_utc_with_milliseconds_and_z(world: World) -> None:
    world.clock.forward(microseconds=-167_912)
    incident = world.ada.filed(status="closed")
    for field in ("created_at", "updated_at", "resolved_at", "closed_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", incident[field]), field


IMPLIED: list[tuple[str, dict[str, Any]]] = [
    ("new", {}),
    ("open", {}),
    ("in_progress", {"acknowledged_at": NOW}),
    ("on_hold", {}),
    ("resolved", {"resolved_at": NOW}),
    ("closed", {"resolved_at": NOW, "closed_at": NOW}),
]


@pytest.mark.parametrize(("status", "times"), IMPLIED)
def test_an_incident_may_be_filed_with_any_status_which_sets_its_times(
    world: World, status: str, times: dict[str, Any]
) -> None:
    incident = world.ada.filed(status=status)
    assert incident["status"] == status
    by = {"acknowledged_by": incident["acknowledged_by"]} if "acknowledged_at" in times else {}
    assert {field: incident[field] for field in NO_TIMES} == NO_TIMES | times | by
    assert (incident["acknowledged_by"] is not None) == ("acknowledged_at" in times)


@pytest.mark.parametrize("name", ["probe", "acme"])
def test_a_program_that_files_as_in_progress_does_not_acknowledge(world: World, name: str) -> None:
    filed = getattr(world, name).filed(status="in_progress")
    assert (filed["status"], filed["acknowledged_at"]) == ("in_progress", None)


def test_filing_as_open_does_not_acknowledge(world: World) -> None:
    assert world.ada.filed(status="open")["acknowledged_at"] is None


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_any_text_comes_back_exactly_as_it_was_sent(world: World, text: str) -> None:
    incident = world.ada.filed(text)
    assert incident["description"] == text
    assert world.ada.sees(incident).incident["description"] == text
    assert world.ada.lists().incidents[0]["description"] == text


def test_an_operator_files_under_any_source_and_may_name_a_partner(world: World) -> None:
    for source in ("operator", "monitoring", "partner"):
        assert world.ada.filed(source=source, partner="acme")["partner"] == "acme"


def test_a_partner_that_is_not_known_is_422(world: World) -> None:
    answer = world.ada.files(partner="nobody")
    assert (answer.status, answer.fields) == (422, ["partner"])


def test_a_partners_incident_belongs_to_its_company(world: World) -> None:
    assert world.acme.filed()["partner"] == "acme"
    assert world.acme.files(partner="globex").problem == "not-allowed"
    assert world.acme.files(partner="acme").problem == "not-allowed"


def test_an_unknown_status_is_422_and_names_the_right_ones(world: World) -> None:
    answer = world.ada.files(status="broken")
    assert (answer.status, answer.fields) == (422, ["status"])
    for status in ("new", "open", "in_progress", "on_hold", "resolved", "closed"):
        assert status in answer.detail


def test_an_unknown_source_is_422_and_names_the_right_ones(world: World) -> None:
    answer = world.ada.files(source="police")
    assert (answer.status, answer.fields) == (422, ["source"])
    assert "operator, monitoring, partner" in answer.detail


@pytest.mark.parametrize("field", ["description", "source"])
def test_a_field_that_is_missing_is_named(world: World, field: str) -> None:
    draft = {"description": "it burns", "source": "operator"}
    del draft[field]
    answer = world.ada.post("/api/incidents", draft)
    assert (answer.status, answer.fields) == (422, [field])


def test_id_and_created_at_are_read_over_as_the_original_did(world: World) -> None:
    incident = world.ada.filed(id=99, created_at="1999-01-01T00:00:00Z")
    assert (incident["id"], incident["created_at"]) == (1, NOW)


def test_any_other_unknown_field_is_422_and_stores_nothing(world: World) -> None:
    answer = world.ada.files(priority="high")
    assert (answer.status, answer.fields) == (422, ["priority"])
    assert world.ada.lists().ids == []


def test_a_description_has_at_most_65536_characters(world: World) -> None:
    assert len(world.ada.filed("ж" * 65_536)["description"]) == 65_536
    answer = world.ada.files("ж" * 65_537)
    assert (answer.status, answer.fields) == (422, ["description"])
    assert "65,536" in answer.detail


def test_the_summary_is_the_descriptions_first_line_unless_given(world: World) -> None:
    assert world.ada.filed("Scooter offline\nit was fine yesterday")["summary"] == "Scooter offline"
    assert world.ada.filed("x" * 200)["summary"] == "x" * 139 + "…"
    assert world.ada.filed("Scooter offline", summary="875643")["summary"] == "875643"
    assert world.ada.files(summary="two\nlines").fields == ["summary"]
    assert world.ada.files(summary="x" * 141).fields == ["summary"]


def test_ids_ascend(world: World) -> None:
    assert [world.ada.filed()["id"] for _ in range(5)] == [1, 2, 3, 4, 5]


def test_what_was_filed_is_still_there_after_a_restart(world: World) -> None:
    incident = world.ada.filed()
    world.restarts()
    assert world.ada.sees(incident).incident == incident
