"""PostgreSQL goes away and comes back: a sentence at the start, a 503 later, and nobody has to restart Tocsin."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.client import check_refusal
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.frozen import frozen
from tests.faults.ground import HEALS
from tests.faults.ledger import PostgresDatabase
from tests.faults.server import Server, run, wait_until
from tests.postgres import Postgres, _free_port

KILLS = size(2, 30)
ABSENCES = size(1, 10)
AWAY = 0.5  # seconds between a kill and the next start


def test_a_database_that_is_away_stops_the_start(tmp_path: Path) -> None:
    """The sentence shows where it was looked for, without the password."""
    url = f"postgresql://me:hidden@127.0.0.1:{_free_port()}/nothing"
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=url, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert done.stderr.startswith(f"tocsin: {url.replace('hidden', '***')} cannot be used: "), done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [(("postgres:", "nobody:"), "password authentication failed"), (("/tocsin_", "/none_"), "does not exist")],
)
def test_a_database_that_lets_nobody_in_stops_the_start(
    tmp_path: Path, database: str, change: tuple[str, str], said: str
) -> None:
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=database.replace(*change), TOCSIN_PORT=0)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_role_that_may_make_no_tables_stops_the_start(tmp_path: Path, postgres: Postgres, database: str) -> None:
    """What happens to most people at first since PostgreSQL 15."""
    name = database.rpartition("/")[2]
    postgres.psql("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest'")
    url = f"postgresql://guest:guest@127.0.0.1:{postgres.port}/{name}"
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=url, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert "cannot be used: permission denied for schema public" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_is_read_only_stops_the_start(tmp_path: Path, postgres: Postgres, database: str) -> None:
    """A standby, for example."""
    with Server(tmp_path, TOCSIN_DATABASE_URL=database):
        pass
    postgres.psql(f'ALTER DATABASE "{database.rpartition("/")[2]}" SET default_transaction_read_only = on')
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=database, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert "read-only transaction" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_goes_away_is_a_503_and_heals(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    slowest = 0.0
    with Server(tmp_path, TOCSIN_DATABASE_URL=database) as server:
        for number in range(ABSENCES):
            slowest = max(slowest, _goes_and_comes_back(server, postgres, f"away-{number}"))
        assert "Traceback" not in server.said()
    register = PostgresDatabase(postgres, database)
    assert register.rows("SELECT count(*) FROM incident") == [[str(2 * ABSENCES)]]
    register.check_itself()
    told = f"{ABSENCES} ×; 503 within 3 s, healed within {slowest:.1f} s; 0 lost, 0 double"
    figures("the database is away and comes back", told)


def _goes_and_comes_back(server: Server, postgres: Postgres, once: str) -> float:
    """Seconds until it was healed."""
    with server.client as client:
        before = client.file(f"before {once}").incident
        postgres.kill()
        began = time.monotonic()
        for answer in (client.file(once, once=once), client.ask("GET", "/api/incidents")):
            check_refusal(answer)
        assert time.monotonic() - began < 3
        wait_until(lambda: not server.ready(), 5, what="/readyz turns false")
        assert client.ask("GET", "/livez").status == 200
        postgres.start()
        healed = wait_until(server.ready, HEALS, what="/readyz turns true again by itself")
        assert client.file(once, once=once).status == 201
        assert client.ask("GET", f"/api/incidents/{before['id']}").incident == before
    return healed


def test_a_connection_that_falls_silent_is_given_up(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """Frozen backends stand for a firewall that forgot the connection: no error ever comes. Others take their place."""
    name = database.rpartition("/")[2]
    with Server(tmp_path, TOCSIN_DATABASE_URL=database, TOCSIN_STATEMENT_TIMEOUT=0.2) as server:
        with server.client as client, frozen(postgres, name, lambda: client.file("before").status == 201):
            began = time.monotonic()
            answer = client.ask("GET", "/api/incidents")
            assert answer.status == 200, answer
            assert client.file("silent").status == 201
            took = time.monotonic() - began
            assert took < 8
        assert "Traceback" not in server.said()
    figures(
        "a connection to the database falls silent", f"given up, and both asked again elsewhere within {took:.1f} s"
    )


def test_postgresql_is_killed_while_eight_clients_write(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """Its postmaster, by SIGKILL, with two workers before it."""
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        with Crowd(server.port) as crowd:
            for _ in range(KILLS):
                crowd.wait_for(60)
                postgres.kill()
                time.sleep(AWAY)
                postgres.start()
            crowd.wait_for(60)
        assert len(server.workers) == 2
        assert "Traceback" not in server.said()
        ledger.check(PostgresDatabase(postgres, database), crowd)
    figures("kill -9 of PostgreSQL's postmaster", f"{KILLS} ×; {crowd.figures()}; 0 lost, 0 double")


def test_a_database_that_can_only_be_read_is_a_503_and_heals(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """As a standby is, or a server whose administrator has stopped all writes."""
    slowest = 0.0
    register = PostgresDatabase(postgres, database)
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        with Crowd(server.port) as crowd:
            for _ in range(ABSENCES):
                crowd.wait_for(20)
                with _read_only(postgres):
                    crowd.wait_until_refused()
                    wait_until(lambda: not server.ready(), HEALS, what="/readyz turns false")
                    with server.client as client:
                        assert client.ask("GET", f"/api/incidents/{crowd.told[0].id}").status == 200
                slowest = max(slowest, crowd.wait_for(1, within=HEALS))
                wait_until(server.ready, HEALS, what="/readyz turns true again")
        assert "Traceback" not in server.said()
        server.kill_all()
    ledger.check(register, crowd)
    told = f"{ABSENCES} ×, reads served, healed within {slowest:.1f} s; {crowd.figures()}; 0 lost, 0 double"
    figures("the database can only be read", told)


@contextmanager
def _read_only(postgres: Postgres) -> Iterator[None]:
    """The whole server, for those who are connected too."""
    postgres.psql("ALTER SYSTEM SET default_transaction_read_only = on")
    postgres.psql("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        again = "SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only"
        postgres.psql(again)
        postgres.psql("SELECT pg_reload_conf()")
