"""A disk that fills up: payloads are no longer kept and the old ones go, while reports and incidents go on."""

import shutil
from typing import Any, NamedTuple

import pytest

from tests.world import World

MIB = 1024 * 1024

# The floor is SQLite's: PostgreSQL has its own disk, which Tocsin does not see.
pytestmark = pytest.mark.parametrize("world", ["sqlite"], indirect=True)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Disk:
    """The disk that Tocsin sees, and how often it looked."""

    def __init__(self) -> None:
        self.free = 1000
        self.looks = 0

    def __call__(self, _: Any) -> Usage:
        self.looks += 1
        return Usage(1000 * MIB, 0, self.free * MIB)


@pytest.fixture
def disk(world: World, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(shutil, "disk_usage", disk)
    world.restarts(free_space_floor=100)
    world.without_loop("forget old payloads")
    return disk


def kept(world: World) -> list[bool]:
    """Of each report of the machine, oldest first, whether its payload is kept."""
    reports = reversed(world.ada.log_of(world.generic.id).reports)
    return [world.admin.get(f"/api/reports/{each['id']}").json["raw"] is not None for each in reports]


def test_below_the_floor_no_payload_is_written_any_more_within_a_second(world: World, disk: Disk) -> None:
    machine = world.generic
    assert machine.says({"id": 1, "title": "before"}).status == 200
    disk.free = 99
    world.clock.forward(seconds=1)
    assert machine.says({"id": 2, "title": "full"}).status == 200
    assert kept(world) == [True, False]
    assert world.log.events("the disk is nearly full: raw payloads are not kept, and the old ones go; reports stay")
    disk.free = 101
    world.clock.forward(seconds=1)
    assert machine.says({"id": 3, "title": "room again"}).status == 200
    assert kept(world) == [True, False, True]


def test_the_disk_is_looked_at_once_a_second_at_most(world: World, disk: Disk) -> None:
    world.clock.forward(seconds=1)
    before = disk.looks
    for number in range(5):
        world.generic.says({"id": number, "title": "t"})
        world.probe.reports("own")
    assert disk.looks == before + 1


def test_a_full_disk_gets_rid_of_payloads_in_small_steps(world: World, disk: Disk) -> None:
    for _ in range(3):
        world.generic.says([{"id": number, "title": "t"} for number in range(90)])
    disk.free = 99
    before = disk.looks
    world.run(world.forget_payloads())
    assert not any(kept(world))
    assert disk.looks >= before + 3, "between two steps it is looked whether there is room by now"
    assert len(world.ada.lists().incidents) == 90
