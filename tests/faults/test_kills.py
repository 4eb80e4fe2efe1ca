"""kill -9 while eight clients write: nothing that was answered is lost, nothing is there twice."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.client import Client
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ledger import PostgresDatabase, Register, SqliteFile
from tests.faults.server import Server, run, wait_until
from tests.postgres import Postgres

KILLS = size(5, 200)
WRITES_BETWEEN = size(40, 100)
FIRST_STARTS = size(1, 20)


def test_sqlite_keeps_what_it_answered_through_kills(tmp_path: Path, figures: Figures) -> None:
    """One process: it is the parent and the worker."""
    server = Server(tmp_path)
    told = _kill_and_count(server, SqliteFile(tmp_path / "data" / "tocsin.db"), ("parent", "group"))
    figures("kill -9 of the server while 8 clients write", told)


def test_postgresql_keeps_what_it_answered_through_kills(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """A parent with two workers."""
    server = Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database)
    told = _kill_and_count(server, PostgresDatabase(postgres, database), ("parent", "worker", "group"))
    figures("kill -9 of the server while 8 clients write", told)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_kill_at_the_first_start_leaves_nothing_half(engine: str, tmp_path: Path, database: str) -> None:
    """While the schema and the first key are made: the next start begins anew or goes on from there."""
    server = Server(tmp_path, API_KEY=None, TOCSIN_DATABASE_URL=database if engine == "postgresql" else None)
    try:
        for _ in range(FIRST_STARTS):
            server.launch()
            time.sleep(random.uniform(0.4, 1.2))
            server.kill_all()
        server.start()
        made = run(tmp_path, "keys", "create", "--name", "another", **server.settings)
        with Client(server.port, key=made.stdout.strip()) as client:
            assert client.file("all is well").status == 201
    finally:
        server.kill_all()


def _kill_and_count(server: Server, register: Register, victims: tuple[str, ...]) -> str:
    done: Counter[str] = Counter()
    began = time.monotonic()
    with server:
        with Crowd(server.port) as crowd:
            for number in range(KILLS):
                crowd.wait_for(WRITES_BETWEEN)
                time.sleep(random.uniform(0, 0.02))  # anywhere in a batch
                victim = victims[number % len(victims)]
                _kill(server, victim)
                done[victim] += 1
            crowd.wait_for(WRITES_BETWEEN)
        server.kill_all()
        ledger.check(register, crowd)
    killed = ", ".join(f"{count} × {victim}" for victim, count in done.items())
    seconds = time.monotonic() - began
    return f"{killed} in {seconds:.0f} s; {crowd.figures()}; 0 lost, 0 double"


def _kill(server: Server, victim: str) -> None:
    """And start it again, unless its parent must do that."""
    if victim == "worker":
        server.kill_worker()
        wait_until(lambda: len(server.workers) == 2, what="a killed worker is started again")
        return
    if victim == "parent":
        server.kill_parent()
    else:
        server.kill_all()
    server.start()
