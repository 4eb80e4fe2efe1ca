"""SIGTERM while eight clients write: what is in flight is answered, what comes later is refused, nothing is lost."""

import random
import signal
import time

from tests.faults import ledger
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ground import HEALS, Ground

STOPS = size(2, 30)


def test_a_stop_among_requests_loses_none(ground: Ground, figures: Figures) -> None:
    slowest = 0.0
    with ground.server() as server:
        with Crowd(server.port) as crowd:
            for _ in range(STOPS):
                ground.served(server)
                crowd.wait_for(40)
                time.sleep(random.uniform(0, 0.02))  # anywhere in a batch
                began = time.monotonic()
                server.signal(signal.SIGTERM)
                assert server.exit_code(10) == 0
                slowest = max(slowest, time.monotonic() - began)
                assert "Traceback" not in server.said()
                server.start()
                crowd.wait_for(1, within=HEALS)
            crowd.wait_for(40)
        server.kill_all()
    ledger.check(ground.register, crowd)
    told = f"{STOPS} ×, ended with 0 within {slowest:.1f} s; {crowd.figures()}; 0 lost, 0 double"
    figures("SIGTERM with requests in flight", told)
