"""Backup and restore under load and under kill -9: what was answered before is in it, and nothing is ever half."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Figures, Size
from tests.faults.crowd import Crowd, Told
from tests.faults.ledger import ENTRIES, INCIDENTS, PostgresDatabase, Register, SqliteFile
from tests.faults.server import SERVE, Server, environment
from tests.postgres import Postgres

COMMAND = SERVE[:-1]
LONGEST = 300.0  # seconds: a bound that is met by a hang alone
BATCH = 500


@dataclass
class Place:
    """A register's home and settings, served or not."""

    home: Path
    postgres: Postgres | None
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def made(cls, home: Path, postgres: Postgres | None) -> Place:
        home.mkdir()
        url = {"TOCSIN_DATABASE_URL": postgres.create_database()} if postgres is not None else {}
        return cls(home, postgres, url)

    @property
    def register(self) -> Register:
        if self.postgres is None:
            return SqliteFile(self.home / "data" / "tocsin.db")
        return PostgresDatabase(self.postgres, self.settings["TOCSIN_DATABASE_URL"])

    def server(self) -> Server:
        return Server(self.home, **self.settings)

    def begins(self, *words: object) -> subprocess.Popen[str]:
        """A command of `tocsin`, with PostgreSQL's programs where the tests have theirs."""
        path = f"{self.postgres.bin}:{os.environ['PATH']}" if self.postgres is not None else os.environ["PATH"]
        how: dict[str, Any] = {"cwd": self.home, "env": environment(**self.settings) | {"PATH": path}, "text": True}
        whole = [*COMMAND, *map(str, words)]
        # A group of its own: a kill takes the programs that it has started along.
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0, **how)

    def does(self, *words: object) -> str:
        process = self.begins(*words)
        out, err = process.communicate(timeout=LONGEST)
        assert process.returncode == 0, err
        return out.strip()


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, Place]:
    """Two registers of the same kind, still empty."""
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    if postgres is not None:
        postgres.start()
    return Place.made(tmp_path / "one", postgres), Place.made(tmp_path / "other", postgres)


def test_a_backup_beside_eight_writers_holds_everything_that_was_answered_before(
    places: tuple[Place, Place], size: Size, figures: Figures
) -> None:
    here, there = places
    with here.server() as server, Crowd(server.port) as crowd:
        crowd.wait_for(size(200, 5000))
        before = {told.id: len(told.statuses) for told in crowd.told}
        writes, began = crowd.writes, time.monotonic()
        file = here.home / here.does("backup", "whole")
        seconds, meanwhile = time.monotonic() - began, crowd.writes - writes
        crowd.wait_for(50)
    there.does("restore", file)
    there.register.check_itself()
    held = _check_is_one_moment(there.register, crowd.told, before)
    with there.server() as server:
        _check_is_served(server, held)
    figures(
        "a backup beside 8 clients that write, restored and served",
        f"{meanwhile} writes answered in the {seconds:.1f} s of the backup, none refused; "
        f"all {len(before)} incidents of before are in it, {len(held)} in all",
    )


def _check_is_one_moment(register: Register, told: list[Told], before: dict[int, int]) -> dict[int, str]:
    """Each incident is as its client was told it was at one time, and no older than at the backup's beginning."""
    said, held = {each.id: each for each in told}, {}
    for id, description, status, version in register.rows(INCIDENTS):
        each = said[int(id)]
        assert (description, status) == (each.description, each.statuses[int(version) - 1])
        assert int(version) >= before.get(int(id), 1), "a change that was answered before is missing"
        held[int(id)] = status
    assert set(before) <= set(held), "incidents that were answered before are missing"
    newest: dict[int, str] = {}
    for _, incident_id, _, changes in register.rows(ENTRIES):
        newest[int(incident_id)] = json.loads(changes)["status"][1]
    assert newest == held, "the timeline is of another moment than the incidents"
    return held


def _check_is_served(server: Server, held: dict[int, str]) -> None:
    with server.client as client:
        for id in random.sample(sorted(held), min(20, len(held))):
            assert client.ask("GET", f"/api/incidents/{id}").incident["status"] == held[id]
        assert client.file("after the restore").incident["id"] > max(held)


def test_a_killed_backup_is_not_there_and_a_killed_restore_leaves_the_old_or_the_new(
    places: tuple[Place, Place], size: Size, figures: Figures
) -> None:
    here, there = places
    old, new = size(1, 10) * BATCH, size(6, 60) * BATCH
    _fill(there, old)
    _fill(here, new)
    kills, restored = size(4, 40), 0
    usual = _seconds(here, "backup", "first")
    for number in range(kills):
        _killed(here, usual, "backup", f"{number}")
        made = here.home / f"{number}"
        if made.exists():  # it was quicker than the kill
            Place.made(there.home / f"{number}", here.postgres).does("restore", made)
    files, holds = {old: there.home / there.does("backup", "kept"), new: here.home / "first"}, old
    usual = _seconds(Place.made(there.home / "trial", here.postgres), "restore", files[new])
    for _ in range(kills):
        (other,) = files.keys() - {holds}
        _killed(there, usual, "restore", "--replace", files[other])
        there.register.check_itself()
        ((count,),) = there.register.rows("SELECT count(*) FROM incident")
        holds = int(count)
        assert holds in files
        restored += holds == other
    with there.server() as server:
        assert server.client.file("after it").status == 201
    figures(
        "kill -9 of tocsin backup and tocsin restore --replace",
        f"{kills} × each at any moment: {kills - restored} × the register of before, {restored} × the restored one, "
        "never a half; no half backup under its name",
    )


def _fill(place: Place, count: int) -> None:
    with place.server() as server, server.client as client:
        for number in range(0, count, BATCH):
            drafts = [{"description": f"{number + n} " + "x" * 500, "source": "operator"} for n in range(BATCH)]
            assert client.ask("POST", "/api/incidents/batch", {"incidents": drafts}).status == 200


def _seconds(place: Place, *words: object) -> float:
    """How long a command takes that nobody kills."""
    began = time.monotonic()
    place.does(*words)
    return time.monotonic() - began


def _killed(place: Place, usual: float, *words: object) -> None:
    """Most of a command's time is its start: nothing is at stake before, so the kill comes in its last two thirds."""
    process = place.begins(*words)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=random.uniform(usual / 3, usual))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=LONGEST)
