"""kill -9 while eight clients write: nothing that was answered is lost, nothing is there twice.

`TOCSIN_KILLS=20` is the long form of it.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.client import Client
from tests.faults.conftest import Say
from tests.faults.crowd import Crowd
from tests.faults.ledger import PostgresDatabase, Register, SqliteFile
from tests.faults.server import Server, run, wait_until
from tests.postgres import Postgres

KILLS = int(os.environ.get("TOCSIN_KILLS", "5"))
WRITES_BETWEEN = 40
FIRST_STARTS = KILLS // 4


def test_sqlite_keeps_what_it_answered_through_kills(tmp_path: Path, say: Say) -> None:
    """One process: it is the parent and the worker."""
    server = Server(tmp_path)
    _kill_and_count(server, SqliteFile(tmp_path / "data" / "tocsin.db"), ("parent", "group"), say)


def test_postgresql_keeps_what_it_answered_through_kills(
    tmp_path: Path, postgres: Postgres, database: str, say: Say
) -> None:
    """A parent with two workers."""
    server = Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database)
    _kill_and_count(server, PostgresDatabase(postgres, database), ("parent", "worker", "group"), say)


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


def _kill_and_count(server: Server, register: Register, victims: tuple[str, ...], say: Say) -> None:
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
    say(f"{type(register).__name__}: kill -9 {killed}; {crowd.figures()}; 0 lost, 0 double; {seconds:.1f} s")


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
