"""Many at the same moment: nothing is lost, nothing is done twice, nothing is mixed up."""

import asyncio
from functools import partial
from typing import Any

from tests.world import World
from tocsin.access.model import ENVIRONMENT
from tocsin.db.engine import Database
from tocsin.incidents import actions
from tocsin.timeline import log as timeline
from tocsin.timeline import store as entries_kept

STATUSES = ("open", "in_progress", "on_hold")


def test_thirty_two_hands_on_one_incident_leave_a_complete_record(world: World) -> None:
    incident = world.ada.filed()
    moves = [partial(world.ada.moves, incident, STATUSES[n % 3]) for n in range(16)]
    edits = [partial(world.bob.edits, incident, description=f"words {n}") for n in range(16)]
    answers = world.at_once([each for pair in zip(moves, edits, strict=True) for each in pair])
    assert {answer.status for answer in answers} == {200}

    described = [answer.incident["version"] for answer in answers[1::2]]
    assert len(set(described)) == 16, "every edit changed something, so each has a version of its own"

    entries = world.ada.timeline_of(incident, limit=1000).entries
    assert world.ada.sees(incident).incident["version"] == len(entries)
    assert [entry["kind"] for entry in entries].count("described") == 16
    status = None
    for entry in entries:
        if "status" in entry["changes"]:
            before, after = entry["changes"]["status"]
            assert before == status, "each move begins where the one before ended"
            status = after
    assert world.ada.sees(incident).incident["status"] == status


def test_thirty_two_hands_who_all_saw_the_same_version_and_one_wins(world: World) -> None:
    incident = world.ada.filed()
    calls = [partial(world.ada.edits, incident, description=f"words {n}", if_match='"1"') for n in range(32)]
    answers = world.at_once(calls)
    assert sorted(answer.status for answer in answers) == [200] + [412] * 31
    assert world.ada.sees(incident).incident["version"] == 2


def test_sixty_four_incidents_at_once_have_sixty_four_ids(world: World) -> None:
    answers = world.at_once([partial(world.ada.files, f"trouble {n}") for n in range(64)])
    assert [answer.incident["description"] for answer in answers] == [f"trouble {n}" for n in range(64)]
    ids = sorted(answer.incident["id"] for answer in answers)
    assert ids == sorted(world.ada.lists().ids)
    assert len(set(ids)) == 64
    assert len(world.ada.timeline().entries) == 64


def test_wishes_on_one_incident_that_wait_together_are_decided_in_turn(world: World) -> None:
    incident = world.ada.filed()
    answers = world.together(
        [
            lambda: world.ada.moves(incident, "in_progress"),
            lambda: world.bob.moves(incident, "new"),
            lambda: world.bob.moves(incident, "in_progress"),
            lambda: world.ada.moves(incident, "closed"),
            lambda: world.bob.moves(incident, "resolved"),
            lambda: world.ada.moves(999, "open"),
        ]
    )
    assert [answer.status for answer in answers] == [200, 409, 200, 200, 409, 404]
    assert [answer.incident["version"] for answer in answers if answer.status == 200] == [2, 2, 3]
    assert world.ada.timeline_of(incident).kinds == ["filed", "moved", "moved"]


def test_wishes_that_wait_together_are_told_in_the_order_in_which_they_were_decided(world: World) -> None:
    incident = world.ada.filed()
    world.together(
        [
            lambda: world.ada.edits(incident, description="It stands by the river", severity="high"),
            lambda: world.bob.moves(incident, "open"),
            lambda: world.bob.edits(incident, description="It lies in the river"),
            lambda: world.ada.acknowledges(incident),
        ]
    )
    entries = world.ada.timeline_of(incident).entries
    kinds = [entry["kind"] for entry in entries]
    assert kinds == ["filed", "described", "rated", "moved", "described", "acknowledged"]
    former = [each["id"] for each in world.ada.descriptions_of(incident).json["descriptions"]]
    assert [entry["refs"]["former_description"] for entry in entries if entry["kind"] == "described"] == former


def test_what_waits_when_the_server_stops_is_still_done(world: World) -> None:
    incident = world.ada.filed()
    world.together([lambda: world.ada.moves(incident, "open"), world.ada.files])
    world.restarts()
    assert world.ada.sees(incident).incident["status"] == "open"
    assert world.ada.lists().ids == [2, 1]


def test_entries_are_in_the_order_of_their_ids_for_who_follows(world: World) -> None:
    world.at_once([partial(world.ada.files_many, [{"description": "x", "source": "operator"}] * 5)] * 8)
    seen, after = [], ""
    while True:
        page = world.ada.timeline(limit=7, after=after)
        seen += [entry["id"] for entry in page.entries]
        if page.next is None:
            break
        after = page.next
    assert seen == sorted(seen)
    assert len(seen) == 40


async def files_from_another_process(world: World, count: int) -> list[int]:
    """What another worker, or a command beside the server, does to the same database."""
    db = Database(world.service.settings, log=timeline.append, clock=world.clock)
    db.start()
    wish = actions.File("from the other side", "operator", "new", None, None, ENVIRONMENT)
    try:
        made: list[Any] = [await db.write(actions.file, wish) for _ in range(count)]
        return [incident.id for incident in made]
    finally:
        await db.close()


def test_who_follows_while_two_processes_write_skips_no_entry(world: World) -> None:
    other = world.begin(files_from_another_process(world, 30))
    followed: list[int] = []

    def follow() -> list[int]:
        last: Any = ""
        while len(followed) < 70:
            page = world.vera.timeline(after=last).entries
            followed.extend(entry["incident_id"] for entry in page)
            last = page[-1]["id"] if page else last
        return []

    def write() -> list[int]:
        return [world.ada.filed()["id"] for _ in range(10)]

    mine = [number for numbers in world.at_once([follow, write, write, write, write]) for number in numbers]
    assert sorted(followed) == sorted(mine + other.result(30)) == sorted(world.ada.lists().ids)
    assert followed == [entry["incident_id"] for entry in world.vera.timeline().entries]


def test_two_processes_on_one_incident_leave_a_complete_record(world: World) -> None:
    incident = world.ada.filed()

    async def moves_from_another_process() -> None:
        db = Database(world.service.settings, log=timeline.append, clock=world.clock)
        db.start()
        try:
            for number in range(20):
                await db.write(actions.change, actions.Edit(incident["id"], None, f"theirs {number}", ENVIRONMENT))
        finally:
            await db.close()

    other = world.begin(moves_from_another_process())
    versions = [world.ada.edits(incident, description=f"ours {n}").incident["version"] for n in range(20)]
    other.result(30)
    assert len(set(versions)) == 20
    assert world.ada.sees(incident).incident["version"] == 41
    assert world.ada.timeline_of(incident).kinds == ["filed"] + ["described"] * 40
    assert len(world.ada.descriptions_of(incident).json["descriptions"]) == 40


def test_of_many_who_read_again_and_again_nobody_is_passed_over(world: World) -> None:
    # With the connections given to whoever asked next, some waited ten times as long as the others.
    behind: list[int] = []
    seen = [0] * 64

    async def reads(caller: int) -> None:
        for _ in range(20):
            await asyncio.sleep(0)  # another request
            await world.service.db.read(entries_kept.newest)
            seen[caller] += 1
            behind.append(seen[caller] - min(seen))

    async def all_at_once() -> None:
        await asyncio.gather(*(reads(caller) for caller in range(len(seen))))

    world.run(all_at_once())
    assert max(behind) <= 3
