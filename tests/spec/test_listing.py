"""The list: `GET /api/incidents`."""

from urllib.parse import quote

import pytest

from tests.world import World
from tocsin.kit import paging

STATUSES = ["new", "open", "in_progress", "on_hold", "resolved", "closed"]


@pytest.fixture
def one_of_each(world: World) -> dict[str, int]:
    """An incident of each status, a minute apart."""
    filed = {}
    for status in STATUSES:
        filed[status] = world.ada.filed(status=status)["id"]
        world.clock.forward(minutes=1)
    return filed


def statuses(answer_incidents: list[dict[str, str]]) -> list[str]:
    return [incident["status"] for incident in answer_incidents]


def test_an_empty_register_is_an_empty_list(world: World) -> None:
    answer = world.ada.lists()
    assert (answer.status, answer.json) == (200, {"incidents": [], "next": None})


@pytest.mark.parametrize("query", ["", "status=", "status=&status=", "status=,", "source=&created_after="])
def test_without_a_status_it_is_everything_newest_first(world: World, one_of_each: dict[str, int], query: str) -> None:
    assert world.ada.lists(query).ids == [6, 5, 4, 3, 2, 1]


def test_incidents_of_the_same_moment_stand_newest_id_first(world: World) -> None:
    for _ in range(3):
        world.ada.filed()
    assert world.ada.lists().ids == [3, 2, 1]


@pytest.mark.parametrize("status", STATUSES)
def test_by_one_status(world: World, one_of_each: dict[str, int], status: str) -> None:
    assert world.ada.lists(status=status).ids == [one_of_each[status]]


@pytest.mark.parametrize(
    "query",
    [
        "status=new,closed",
        "status=new&status=closed",
        "status=closed,new",
        "status=new,new,closed",
        "status=new,%20closed",
    ],
)
def test_by_several_statuses_repeated_or_by_commas(world: World, one_of_each: dict[str, int], query: str) -> None:
    assert statuses(world.ada.lists(query).incidents) == ["closed", "new"]


def test_active_is_all_but_resolved_and_closed(world: World, one_of_each: dict[str, int]) -> None:
    assert statuses(world.ada.lists(status="active").incidents) == ["on_hold", "in_progress", "open", "new"]
    assert len(world.ada.lists(status="active,closed").ids) == 5
    assert len(world.ada.lists(status="active,closed,resolved").ids) == 6


@pytest.mark.parametrize("query", ["status=opne", "status=NEW", "status=new,opne", "status=%00", "status=new;closed"])
def test_an_unknown_status_is_422_and_names_the_right_ones(world: World, query: str) -> None:
    answer = world.ada.lists(query)
    assert (answer.status, answer.fields) == (422, ["status"])
    for status in [*STATUSES, "active"]:
        assert status in answer.detail


def test_by_source(world: World) -> None:
    called, alerted, reported = world.ada.filed()["id"], world.probe.filed()["id"], world.acme.filed()["id"]
    assert world.ada.lists(source="operator").ids == [called]
    assert world.ada.lists(source="monitoring,partner").ids == [reported, alerted]
    assert world.ada.lists(source="partner", status="new").ids == [reported]
    assert world.ada.lists(source="partner", status="closed").ids == []
    answer = world.ada.lists(source="police")
    assert (answer.status, answer.fields) == (422, ["source"])


def test_by_time_from_included_until_excluded(world: World, one_of_each: dict[str, int]) -> None:
    second = world.ada.sees(2).incident["created_at"]
    assert second == "2026-11-23T08:16:30.167Z"
    # Milliseconds are shown, microseconds are kept: the time as it is shown lies before the incident.
    assert world.ada.lists(created_after=second).ids == [6, 5, 4, 3, 2]
    assert world.ada.lists(created_after="2026-11-23T08:16:30.167912Z").ids == [6, 5, 4, 3, 2]
    assert world.ada.lists(created_after="2026-11-23T08:16:30.167913Z").ids == [6, 5, 4, 3]
    assert world.ada.lists(created_before="2026-11-23T08:16:30.167912Z").ids == [1]
    between = {"created_after": "2026-11-23T08:16:00Z", "created_before": "2026-11-23T08:18:00Z"}
    assert world.ada.lists(**between).ids == [3, 2]


@pytest.mark.parametrize(
    "time", ["2026-11-23", "2026-11-23T11:16:00+03:00", "2026-11-23T11:16:00%2B03:00", "2026-11-23T08:16:00.000Z"]
)
def test_a_time_may_be_a_date_or_have_another_zone(world: World, one_of_each: dict[str, int], time: str) -> None:
    found = world.ada.lists(f"created_after={time}").ids
    assert found == ([6, 5, 4, 3, 2, 1] if len(time) == 10 else [6, 5, 4, 3, 2])


@pytest.mark.parametrize("time", ["yesterday", "2026-11-23T08:16:00", "2026-13-01", "1e9", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_a_time_that_is_none_is_422(world: World, name: str, time: str) -> None:
    answer = world.ada.lists(f"{name}={quote(time)}")
    assert (answer.status, answer.fields) == (422, [name])


def test_a_page_has_200_unless_asked_and_1000_at_most(world: World) -> None:
    world.ada.files_many([{"description": "", "source": "operator"}] * 1000)
    world.ada.filed()
    assert len(world.ada.lists().ids) == 200
    assert len(world.ada.lists(limit=1000).ids) == 1000
    assert len(world.ada.lists(limit=7).ids) == 7


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "1.5", "٣", "1e2", "9" * 5000])
def test_a_wrong_limit_is_422(world: World, limit: str) -> None:
    answer = world.ada.lists(limit=limit)
    assert (answer.status, answer.fields) == (422, ["limit"])


