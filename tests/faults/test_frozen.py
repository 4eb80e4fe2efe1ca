"""Something stands still and never says so: the database, a worker inside a batch, the server itself."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.frozen import held, stopped, wholly_frozen
from tests.faults.ground import HEALS, Ground
from tests.faults.ledger import PostgresDatabase, SqliteFile
from tests.faults.server import Server, run, wait_until
from tests.postgres import Postgres
from tocsin.db.dialect import LOG_LOCK

FROZEN = size(3.0, 30.0)
LOCK, STATEMENT, IDLE = size(1.0, 5.0), size(1.0, 3.0), size(2.0, 10.0)
DEADLINES = {
    "TOCSIN_LOCK_TIMEOUT": LOCK,
    "TOCSIN_STATEMENT_TIMEOUT": STATEMENT,
    "TOCSIN_IDLE_IN_TRANSACTION_TIMEOUT": IDLE,
}
REFUSED = 3 * (STATEMENT + 1) + 5  # after which a silent database counts as away, and then a connection's own time-out
WORKERS_FROZEN = size(1, 6)
# So that a worker is met there soon: the log's lock is held while this waits.
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.03); RETURN NULL; END $$;
CREATE TRIGGER dawdle AFTER INSERT ON entry FOR EACH STATEMENT EXECUTE FUNCTION dawdle();
"""
HOLDS_THE_LOG = f"""
SELECT l.pid, a.xact_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.state = 'idle in transaction' AND a.datname = current_database()
AND (l.classid::bigint << 32) + l.objid::bigint = {LOG_LOCK}
"""


def test_a_database_that_stands_still_is_waited_for_and_heals(
    ground: Ground, request: pytest.FixtureRequest, figures: Figures
) -> None:
    """PostgreSQL: all of its processes. SQLite: the file is locked by somebody who does not go on."""
    with ground.server(**DEADLINES) as server:
        ground.served(server)
        with Crowd(server.port) as crowd:
            crowd.wait_for(50)
            with _still(ground, request):
                said = _seen_meanwhile(ground, server, crowd)
            healed = crowd.wait_for(8, within=HEALS)
            wait_until(server.ready, HEALS, what="/readyz turns true again")
            crowd.wait_for(50)
        assert "Traceback" not in server.said()
        server.kill_all()
    ledger.check(ground.register, crowd)
    told = f"{FROZEN:.0f} s, {said}healed within {healed:.1f} s; {crowd.figures()}; 0 lost, 0 double"
    figures("the database stands still", told)


def _still(ground: Ground, request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    if ground.engine == "sqlite":
        return held(ground.home / "data" / "tocsin.db")
    return wholly_frozen(request.getfixturevalue("postgres"))


def _seen_meanwhile(ground: Ground, server: Server, crowd: Crowd) -> str:
    """It lives, on SQLite it can still be read; whoever waits for longer than the time-outs is told 503."""
    began, said = time.monotonic(), ""
    with server.client as client:
        assert client.ask("GET", "/livez").status == 200
        if ground.engine == "sqlite":
            assert client.ask("GET", "/api/incidents?limit=5").status == 200
        if FROZEN > REFUSED:
            said = f"503 after {crowd.wait_until_refused(REFUSED):.0f} s, "
            wait_until(lambda: not server.ready(), HEALS, what="/readyz turns false")
            assert client.ask("GET", "/livez").status == 200
    time.sleep(max(0.0, FROZEN - (time.monotonic() - began)))
    return said


def test_a_worker_that_stands_still_inside_a_batch_stops_the_others_for_a_moment(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """It holds the log's lock. PostgreSQL ends its transaction in time, and the other worker goes on."""
    register = PostgresDatabase(postgres, database)
    longest = 0.0
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database, **DEADLINES) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        register.rows(DAWDLE)
        with Crowd(server.port, timeout=IDLE + LOCK) as crowd:
            for _ in range(WORKERS_FROZEN):
                crowd.wait_for(30)
                with _inside_a_batch(server.workers, lambda: register.rows(HOLDS_THE_LOG)):
                    longest = max(longest, crowd.wait_for(20, within=IDLE + LOCK + HEALS))
                crowd.wait_for(8, within=IDLE + LOCK + HEALS)
            wait_until(server.ready, HEALS, what="/readyz says so")
            crowd.wait_for(50)
        assert "Traceback" not in server.said()
        server.kill_all()
    ledger.check(register, crowd)
    told = f"{WORKERS_FROZEN} ×, the other went on within {longest:.1f} s; {crowd.figures()}; 0 lost, 0 double"
    figures("one of two workers stands still inside a batch", told)


def test_a_server_that_stands_still_inside_a_batch_goes_on_where_it_was(tmp_path: Path, figures: Figures) -> None:
    """SQLite's one process. A command beside it is told, in a sentence, that the file is locked."""
    with Server(tmp_path) as server:
        file = tmp_path / "data" / "tocsin.db"
        with Crowd(server.port) as crowd:
            for _ in range(WORKERS_FROZEN):
                crowd.wait_for(30)
                with _inside_a_batch([server.pid], lambda: _locked(file)):
                    done = run(tmp_path, "keys", "create", "--name", "beside", API_KEY=None)
                    assert done.returncode == 1
                    assert "write lock" in done.stderr, done.stderr
                    assert len(done.stderr.splitlines()) == 1, done.stderr
                crowd.wait_for(8, within=HEALS)
        assert "Traceback" not in server.said()
        server.kill_all()
        ledger.check(SqliteFile(file), crowd)
    told = f"{WORKERS_FROZEN} × the only process; {crowd.figures()}; 0 lost, 0 double"
    figures("one of two workers stands still inside a batch", told)


@contextmanager
def _inside_a_batch(pids: Sequence[int], where: Callable[[], object]) -> Iterator[None]:
    """One of them is stopped, let go and stopped again until it is met there: nothing moves any more.

    By turns: after a while all the clients may be connected to one of two.
    """
    for number in range(400):
        with stopped([pids[number % len(pids)]]):
            time.sleep(0.05)  # what it had sent may still be on its way
            before = where()
            time.sleep(0.05)
            if before and where() == before:
                yield
                return
        time.sleep(random.uniform(0, 0.02))
    raise AssertionError(f"none of the processes {pids} was ever met inside a batch")


def _locked(file: Path) -> bool:
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False
