"""Behind PgBouncer in transaction mode: every transaction may meet another connection, and nothing may rely on one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import ledger, pooler
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ledger import PostgresDatabase
from tests.faults.pooler import Pooler
from tests.faults.server import Server, run, wait_until
from tests.postgres import Postgres
from tests.stage import miss

POOL = 3
ROUNDS = size(5, 100)


@pytest.fixture
def before(postgres: Postgres) -> Iterator[Pooler]:
    if pooler.PROGRAM is None:
        miss(pooler.INSTALL)
    with Pooler(postgres, pool=POOL) as found:
        yield found


def test_everything_works_behind_a_pooler(
    tmp_path: Path, postgres: Postgres, before: Pooler, database: str, figures: Figures
) -> None:
    """The migration at the start, writes and reads of two workers, a command beside them, a second start."""
    settings: dict[str, Any] = {"TOCSIN_DATABASE_URL": before.url(database), "TOCSIN_DATABASE_POOLER": "on"}
    with Server(tmp_path, TOCSIN_WORKERS=2, **settings) as server, server.client as client:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        with Crowd(server.port, clients=6) as crowd:
            for _ in range(ROUNDS):
                crowd.wait_for(30)
                assert client.ask("GET", "/api/incidents?status=active&limit=5").status == 200
                assert client.ask("GET", "/api/timeline?limit=5").status == 200
            made = run(tmp_path, "keys", "create", "--name", "beside", **settings, API_KEY=None)
            assert made.returncode == 0, made.stderr
        assert sum(writer.client.repeats for writer in crowd.writers) == 0
        backends, prepared = _connections(postgres, database), _prepared(postgres, settings["TOCSIN_DATABASE_URL"])
        assert "Traceback" not in server.said()
        server.kill_all()
        server.start()
        assert server.client.ask("GET", f"/api/incidents/{crowd.told[0].id}").status == 200
    ledger.check(PostgresDatabase(postgres, database), crowd)
    assert backends <= POOL
    assert prepared == 0
    figures("PgBouncer in transaction mode", f"{backends} connections for all; {crowd.figures()}; 0 lost, 0 double")


def _connections(postgres: Postgres, database: str) -> int:
    """How many the database has at the moment."""
    name = database.rpartition("/")[2]
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    return int(postgres.psql(count))


def _prepared(postgres: Postgres, url: str) -> int:
    """The most prepared statements that one of the pool's connections holds: they would pile up for ever."""
    count = [str(postgres.bin / "psql"), "-XAtqc", "SELECT count(*) FROM pg_prepared_statements", url]
    found = [subprocess.run(count, capture_output=True, text=True, timeout=10, check=True) for _ in range(3 * POOL)]
    return max(int(each.stdout) for each in found)
