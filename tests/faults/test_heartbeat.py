"""Signs of life of several real processes: one hangs, and the watcher must not hear of the others."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import Server, wait_until
from tests.phones import Receiver


@pytest.fixture
def watcher() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_one_worker_that_hangs_silences_the_whole_server(database: str, tmp_path: Path, watcher: Receiver) -> None:
    with Server(
        tmp_path,
        TOCSIN_DATABASE_URL=database,
        TOCSIN_WORKERS=3,
        TOCSIN_HEARTBEAT_URL=f"{watcher.url}/ping",
        TOCSIN_HEARTBEAT_EVERY=1,
    ) as server:
        wait_until(lambda: len(watcher.came) >= 3, what="signs of life of a server that is well")
        eldest, *_, youngest = server.workers
        for hanging in (youngest, eldest):
            os.kill(hanging, signal.SIGSTOP)
            try:
                # Twice the period and five seconds is how old the others' signs may be.
                wait_until(lambda: quiet_for(watcher, 3), what="silence while a worker hangs")
            finally:
                os.kill(hanging, signal.SIGCONT)
            before = len(watcher.came)
            wait_until(lambda before=before: len(watcher.came) > before, what="signs of life again")  # type: ignore[misc]
        server.kill_worker()
        wait_until(lambda: len(server.workers) == 3, what="another in its place")
        before = len(watcher.came)
        wait_until(lambda: len(watcher.came) > before + 1, what="signs of life again")
    said = server.said()
    assert "signs of life are withheld" in said
    assert "/ping" not in said


def quiet_for(watcher: Receiver, seconds: float) -> bool:
    before = len(watcher.came)
    time.sleep(seconds)
    return len(watcher.came) == before
