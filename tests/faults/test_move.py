"""`tocsin move` under kill -9: the same command resumes it, every row comes once, and nobody serves a part of it."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from tests.faults.conftest import Figures, Size
from tests.faults.crowd import Crowd
from tests.faults.ledger import INCIDENTS, PostgresDatabase, SqliteFile
from tests.faults.server import Server, run
from tests.faults.test_backup import LONGEST, Place, _fill
from tests.postgres import Postgres

EVERY_ENTRY = "SELECT id, kind, coalesce(incident_id, 0), actor_type, changes, refs FROM entry ORDER BY id"


def test_a_move_that_is_killed_again_and_again_brings_every_row_once(
    tmp_path: Path, postgres: Postgres, database: str, size: Size, figures: Figures
) -> None:
    place = Place.made(tmp_path / "home", None)
    rows = size(6000, 60_000)
    _fill(place, rows)
    kills, came, began = size(4, 25), list[float](), time.monotonic()
    target = PostgresDatabase(postgres, database)
    while len(came) < kills:
        if (said := _killed_while_moving(place, database)) is None:
            break
        came.append(said)
        if len(came) == 1:
            refused = run(tmp_path, "migrate", "--check", TOCSIN_DATABASE_URL=database)
            assert "is not finished" in refused.stderr
    _check_is_complete(place, database, finished=len(came) < kills)
    old = SqliteFile(place.home / "data" / "tocsin.db")
    for statement in (INCIDENTS, EVERY_ENTRY):
        assert target.rows(statement) == old.rows(statement)
    with Server(tmp_path, TOCSIN_DATABASE_URL=database) as server:
        assert server.client.file("after the move").incident["id"] == rows + 1
    figures(
        "kill -9 of tocsin move, resumed each time",
        f"{len(came)} × at {', '.join(f'{part:.0%}' for part in came)} of the rows; {rows} incidents and their entries "
        f"are the same on both sides; {time.monotonic() - began:.0f} s with all starts",
    )


def _killed_while_moving(place: Place, url: str) -> float | None:
    """Kills it at a random moment after its first lines; how far it was. None where it was done before."""
    process = place.begins("move", url)
    assert process.stderr is not None
    part, lines = 0.0, random.randrange(1, 3)
    for line in process.stderr:
        words = line.split()
        if words[:1] == ["moved"]:
            part = int(words[1].replace(",", "")) / int(words[3].replace(",", ""))
            lines -= 1
        if words[:1] == ["compared"]:
            part, lines = 1.0, 0
        if lines == 0:
            break
    time.sleep(random.uniform(0, 0.1))
    done = process.poll() is not None
    if not done:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=LONGEST)
    return None if done and process.returncode == 0 else part


def _check_is_complete(place: Place, url: str, *, finished: bool) -> None:
    """By the same command, unless a kill came too late."""
    process = place.begins("move", url)
    out, err = process.communicate(timeout=LONGEST)
    if finished or process.returncode:
        assert "A move that is complete needs nothing more" in err
    else:
        assert "Counts and checksums are the same on both sides." in out


def test_a_register_that_is_served_and_written_to_is_not_moved(
    tmp_path: Path, postgres: Postgres, database: str
) -> None:
    with Server(tmp_path) as server, Crowd(server.port, clients=4) as crowd:
        crowd.wait_for(40)
        refused = run(tmp_path, "move", database)
        assert refused.returncode == 1
        assert f"in use by another Tocsin, process {server.pid}." in refused.stderr
        crowd.wait_for(40)
    assert PostgresDatabase(postgres, database).rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [
        ["0"]
    ]
