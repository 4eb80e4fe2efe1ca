"""A register of millions: the same questions at 10,000, 1,000,000 and 5,000,000 incidents, by turns.

Filled by SQL, set by set: most incidents of a large register are closed, so one in fifty is active here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.load import Run
from bench.measure import Figures, by_turns
from bench.plan import LISTED
from bench.scenario import CREATE, ONE, Scenario
from bench.sqlite_limit import driver
from bench.stage import Stage
from bench.subjects import Cpu, Dishonest, Subject

DEEP = "a page from the middle"
PAGE = "first page by status"
OF_CLOSED = "first page of closed"
QUESTIONS = (PAGE, OF_CLOSED, DEEP, ONE, CREATE)
ROOM = 1_000  # bytes on the disk for an incident, its entry and their indexes: SQLite took 525, PostgreSQL 670
MOST_ASKED = 20_000  # different single incidents
PIECE = 250_000  # incidents in one statement: a transaction of millions would need as much again for its journal
BETWEEN = 2_000_000  # microseconds from one incident to the next

NUMBERS = {
    "sqlite": "WITH RECURSIVE g(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM g WHERE n < {last}) ",
    "postgres": "WITH g(n) AS (SELECT generate_series({first}::bigint, {last}::bigint)) ",
}
MOMENT = {
    "sqlite": "{start} + g.n * {between}",
    "postgres": "to_timestamp(({start} + g.n * {between}) / 1000000.0)",
}
INCIDENTS = (
    "{numbers} INSERT INTO incident"
    " (description, status, source, created_at, updated_at, closed_at, version, filed_by) SELECT"
    " 'Point of sale ' || (800000 + g.n) || ' does not answer, the shop calls for the second time',"
    " CASE g.n % 150 WHEN 0 THEN 'open' WHEN 50 THEN 'in_progress' WHEN 100 THEN 'on_hold' ELSE 'closed' END,"
    " CASE g.n % 3 WHEN 0 THEN 'operator' WHEN 1 THEN 'monitoring' ELSE 'partner' END,"
    " {moment}, {moment}, CASE WHEN g.n % 50 = 0 THEN NULL ELSE {moment} END, 1, NULL FROM g"
)
ENTRIES = (
    "INSERT INTO entry (at, kind, incident_id, actor_type, changes, refs)"
    " SELECT created_at, 'filed', id, 'key', '{{\"status\":[null,\"new\"]}}', '{{}}' FROM incident WHERE id > {last_id}"
)


@dataclass(frozen=True)
class Grown:
    """One question at one size."""

    engine: str
    size: int
    question: str
    figures: Figures


class NoRoom(Exception):
    """The disk is too small for what was asked; the message says how much is needed and where."""


def grown(stage: Stage) -> list[Grown]:
    """Each size on a Tocsin of its own, all running, so that they can be asked by turns."""
    _check_room(stage.plan.sizes)
    registers = [Register(stage, size) for size in stage.plan.sizes]
    found = []
    for question in QUESTIONS:
        many = stage.plan.connections
        for register, figures in zip(registers, by_turns(stage, question, registers, many), strict=True):
            found.append(Grown(stage.engine, register.size, question, figures))
    for register in registers:
        register.verify()
    return found


class Register:
    """A Tocsin that holds `size` incidents."""

    def __init__(self, stage: Stage, size: int) -> None:
        self.size, self.name = size, f"{size:,}"
        began = time.perf_counter()
        self._tocsin = stage.another_tocsin(filled=LISTED * 3)
        _fill(stage, self._tocsin, size)
        stage.say(f"{size:,} incidents took {time.perf_counter() - began:.0f} s")
        self.scenarios = {
            CREATE: self._tocsin.scenarios[CREATE],
            ONE: self._ring(ONE, self._all_over()),
            PAGE: self._ring(PAGE, [f"/api/incidents?status={each}&limit={LISTED}" for each in ("open", "on_hold")]),
            OF_CLOSED: self._ring(OF_CLOSED, [f"/api/incidents?status=closed&limit={LISTED}"]),
            DEEP: self._ring(DEEP, [self._deep()]),
        }

    def measure(self, scenario: Scenario, seconds: float, connections: int) -> Run:
        return self._tocsin.measure(scenario, seconds, connections)

    def cpu(self) -> Cpu:
        return self._tocsin.cpu()

    def verify(self) -> None:
        self._tocsin.verify()

    def _all_over(self) -> list[str]:
        first = self._tocsin.ids.start
        step = max(1, self.size // MOST_ASKED)
        return [f"/api/incidents/{id}" for id in range(first, first + self.size, step)]

    def _deep(self) -> str:
        """The page after one in the middle of the closed ones: by its cursor, as one who turns pages comes there."""
        ((middle,),) = self._tocsin.rows(f"SELECT id FROM incident ORDER BY id LIMIT 1 OFFSET {self.size // 2}")
        _, said = self._tocsin.call("GET", f"/api/incidents/{middle}")
        before = quote(said["incident"]["created_at"])
        _, said = self._tocsin.call("GET", f"/api/incidents?status=closed&limit=1&created_before={before}")
        if not said.get("next"):
            raise Dishonest(f"there is no page in the middle: {said}")
        return f"/api/incidents?status=closed&limit={LISTED}&cursor={said['next']}"

    def _ring(self, name: str, paths: Sequence[str]) -> Scenario:
        file = self._tocsin.home / f"large-{name.replace(' ', '-')}"
        file.write_text("".join(f"GET {path}\n" for path in paths))
        return Scenario(name, file, len(paths))


def _fill(stage: Stage, tocsin: Subject, size: int) -> None:
    """By SQL, up to `size`; the new ones are older than those that are there, which came by the API."""
    there = len(tocsin.ids) + tocsin.acknowledged
    start = time.time_ns() // 1000 - (size + 1) * BETWEEN
    moment = MOMENT[stage.engine].format(start=start, between=BETWEEN)
    for first in range(1, size - there + 1, PIECE):
        numbers = NUMBERS[stage.engine].format(first=first, last=min(first + PIECE - 1, size - there))
        ((last_id,),) = tocsin.rows("SELECT max(id) FROM incident")
        _sql(stage, tocsin, f"{INCIDENTS.format(numbers=numbers, moment=moment)}; {ENTRIES.format(last_id=last_id)};")
    tocsin.acknowledged += size - there
    # What happens to a register that has grown for years: PostgreSQL's own housekeeping has been there.
    _sql(stage, tocsin, "VACUUM ANALYZE" if stage.postgres else "ANALYZE")
    tocsin.verify()


def _sql(stage: Stage, tocsin: Subject, sql: str) -> None:
    if stage.postgres is None:
        with closing(driver.connect(tocsin.database, timeout=30)) as connection:
            connection.executescript(f"BEGIN IMMEDIATE; {sql}; COMMIT;")
        return
    command = [str(stage.postgres.bin / "psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-c", sql, tocsin.database]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _check_room(sizes: Sequence[int]) -> None:
    place = Path(tempfile.gettempdir())
    needed, free = sum(sizes) * ROOM, shutil.disk_usage(place).free
    if needed > free:
        raise NoRoom(
            f"{sum(sizes):,} incidents need {needed / 1e9:.0f} GB in {place}, and {free / 1e9:.0f} GB are free. "
            "Set TMPDIR to a larger disk."
        )
