"""Processes stopped in their tracks: their connections stand, and nothing ever comes over them."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import Postgres


@contextmanager
def frozen(postgres: Postgres, name: str, warmed: Callable[[], bool]) -> Iterator[None]:
    """Every backend that serves the database `name` now; `warmed` has made them. New ones are not touched."""
    assert warmed()
    found = postgres.psql(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND backend_type LIKE 'client%'")
    backends = [int(pid) for pid in found.split()]
    assert backends
    with stopped(backends):
        yield


@contextmanager
def wholly_frozen(postgres: Postgres) -> Iterator[None]:
    """The postmaster, so that nobody new is let in, and then all that it has started."""
    assert postgres.pid is not None
    with stopped([postgres.pid]), stopped(children(postgres.pid)):
        yield


@contextmanager
def held(file: Path) -> Iterator[None]:
    """A SQLite file's write lock, in the hand of another process that does not go on."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """These processes, until the block ends."""
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def children(parent: int) -> list[int]:
    """The processes that a process has started and that still live."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # "pid (name) state parent …"; the name may hold anything.
            _, own = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(own) == parent:
                found.append(int(place.name))
    return sorted(found)
