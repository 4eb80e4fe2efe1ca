"""The stream: everything that happens, as it happens, once, in order, for whoever may see it."""

import asyncio
import contextlib

import pytest

from tests.lines import narrow, request
from tests.world import World
from tocsin.access.model import ENVIRONMENT, Principal
from tocsin.db.transaction import Reader
from tocsin.incidents.actions import File, file
from tocsin.live.hub import Hub
from tocsin.live.model import Filters
from tocsin.timeline.http import visible
from tocsin.timeline.model import Entry


def test_it_says_hello_and_then_what_happens(world: World) -> None:
    stream = world.ada.listens()
    assert stream.status == 200
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    hello = stream.next()
    assert (hello.name, hello.id) == ("hello", hello.said["after"])
    incident = world.ada.filed()
    world.ada.acknowledges(incident)
    entries = stream.entries(2)
    assert [entry["kind"] for entry in entries] == ["filed", "acknowledged"]
    assert entries == world.ada.timeline_of(incident).entries


def test_it_goes_on_where_it_ended_with_no_gap_and_no_double(world: World) -> None:
    stream = world.ada.listens()
    stream.next()
    first = world.ada.filed("first")
    (seen,) = stream.entries(1)
    stream.hangs_up()
    second = world.ada.filed("second")
    again = world.ada.listens(last=seen["id"])
    assert again.next().id == seen["id"]
    third = world.ada.filed("third")
    assert [entry["incident_id"] for entry in again.entries(2)] == [second["id"], third["id"]]
    assert first["id"] == seen["incident_id"]


def test_it_goes_on_across_a_restart(world: World) -> None:
    stream = world.ada.listens()
    stream.next()
    world.ada.filed("first")
    (seen,) = stream.entries(1)
    world.restarts()
    world.ada.filed("second")
    again = world.ada.listens(last=seen["id"])
    again.next()
    assert [entry["id"] for entry in again.entries(1)] == [seen["id"] + 1]


def test_after_0_is_everything_from_the_beginning(world: World) -> None:
    for number in range(3):
        world.ada.filed(f"number {number}")
    stream = world.admin.listens("/api/stream?after=0")
    stream.next()
    everything = world.admin.timeline().entries
    assert stream.entries(len(everything)) == everything


def test_a_place_beyond_the_end_waits_for_nothing_that_is_past(world: World) -> None:
    world.ada.filed()
    stream = world.ada.listens(last=10**6)
    stream.next()
    later = world.ada.filed("later")
    assert [entry["incident_id"] for entry in stream.entries(1)] == [later["id"]]


def test_filters_choose_by_status_source_and_incident(world: World) -> None:
    ada = world.ada
    mine = ada.filed()
    resolved = ada.listens("/api/stream?status=resolved,closed")
    of_one = ada.listens(f"/api/stream?incident={mine['id']}")
    machines = ada.listens("/api/stream?source=monitoring&status=active")
    for stream in (resolved, of_one, machines):
        stream.next()
    other = ada.filed("other", source="monitoring")
    ada.moves(mine, "resolved")
    assert [entry["incident_id"] for entry in resolved.entries(1)] == [mine["id"]]
    assert [entry["kind"] for entry in of_one.entries(1)] == ["moved"]
    assert [entry["incident_id"] for entry in machines.entries(1)] == [other["id"]]


def test_each_hears_of_what_it_may_see(world: World) -> None:
    cast = {who.name: who for who in (world.admin, world.vera, world.probe, world.acme, world.globex)}
    streams = {name: who.listens() for name, who in cast.items()}
    for stream in streams.values():
        stream.next()
    world.admin.makes_key("spare", "viewer")
    acmes = world.acme.filed("acme's")
    probes = world.probe.filed("probe's")
    globexs = world.globex.filed("globex's")
    said = {name: streams[name].entries(4 if name == "admin" else 3 if name == "vera" else 1) for name in cast}
    assert [entry["kind"] for entry in said["admin"]] == ["key_created", "filed", "filed", "filed"]
    assert [entry["incident_id"] for entry in said["vera"]] == [acmes["id"], probes["id"], globexs["id"]]
    assert [entry["incident_id"] for entry in said["probe"]] == [probes["id"]]
    assert [entry["incident_id"] for entry in said["globex"]] == [globexs["id"]]
    assert said["acme"] == world.acme.timeline_of(acmes).entries
    assert said["acme"][0]["actor"] == {"type": "key", "id": None, "name": None}


def test_a_revoked_key_s_stream_ends_and_says_why(world: World) -> None:
    made = world.admin.makes_key("spare", "operator").json
    stream = world.ada.with_key(made["secret"]).listens()
    stream.next()
    assert world.admin.ask("DELETE", f"/api/keys/{made['key']['id']}").status == 200
    bye = stream.next()
    assert (bye.name, bye.said) == ("bye", {"why": "the key is no longer good"})
    with pytest.raises(EOFError):
        stream.next()


def test_a_stream_ends_with_the_secret_that_opened_it(world: World) -> None:
    made = world.admin.makes_key("leaked", "operator").json
    path = f"/api/keys/{made['key']['id']}/rotate"
    leaked = world.ada.with_key(made["secret"]).listens()
    leaked.next()
    overlapping = world.admin.post(path, {"overlap_seconds": 60}).json["secret"]
    former, current = world.ada.with_key(made["secret"]).listens(), world.ada.with_key(overlapping).listens()
    former.next()
    current.next()
    world.clock.forward(seconds=60)
    for stream in (leaked, former):
        assert stream.next().said == {"why": "the key is no longer good"}
    assert world.ada.filed()["id"] == current.entries(1)[0]["incident_id"]
    world.admin.post(path, {"overlap_seconds": 0})
    assert current.next().said == {"why": "the key is no longer good"}


