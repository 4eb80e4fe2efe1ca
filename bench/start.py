"""From the start to the first good answer, on a database that is there; and the memory before and after a load."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.contenders import everyday_server, tocsin_server
from bench.processes import Server, memory
from bench.scenario import THE_THREE
from bench.stage import Stage
from bench.subjects import Subject


@dataclass(frozen=True)
class Started:
    """`first` and `ready` in seconds, one for each start after the first; memory in bytes (PSS).

    `database` is that of its server, None for SQLite; `at_rest` is None where there was the first start only.
    """

    engine: str
    name: str
    first: float
    ready: Sequence[float]
    at_rest: int | None
    after_load: int
    database: int | None

    @property
    def took(self) -> float:
        return median(self.ready or [self.first])


@dataclass
class _Restarts:
    ready: list[float] = field(default_factory=list)
    at_rest: int | None = None

    def begin(self, server: Server) -> None:
        with server:
            self.ready.append(server.ready_after)
            self.at_rest = server.memory()


def starts(stage: Stage) -> list[Started]:
    """Tocsin and the everyday form, by turns. The first start is that of those that are measured by load."""
    ours, theirs = _restarted(stage) if stage.plan.starts else (_Restarts(), _Restarts())
    return [_after_load(stage, stage.ours, ours), _after_load(stage, stage.theirs, theirs)]


def _restarted(stage: Stage) -> tuple[_Restarts, _Restarts]:
    """On databases of their own, which are there from the second start on."""
    home, home_of_other, key = stage.folder("start"), stage.folder("start"), secrets.token_urlsafe(24)
    url = stage.postgres.create_database() if stage.postgres else None
    other = stage.postgres.create_database() if stage.postgres else f"sqlite+aiosqlite:///{home_of_other / 'other.db'}"
    ours, theirs = _Restarts(), _Restarts()
    for turn in range(stage.plan.starts + 1):
        ours.begin(tocsin_server(home, url, key))
        # The everyday form files its key at every start, and a key is unique.
        theirs.begin(everyday_server(home_of_other, other, f"{key}{turn}"))
        stage.say(f"start: Tocsin {ours.ready[-1]:.2f} s, everyday form {theirs.ready[-1]:.2f} s")
    del ours.ready[0], theirs.ready[0]
    return ours, theirs


def _after_load(stage: Stage, subject: Subject, restarts: _Restarts) -> Started:
    for name in THE_THREE:
        subject.measure(subject.scenarios[name], stage.plan.seconds, stage.plan.connections)
    subject.verify()
    return Started(
        stage.engine,
        subject.name,
        subject.server.ready_after,
        restarts.ready,
        restarts.at_rest,
        subject.server.memory(),
        memory(subject.database_pid) if subject.database_pid else None,
    )
