"""One engine's stage: its database server, and on it Tocsin, the everyday form and the engine by itself.

Each is started when it is first asked for, and stays until the end of the stage.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Self

from bench.contenders import everyday, in_postgres, sqlite_file, tocsin
from bench.load import Generator
from bench.plan import Plan
from bench.postgres_limit import PostgresLimit
from bench.sqlite_limit import SqliteLimit
from bench.subjects import Contender, Subject
from bench.template import file_one
from tests.postgres import Postgres

Say = Callable[[str], None]


class Stage:
    """Used in a `with`. `say` tells a person what is going on."""

    def __init__(self, engine: str, plan: Plan, load: Generator, say: Say) -> None:
        self.engine, self.plan, self.load = engine, plan, load
        self._say, self._stack = say, ExitStack()

    def __enter__(self) -> Self:
        self._home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        self.postgres = self._stack.enter_context(Postgres()) if self.engine == "postgres" else None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def say(self, text: str) -> None:
        self._say(f"{self.engine}: {text}")

    def folder(self, name: str) -> Path:
        """A new folder that goes with the stage."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._home))

    @cached_property
    def ours(self) -> Subject:
        return self._analyzed(self.another_tocsin())

    @cached_property
    def theirs(self) -> Subject:
        self.say("starting and filling the everyday form")
        started = everyday(self.folder("everyday"), self.postgres, self.load, self.plan.filled)
        return self._analyzed(self._stack.enter_context(started))

    @cached_property
    def limit(self) -> Contender:
        """On a copy of what Tocsin has, made when Tocsin is filled."""
        home, shown = self.folder("limit"), file_one(self.ours)
        if self.postgres is None:
            of_sqlite = SqliteLimit(sqlite_file(self.ours.home), home, self.ours.ids, shown)
            self._stack.callback(of_sqlite.close)
            return of_sqlite
        postgres = self.postgres
        return PostgresLimit(
            postgres, self.ours.database, lambda url: in_postgres(postgres, url), home, self.ours.ids, shown
        )

    def another_tocsin(self, workers: int = 1, filled: int | None = None) -> Subject:
        """A Tocsin of its own, on a database of its own."""
        self.say(f"starting and filling Tocsin{f' with {workers} workers' if workers > 1 else ''}")
        count = self.plan.filled if filled is None else filled
        return self._stack.enter_context(tocsin(self.folder("tocsin"), self.postgres, self.load, count, workers))

    def _analyzed(self, subject: Subject) -> Subject:
        if self.postgres:
            subject.rows("ANALYZE")
        return subject
