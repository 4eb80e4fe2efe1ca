"""A connection that breaks at COMMIT: it is found out what was done, or said to be unknown; never lost, never double.

The clients of the first test send no Idempotency-Key by which a second try would be noticed: a 201 must be true.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ledger import PostgresDatabase
from tests.faults.proxy import Cut, Proxy
from tests.faults.server import Server, wait_until
from tests.postgres import Postgres

LOCK, IDLE = size(1.0, 5.0), size(2.0, 10.0)  # the long form has the time-outs of a real server
TIMES = size(1, 5)  # of each cut at a slow commit
SLACK = 2.0  # what a loaded machine may add
SECONDS_CUT = size(2.0, 60.0)
SLOW_COMMIT = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


class Scissors:
    """Cuts as it is told: `next` once, or at random with `chance`."""

    def __init__(self) -> None:
        self.next = Cut.NOT
        self.chance = 0.0

    def __call__(self) -> Cut:
        cut, self.next = self.next, Cut.NOT
        if random.random() < self.chance:
            return random.choice([Cut.BEFORE, Cut.AFTER])
        return cut


@pytest.fixture
def scissors() -> Scissors:
    return Scissors()


@pytest.fixture
def proxy(postgres: Postgres, scissors: Scissors) -> Iterator[Proxy]:
    with Proxy(postgres.port, scissors) as proxy:
        yield proxy


@pytest.fixture
def server(tmp_path: Path, postgres: Postgres, proxy: Proxy, database: str) -> Iterator[Server]:
    url = database.replace(f":{postgres.port}/", f":{proxy.port}/")
    limits = {"TOCSIN_LOCK_TIMEOUT": LOCK, "TOCSIN_IDLE_IN_TRANSACTION_TIMEOUT": IDLE}
    with Server(tmp_path, TOCSIN_DATABASE_URL=url, **limits) as server:
        yield server


@pytest.fixture
def register(postgres: Postgres, database: str) -> PostgresDatabase:
    return PostgresDatabase(postgres, database)


def count(register: PostgresDatabase, description: str) -> int:
    ((found,),) = register.rows(f"SELECT count(*) FROM incident WHERE description = '{description}'")
    return int(found)


def slow_down(register: PostgresDatabase, seconds: float) -> None:
    register.rows(SLOW_COMMIT.format(seconds=seconds))


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_cut_is_settled_behind_the_callers_back(
    cut: Cut, server: Server, scissors: Scissors, proxy: Proxy, register: PostgresDatabase
) -> None:
    with server.client as client:
        for number in range(5):
            scissors.next = cut
            assert client.file(f"{cut.name} {number}").status == 201
            assert count(register, f"{cut.name} {number}") == 1
    assert proxy.cuts == [cut] * 5


def test_cuts_at_random_lose_nothing(
    server: Server, scissors: Scissors, proxy: Proxy, register: PostgresDatabase, figures: Figures
) -> None:
    with Crowd(server.port) as crowd:
        crowd.wait_for(20)
        scissors.chance = 0.3
        time.sleep(SECONDS_CUT)
        scissors.chance = 0.0
    ledger.check(register, crowd)
    before = proxy.cuts.count(Cut.BEFORE)
    after = proxy.cuts.count(Cut.AFTER)
    assert before
    assert after
    told = f"{before} × before, {after} × after; {crowd.figures()}; 0 lost, 0 double"
    figures("the line is cut at COMMIT", told)


def test_a_slow_commit_whose_line_is_cut_is_waited_for(
    server: Server, scissors: Scissors, register: PostgresDatabase, figures: Figures
) -> None:
    """A look before the old backend has ended would see nothing, and the batch would be done twice."""
    slow_down(register, LOCK * 0.6)
    with server.client as client:
        for number in range(TIMES):
            scissors.next = Cut.AFTER
            assert client.file(f"slow {number}").status == 201
            assert count(register, f"slow {number}") == 1
    register.check_itself()
    figures(
        "the line is cut at a slow COMMIT",
        f"{TIMES} × {LOCK * 0.6:.1f} s; each waited for and answered 201, once there",
    )


def test_what_cannot_be_known_is_a_503_in_time(
    server: Server, scissors: Scissors, register: PostgresDatabase, figures: Figures
) -> None:
    """The COMMIT takes longer than we wait: 503 and nothing is run again. The caller's repeat finds the answer."""
    slow_down(register, LOCK + 1.5)
    scissors.next = Cut.AFTER
    with server.client as client:
        began = time.monotonic()
        answer = client.file("too slow", once="the-same")
        took = time.monotonic() - began
        assert answer.status == 503, answer
        assert answer.headers["retry-after"]
        assert LOCK * 0.9 < took < LOCK + SLACK
        register.rows("DROP TRIGGER slow_commit ON entry")  # waits for the old backend
        again = client.insist("POST", "/api/incidents", _draft("too slow"), "the-same")
        assert again.status == 201
        assert again.headers.get("idempotency-replayed") == "true"
    assert count(register, "too slow") == 1
    figures(
        "the line is cut at a COMMIT slower than we wait", f"503 after {took:.1f} s; the repeat is a replay, once there"
    )


def test_a_backend_that_waits_for_a_lost_commit_is_ended(
    server: Server, scissors: Scissors, register: PostgresDatabase
) -> None:
    """Its transaction holds the log's lock; PostgreSQL ends it by `idle_in_transaction_session_timeout`."""
    scissors.next = Cut.HELD
    with server.client as client:
        answer = client.file("held", once="the-same")
        assert answer.status == 503, answer
        assert not server.ready()
        again = client.insist("POST", "/api/incidents", _draft("held"), "the-same", within=20)
        assert again.status == 201
    assert count(register, "held") == 1
    wait_until(server.ready, 5, what="/readyz turns true again")


def _draft(description: str) -> dict[str, str]:
    return {"description": description, "source": "operator"}
