"""A server under measurement, on a database of its own; and the checks of its honesty.

What it says is checked: its routes before the first run, and after the last one its database against what it
acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bench.load import Generator, Run, Target
from bench.plan import LISTED
from bench.processes import HOST, Server, call, cpu_seconds
from bench.scenario import RING, Scenario, draft, scenarios, statuses_after

Rows = Callable[[str], list[tuple[str, ...]]]
LONGEST = 30.0  # seconds in which a server must have answered something, and have done what was cut off
ROUND = 0.08  # seconds; below a quarter of them on the processor it counts as quiet
QUIET_ROUNDS = 2


class Dishonest(Exception):
    """A server did not do what it acknowledged, so its figures mean nothing."""


class Cpu(NamedTuple):
    """Processor seconds so far of the program and of its database server, 0 where that is inside of the program."""

    program: float
    database: float


class Contender(Protocol):
    """Something that can be measured by turns with others."""

    name: str

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        """What it can do."""
        ...

    def measure(self, scenario: Scenario, seconds: float, connections: int) -> Run: ...

    def cpu(self) -> Cpu: ...

    def verify(self) -> None:
        """Raises Dishonest where its database does not hold what it said."""
        ...


@dataclass
class Subject:
    """One server, working in `home`. `rows` runs SQL in `database`, where `table` holds the incidents.

    `ids` are those of the incidents that it is filled with.
    """

    name: str
    server: Server
    home: Path
    key: str
    table: str
    database: str
    rows: Rows
    load: Generator
    database_pid: int | None = None
    ids: range = range(0)
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    acknowledged: int = 0
    cut_off: int = 0
    moves: int = 0
    lost_moves: int = 0

    @property
    def target(self) -> Target:
        return Target(HOST, self.server.port, self.key)

    def call(
        self, method: str, path: str, body: object = None, more: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        return call(self.server.port, method, path, self.key, body, more)

    def cpu(self) -> Cpu:
        return Cpu(self.server.cpu_seconds(), cpu_seconds(self.database_pid) if self.database_pid else 0.0)

    def cpu_in_all(self) -> float:
        return sum(self.cpu())

    def measure(self, scenario: Scenario, seconds: float, connections: int) -> Run:
        """One run, when what the one before has cut off is done; longer where nothing was answered in its time."""
        run = self._run(scenario, seconds, connections)
        while not run.requests and seconds < LONGEST:
            seconds *= 4
            run = self._run(scenario, seconds, connections)
        if not run.requests:
            raise Dishonest(f"{self.name}, {scenario.name}: no answer at all. Its log:\n{self.server.log_end()}")
        return run

    def verify(self) -> None:
        """Only requests that a run's end cut off may be unknown."""
        stored = int(self.rows(f"SELECT count(*) FROM {self.table}")[0][0]) - len(self.ids)
        least, most = self.acknowledged, self.acknowledged + self.cut_off
        if not least <= stored <= most:
            raise Dishonest(f"{self.name} acknowledged {least} incidents ({most} were asked for) and stored {stored}")
        where = f"WHERE id BETWEEN {self.ids.start} AND {self.ids.stop - 1}"
        actual = {int(row[0]): row[1] for row in self.rows(f"SELECT id, status FROM {self.table} {where}")}
        expected = statuses_after(self.ids, self.moves)
        wrong = sum(actual.get(incident_id) != status for incident_id, status in expected.items())
        if wrong > self.lost_moves:
            raise Dishonest(f"{self.name}: {wrong} incidents do not have the status that was acknowledged")

    def filled_with(self, ids: list[int], without: tuple[str, ...] = ()) -> None:
        """Ready to be measured, when every route has answered rightly once. `without`: scenarios that it has not."""
        if ids != list(range(ids[0], ids[0] + len(ids))):
            raise Dishonest(f"{self.name}: the filled incidents' ids are not in one row")
        self.ids = range(ids[0], ids[0] + len(ids))
        self.scenarios = {name: each for name, each in scenarios(self.home, self.ids).items() if name not in without}
        self._check()

    def _run(self, scenario: Scenario, seconds: float, connections: int) -> Run:
        # A ring of moves goes on where it stopped; that is how each of them stays a change.
        start = self.moves % scenario.size if scenario.moves else 0
        run = self.load.run(self.target, scenario, start, seconds, connections)
        if failures := {kind: count for kind, count in run.failures.items() if count}:
            text = f"{self.name}, {scenario.name}: {failures} among {run.requests} answers"
            raise Dishonest(f"{text}. The end of its log:\n{self.server.log_end()}")
        self._note(scenario, run)
        self._settle()
        return run

    def _settle(self) -> None:
        """Waits until it has done what was cut off: 64 batches may be seconds of work, at the cost of who is next."""
        quiet, deadline = 0, time.monotonic() + LONGEST
        while quiet < QUIET_ROUNDS and time.monotonic() < deadline:
            before = self.cpu_in_all()
            time.sleep(ROUND)
            quiet = quiet + 1 if self.cpu_in_all() - before < ROUND / 4 else 0

    def _note(self, scenario: Scenario, run: Run) -> None:
        """Keeps count of what was acknowledged, and of what was asked and cut off at the end of the run."""
        self.acknowledged += run.requests * scenario.creates
        self.cut_off += (run.sent - run.requests) * scenario.creates
        if scenario.moves:
            self.moves += run.sent
            self.lost_moves += run.sent - run.requests

    def _check(self) -> None:
        """Tries every route once, and that a wrong key is refused; a fast wrong answer would win every benchmark."""
        status, said = self.call("POST", "/api/incidents", {"description": "Жук №1", "source": "operator"})
        filed = said.get("incident", {})
        self._must(status == 201 and (filed["description"], filed["status"]) == ("Жук №1", "new"), "create", said)
        wish = {"incident_id": filed["id"], "status": "resolved"}
        status, said = self.call("PATCH", "/api/incidents/status", wish)
        self._must(status == 200 and said["incident"]["status"] == "resolved", "change status", said)
        status, said = self.call("GET", f"/api/incidents/{filed['id']}")
        got = said.get("incident", {})
        self._must(status == 200 and (got["description"], got["status"]) == ("Жук №1", "resolved"), "get one", said)
        for each in RING:
            status, said = self.call("GET", f"/api/incidents?status={each}&limit={LISTED}")
            listed = [incident["status"] for incident in said.get("incidents", [])]
            self._must(status == 200 and listed == [each] * LISTED, "list", said)
        status, said = self.call("POST", "/api/incidents/batch", {"incidents": [draft(0), draft(1)]})
        self._must(status == 200 and len(said.get("results", [])) == 2, "batch", said)
        status, said = call(self.server.port, "GET", "/api/incidents?limit=1", "wrong")
        self._must(status in (401, 403), "a wrong key", said)
        self.acknowledged += 3

    def _must(self, right: bool, what: str, said: object) -> None:
        if not right:
            raise Dishonest(f"{self.name} does not answer rightly to {what}: {str(said)[:500]}")
