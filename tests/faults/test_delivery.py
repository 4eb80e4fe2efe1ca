"""Telling under fire: a target that fails in every way, and five kills; all is told, doubles only under the same id."""

import statistics
import time

from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.faults.ground import Ground
from tests.faults.server import Server, wait_until
from tests.faults.target import Target, tell_to

MESSAGES = size(120, 1_500)
KILLS = size(3, 25)
EACH = MESSAGES // (KILLS + 1)  # so many messages lie between two kills


def test_everything_is_told_and_a_bad_target_delays_nobody(ground: Ground, figures: Figures) -> None:
    where = {"TOCSIN_ALLOWED_TARGETS": "127.0.0.1", "TOCSIN_ALLOWED_PORTS": "*"}
    with Target(trouble=True) as bad, Target(trouble=False) as good, ground.server(**where) as server:
        tell_to(server, "bad", bad)
        tell_to(server, "good", good)
        filed = file_and_kill(server, ground.engine)
        wait_until(lambda: len(bad.came) == MESSAGES and len(good.came) == MESSAGES, 60 + MESSAGES / 3, what="all told")
        wait_until(lambda: all_sent(ground), 60, what="all are settled")
    for target in (bad, good):
        assert set(target.came) == set(filed)
        assert all(len(set(ids)) == 1 for ids in target.came.values()), "a double has the same id"
    p95 = statistics.quantiles((good.at[id] - filed[id] for id in filed), n=20)[18]
    doubles = sum(len(ids) - 1 for target in (bad, good) for ids in target.came.values())
    told = f"{MESSAGES:,} messages to each of two targets, {KILLS} kills, {bad.seen:,} attempts at the bad one"
    told = f"{told}; all told, {doubles} twice (under the same id); p95 at the good one {p95:.2f} s"
    figures("messages through kills and a target that fails in every way", told)
    assert p95 < 5


def file_and_kill(server: Server, engine: str) -> dict[int, float]:
    """When each incident was committed, by id. Kills come all along."""
    filed: dict[int, float] = {}
    for number in range(MESSAGES):
        if number and number % EACH == 0 and number // EACH <= KILLS:
            if engine == "sqlite":
                server.kill_parent()
                server.start()
            else:
                server.kill_worker()
        with server.client as client:
            draft = {"description": f"number {number}", "source": "operator"}
            answer = client.insist("POST", "/api/incidents", draft, once=f"number-{number}")
        filed[answer.body["incident"]["id"]] = time.monotonic()
    return filed


def all_sent(ground: Ground) -> bool:
    """Every message in the outbox is settled, and none was given up."""
    states = ground.register.rows("SELECT state, count(*) FROM notification GROUP BY state")
    return states == [["sent", str(2 * MESSAGES)]]
