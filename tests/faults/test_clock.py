"""The server's clock is moved, an hour forward and an hour back: writes go on, repeats are known, people are told."""

import time
from pathlib import Path

from tests.faults import ledger
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ground import HEALS, Ground
from tests.faults.server import ROOT, wait_until
from tests.faults.target import Target, tell_to

HOUR = 3600
FIRST_WAIT = 5.0  # seconds at most before a message is tried for the second time
SHIFTS = (HOUR, -HOUR, 0)
ROUNDS = size(1, 10)
SHIFTED = Path(__file__).parent / "shifted"
TARGETS = {"TOCSIN_ALLOWED_TARGETS": "127.0.0.1", "TOCSIN_ALLOWED_PORTS": "*"}


class Hands:
    """A clock's, to be moved while the server runs."""

    def __init__(self, home: Path) -> None:
        self._file = home / "shift"
        self.move(0)
        self.settings = {"CLOCK_SHIFT": self._file, "PYTHONPATH": f"{SHIFTED}:{ROOT / 'src'}"}

    def move(self, seconds: int) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(str(seconds))
        beside.rename(self._file)  # at no moment is it empty


def test_a_clock_that_jumps_stops_no_write(ground: Ground, figures: Figures) -> None:
    """And an answer that was kept before the jump is known after it."""
    hands = Hands(ground.home)
    with ground.server(**hands.settings) as server:
        ground.served(server)
        with Crowd(server.port) as crowd, server.client as client:
            for number in range(ROUNDS * len(SHIFTS)):
                crowd.wait_for(40)
                draft = {"description": crowd.told[0].description, "source": "operator"}
                hands.move(SHIFTS[number % len(SHIFTS)])
                again = client.ask("POST", "/api/incidents", draft, once=crowd.told[0].description)
                assert (again.status, again.headers.get("idempotency-replayed")) == (201, "true"), again
                assert again.incident["id"] == crowd.told[0].id
                assert server.ready()
            crowd.wait_for(40)
        assert crowd.repeats == 0
        assert "Traceback" not in server.said()
        server.kill_all()
    ledger.check(ground.register, crowd)
    assert _hours_between(ground) > 1.9, "the clock has really jumped"
    told = f"{ROUNDS * len(SHIFTS)} jumps, nobody had to ask again; {crowd.figures()}; 0 lost, 0 double"
    figures("the clock jumps by an hour, forward and back", told)


def test_a_clock_that_jumps_keeps_no_message_back(ground: Ground, figures: Figures) -> None:
    """What waits to be tried again when the clock goes back would wait for an hour more."""
    hands = Hands(ground.home)
    slowest = 0.0
    with Target(trouble=False) as target, ground.server(**hands.settings, **TARGETS) as server, server.client as client:
        ground.served(server)
        tell_to(server, "target", target)
        for number, shift in enumerate(ROUNDS * SHIFTS):
            target.down = True
            waiting = client.file(f"before jump {number}").incident["id"]
            wait_until(lambda: _tried_once(ground), what="it was tried once")
            hands.move(shift)
            target.down = False
            after = client.file(f"after jump {number}").incident["id"]
            began = time.monotonic()
            target.until_told(after, HEALS)
            target.until_told(waiting, HEALS + FIRST_WAIT)
            slowest = max(slowest, time.monotonic() - began)
        assert "Traceback" not in server.said()
    told = f"{ROUNDS * len(SHIFTS)} jumps with a message waiting; all told, the latest after {slowest:.1f} s"
    figures("the clock jumps by an hour while messages wait", told)


def _tried_once(ground: Ground) -> bool:
    """It waits, as the database has it, to be tried again."""
    return ground.register.rows("SELECT 1 FROM notification WHERE state = 'waiting' AND attempts > 0") != []


def _hours_between(ground: Ground) -> float:
    """The first and the last entry's times lie so far apart; SQLite keeps microseconds."""
    if ground.engine == "sqlite":
        found = ground.register.rows("SELECT (max(at) - min(at)) / 3.6e9 FROM entry")
    else:
        found = ground.register.rows("SELECT extract(epoch FROM max(at) - min(at)) / 3600 FROM entry")
    return float(found[0][0])