@pytest.mark.parametrize("query", ["", "status=new", "status=active", "source=operator,monitoring"])
def test_a_walk_by_cursor_sees_each_incident_once(world: World, query: str) -> None:
    for number in range(10):
        world.ada.filed()
        world.clock.forward(seconds=number % 3)  # some at the same moment
    seen, cursor = [], ""
    while True:
        page = world.ada.lists(f"{query}&limit=3&cursor={cursor}")
        seen += page.ids
        if page.next is None:
            break
        cursor = page.next
    assert seen == list(range(10, 0, -1))


def test_what_is_filed_during_a_walk_does_not_disturb_it(world: World) -> None:
    for _ in range(4):
        world.ada.filed()
    first = world.ada.lists(limit=2)
    world.ada.filed()
    assert first.ids + world.ada.lists(limit=2, cursor=first.next).ids == [4, 3, 2, 1]


def test_the_last_page_has_no_next(world: World) -> None:
    for _ in range(4):
        world.ada.filed()
    first = world.ada.lists(limit=2)
    assert first.next is not None
    last = world.ada.lists(limit=2, cursor=first.next)
    assert (last.next, last.headers["link"]) == (None, None)


def test_link_next_leads_to_the_next_page_with_the_same_filters(world: World) -> None:
    for _ in range(5):
        world.ada.filed()
    first = world.ada.lists("status=new,open&status=closed&limit=2")
    address, _, relation = first.headers["link"].partition("; ")
    assert relation == 'rel="next"'
    assert world.ada.get(address.strip("<>")).ids == [3, 2]
    second = world.ada.get(address.strip("<>")).headers["link"].partition("; ")[0]
    assert world.ada.get(second.strip("<>")).ids == [1]


@pytest.mark.parametrize(
    "cursor", ["x", "MQ", "====", "%00", "MS4x.", "LTE", "é", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5LjE", "a" * 3000]
)
def test_a_cursor_that_is_none_is_422(world: World, cursor: str) -> None:
    answer = world.ada.lists(cursor=cursor)
    assert (answer.status, answer.fields) == (422, ["cursor"])


def test_an_unknown_query_parameter_is_422_and_names_the_right_ones(world: World) -> None:
    answer = world.ada.lists(stauts="new")
    assert (answer.status, answer.fields) == (422, ["stauts"])
    assert "status" in answer.detail


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"status={number}" for number in range(200)),
        "&".join(["status=new"] * 101),
        "status=%FF%FE",
        "created_after=%00",
        "limit=%F0%9F%94%A5",
        "=1",
        "%00=1",
        "cursor=" + paging.cursor(-(2**63) + 1, 1),
        "cursor=" + paging.cursor(2**62, 2**62),
    ],
)
def test_an_odd_query_is_422(world: World, query: str) -> None:
    assert world.ada.lists(query).problem == "invalid"
    assert world.log.events("a request failed") == []


@pytest.mark.parametrize(
    "query", ["&&&", "status", "created_after=0001-01-01", "created_before=9999-12-31", "limit=7&limit=8"]
)
def test_a_query_may_look_unusual(world: World, query: str) -> None:
    assert world.ada.lists(query).ids == []


def test_a_body_of_braces_does_not_disturb_a_list(world: World) -> None:
    incident = world.ada.filed()
    assert world.ada.ask("GET", "/api/incidents/", {}).ids == [incident["id"]]


def test_viewers_and_operators_see_all(world: World) -> None:
    filed = [person.filed()["id"] for person in (world.ada, world.bob, world.probe, world.acme, world.globex)]
    for person in (world.admin, world.ada, world.vera):
        assert person.lists().ids == filed[::-1]


def test_a_monitoring_key_sees_what_it_filed_itself(world: World) -> None:
    other = world.newcomer("monitoring", "another probe")
    world.ada.filed(source="monitoring")
    mine, theirs = world.probe.filed()["id"], other.filed()["id"]
    assert world.probe.lists().ids == [mine]
    assert other.lists(status="active").ids == [theirs]


def test_a_partner_sees_what_is_its_companys_whichever_key_it_has(world: World) -> None:
    colleague = world.newcomer("partner", "acme at night", partner="acme")
    mine, named = world.acme.filed()["id"], world.ada.filed(partner="acme")["id"]
    world.globex.filed()
    world.ada.filed(source="partner")
    assert world.acme.lists().ids == colleague.lists().ids == [named, mine]


def test_a_partner_reads_its_own_words_and_never_anothers(world: World) -> None:
    named = world.ada.filed("The customer says that Globex is late again", partner="acme", summary="a secret")
    seen = world.acme.sees(named).incident
    assert (seen["description"], seen["summary"]) == ("", "")
    mine = world.acme.filed("Scooter 12")
    world.ada.edits(mine, description="Scooter 12, and the driver was drunk")
    assert world.acme.sees(mine).incident["description"] == "Scooter 12"
    assert b"drunk" not in world.acme.lists().body
    assert b"secret" not in world.acme.lists().body