def files_many(world: World, count: int) -> None:
    for start in range(0, count, 1000):
        drafts = [{"description": f"number {n}", "source": "operator"} for n in range(start, min(count, start + 1000))]
        assert world.ada.files_many(drafts).status == 200


def test_a_storm_drops_nobody_who_reads(world: World) -> None:
    streams = [who.listens() for who in (world.ada, world.vera, world.admin)]
    for stream in streams:
        stream.next()
    before = world.admin.timeline().entries[-1]["id"]
    files_many(world, 2500)
    for stream in streams:
        assert [entry["id"] for entry in stream.entries(2500)] == list(range(before + 1, before + 2501))


def test_who_is_far_behind_goes_on_from_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.live.hub.KEPT", 10)
    monkeypatch.setattr("tocsin.live.hub.AT_ONCE", 7)
    behind, of_one = world.ada.listens("/api/stream?after=0"), world.ada.listens("/api/stream?incident=60")
    for stream in (behind, of_one):
        stream.next()
    files_many(world, 100)
    assert [entry["incident_id"] for entry in behind.entries(100)] == list(range(1, 101))
    assert [entry["incident_id"] for entry in of_one.entries(1)] == [60]
    world.ada.acknowledges(60)
    for stream in (behind, of_one):
        assert [entry["kind"] for entry in stream.entries(1)] == ["acknowledged"]


def test_others_have_their_turn_while_a_storm_is_handed_out_to_a_thousand(world: World) -> None:
    async def turns_of_the_loop() -> int:
        hub, turns = world.service.part(Hub), 0
        crowd = [await hub.join(ENVIRONMENT, Filters(incident_id=10**9), None) for _ in range(1000)]
        before = crowd[0].last
        drafts = [File(f"number {n}", "operator", "new", None, None, ENVIRONMENT) for n in range(500)]
        await world.service.db.write_many(file, drafts)
        while any(each.last < before + 500 for each in crowd):
            await asyncio.sleep(0)
            turns += any(each.last > before for each in crowd)
        for each in crowd:
            hub.leave(each)
        return turns

    assert world.run(turns_of_the_loop()) >= 40


def test_who_reads_nothing_is_cut_off_and_can_resume(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.live.http.PATIENCE", 0.0)
    line = narrow(world)
    line.sendall(request(world, "GET", "/api/stream"))
    hub = world.service.part(Hub)
    world.run(world.until(lambda: bool(hub._listeners)))
    while hub._listeners:
        files_many(world, 1000)
    with line, contextlib.suppress(ConnectionResetError):
        while line.recv(65536):
            pass
    assert "ASGI callable" not in world.log.text


def test_the_end_of_the_server_is_a_goodbye(world: World) -> None:
    stream = world.ada.listens()
    stream.next()
    world.service.stopping = True
    assert stream.next().said == {"why": "the server stops"}
    world.service.stopping = False


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=x", "after"),
        ("status=odd", "status"),
        ("source=odd", "source"),
        ("incident=0", "incident"),
        ("a=1", "a"),
    ],
)
def test_a_bad_question_is_refused(world: World, query: str, field: str) -> None:
    answer = world.ada.get(f"/api/stream?{query}")
    assert (answer.status, answer.fields) == (422, [field])


def test_a_bad_last_event_id_is_refused(world: World) -> None:
    answer = world.ada.ask("GET", "/api/stream", headers={"Last-Event-ID": "yesterday"})
    assert (answer.status, answer.fields) == (422, ["after"])


def test_a_long_poll_is_answered_when_something_happens(world: World) -> None:
    last = world.admin.timeline().entries[-1]["id"]
    waiting, filed = world.at_once(
        [lambda: world.ada.get(f"/api/timeline?after={last}&wait=30"), lambda: world.bob.files("now")]
    )
    assert [entry["incident_id"] for entry in waiting.entries] == [filed.incident["id"]]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After which entries long polls have looked into the log."""
    reads: list[int] = []

    def counted(reader: Reader, who: Principal, after: int, limit: int) -> list[Entry]:
        reads.append(after)
        return visible(reader, who, after, limit)

    monkeypatch.setattr("tocsin.timeline.http.visible", counted)
    return reads


def test_a_long_poll_ends_with_the_secret_that_began_it(world: World, reads: list[int]) -> None:
    made = world.admin.makes_key("leaked", "operator").json
    leaked = world.ada.with_key(made["secret"])
    world.ada.filed()
    last = world.admin.timeline().entries[-1]["id"]
    waiting = world.aside(lambda: leaked.get(f"/api/timeline?after={last}&wait=60"))
    world.run(world.until(lambda: last in reads))
    world.admin.post(f"/api/keys/{made['key']['id']}/rotate", {"overlap_seconds": 0})
    assert waiting.result(20).entries == []


def test_who_waits_reads_again_only_when_the_bell_rings(
    world: World, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.timeline.http.BREATH", 0.01)
    last = world.admin.timeline().entries[-1]["id"]
    reads.clear()
    assert world.ada.get(f"/api/timeline?after={last}&wait=1").entries == []
    assert len(reads) <= 2  # a bell that has never rung does not know yet where the log ends


def test_a_long_poll_without_news_is_an_empty_page(world: World) -> None:
    last = world.admin.timeline().entries[-1]["id"]
    assert world.ada.get(f"/api/timeline?after={last}&wait=1").entries == []
    assert world.ada.get(f"/api/timeline?after={last}&wait=").entries == []
    for bad in ("61", "-1", "x", "1.5"):
        assert world.ada.get(f"/api/timeline?wait={bad}").fields == ["wait"]
