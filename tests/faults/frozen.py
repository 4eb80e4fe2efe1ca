"""PostgreSQL's backends stopped in their tracks: their connections stand, and nothing ever comes over them."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.postgres import Postgres


@contextmanager
def frozen(postgres: Postgres, name: str, warmed: Callable[[], bool]) -> Iterator[None]:
    """Every backend that serves the database `name` now; `warmed` has made them. New ones are not touched."""
    assert warmed()
    found = postgres.psql(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND backend_type LIKE 'client%'")
    backends = [int(pid) for pid in found.split()]
    assert backends
    try:
        for backend in backends:
            os.kill(backend, signal.SIGSTOP)
        yield
    finally:
        for backend in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGCONT)
