"""Several writers at once: what PostgreSQL refuses for a race's sake is done again, and the log keeps its order."""

import random
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.faults import ledger
from tests.faults.client import Answer, Client
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ledger import PostgresDatabase
from tests.faults.server import Server, wait_until
from tests.postgres import Postgres

SECONDS = size(2.0, 30.0)
ROUNDS = size(5, 100)
# For each statement, not for each row: a batch is one statement, and it is batches that fail at this rate.
MOODY = """
CREATE FUNCTION moody() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  IF random() < 0.05 THEN RAISE EXCEPTION 'not today' USING ERRCODE = '{code}'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER moody_incident AFTER INSERT OR UPDATE ON incident FOR EACH STATEMENT EXECUTE FUNCTION moody();
CREATE CONSTRAINT TRIGGER moody_commit AFTER INSERT OR UPDATE ON last_batch DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION moody();
"""


def test_serialization_failures_are_done_again(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """One statement in twenty fails with 40001, some at the COMMIT: no client hears of it."""
    register = PostgresDatabase(postgres, database)
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        register.rows(MOODY.format(code="40001"))
        with Crowd(server.port) as crowd:
            time.sleep(SECONDS)
        again = server.said().count("a batch is run again")
    ledger.check(register, crowd)
    assert again
    assert sum(writer.client.repeats for writer in crowd.writers) == 0
    told = f"{again} batches run again, no client heard of it; {crowd.figures()}; 0 lost, 0 double"
    figures("1 statement in 20 fails with 40001", told)


def test_the_same_key_at_both_workers_is_one_write(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """Eight callers send the same six requests, each in an order of its own: one does it, the others hear of it."""
    register = PostgresDatabase(postgres, database)
    heard: dict[str, set[int]] = defaultdict(set)
    failed: list[Answer] = []

    def ask(order: list[str]) -> None:
        with server.client as client:
            for once in order:
                answer = client.file(once, once)
                if answer.status == 201:
                    heard[once].add(answer.incident["id"])
                else:
                    failed.append(answer)

    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        for number in range(ROUNDS):
            keys = [f"{number}-{key}" for key in range(6)]
            callers = [threading.Thread(target=ask, args=(random.sample(keys, 6),)) for _ in range(8)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(20)
        assert "deadlock" not in server.said()
    assert failed == []
    assert [len(ids) for ids in heard.values()] == [1] * 6 * ROUNDS
    assert register.rows("SELECT count(*) FROM incident") == [[str(6 * ROUNDS)]]
    told = f"{8 * 6 * ROUNDS:,} requests of 8 callers under {6 * ROUNDS:,} keys, two workers; each done once"
    figures("the same request at both workers at once", told)


class Follower(threading.Thread):
    """Follows `/api/timeline?after=` from its beginning, always with the newest id that it has seen."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._client = Client(port)
        self._after = ""
        self.seen: list[int] = []
        self.asked = 0
        self.stopped = False

    def look(self) -> None:
        """One page, from the last entry seen."""
        answer = self._client.ask("GET", f"/api/timeline?limit=50&after={self._after}")
        assert answer.status == 200, answer
        entries: list[dict[str, Any]] = answer.body["entries"]
        self.seen += [entry["id"] for entry in entries]
        self.asked += 1
        if entries:
            self._after = str(entries[-1]["id"])

    def run(self) -> None:
        while not self.stopped:
            self.look()


def test_who_follows_the_timeline_skips_no_entry(
    tmp_path: Path, postgres: Postgres, database: str, figures: Figures
) -> None:
    """Two workers and sixteen writers; entry ids are given out before the commit, and still nothing comes late."""
    register = PostgresDatabase(postgres, database)
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        followers = [Follower(server.port) for _ in range(2)]
        for follower in followers:
            follower.start()
        with Crowd(server.port, clients=16) as crowd:
            time.sleep(SECONDS)
        for follower in followers:
            follower.stopped = True
            follower.join(10)
            before = -1
            while before != len(follower.seen):
                before = len(follower.seen)
                follower.look()
    held = [int(id) for (id,) in register.rows("SELECT id FROM entry ORDER BY id")]
    ledger.check(register, crowd)
    for follower in followers:
        assert follower.seen == held[: len(follower.seen)]
        assert len(follower.seen) == len(held), "the last pages were read after the last write"
    asked = sum(follower.asked for follower in followers)
    told = f"{len(held):,} entries in {asked:,} pages to each of 2 followers, none skipped; {crowd.figures()}"
    figures("the timeline is followed while two workers write", told)
