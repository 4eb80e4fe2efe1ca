"""What PostgreSQL itself can do: the rows of Tocsin's writes by pgbench, prepared, each write its own commit.

On the same server as the others, so with the same configuration and the same durability.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.load import Run, percentile
from bench.plan import LISTED
from bench.processes import cpu_seconds
from bench.scenario import CREATE, HUNDRED, IN_ONE, KEYED, LIST, MOVE, ONE, RING, Scenario, scenarios
from bench.subjects import LONGEST, Cpu, Dishonest, Rows
from bench.template import Row, written
from tests.postgres import Postgres

FEW = 5  # transactions of each client, where less than a second is asked for: pgbench knows whole seconds only
VARIABLE = re.compile(r":\w")  # pgbench would take it for a variable, even inside of a text
NOW = "clock_timestamp()"
ORDER = "incident.status DESC, incident.created_at DESC, incident.id DESC"
# As Tocsin asks on PostgreSQL: the status said in the order too makes sure that its index is taken.
PAGE = (
    "SELECT incident.*, partner.slug FROM incident LEFT JOIN partner ON partner.id = incident.partner_id "
    f"WHERE incident.status BETWEEN '{{0}}' AND '{{0}}' ORDER BY {ORDER} LIMIT {LISTED + 1};"
)
GET = (
    "SELECT incident.*, partner.slug FROM incident LEFT JOIN partner ON partner.id = incident.partner_id "
    "WHERE incident.id = :id;"
)
NEXT = "CASE status " + " ".join(f"WHEN '{a}' THEN '{b}'" for a, b in zip(RING, RING[1:] + RING[:1], strict=True))
CHANGE = f"UPDATE incident SET status = {NEXT} END, updated_at = {NOW}, version = version + 1 WHERE id = :id;"


class PostgresLimit:
    """On a copy of Tocsin's database `source`; `ids` are the filled incidents, `written_id` shows what is written."""

    name = "PostgreSQL itself"

    def __init__(
        self, postgres: Postgres, source: str, rows: Callable[[str], Rows], home: Path, ids: range, written_id: int
    ) -> None:
        self._postgres, self._home = postgres, home
        self._url = _copied(postgres, source)
        self._rows = rows(self._url)
        self._made = {True: 0, False: 0}  # incidents filed, statuses changed
        self._before = self._count()
        self._scripts = self._written_scripts(ids, written_id)
        self.scenarios = {name: each for name, each in scenarios(home, ids).items() if name in self._scripts}

    def measure(self, scenario: Scenario, seconds: float, connections: int) -> Run:
        """One run; longer where it ended before all clients were connected, as happens on a busy machine."""
        run = self._run(scenario, seconds, connections)
        while run is None and seconds < LONGEST:
            seconds *= 4
            run = self._run(scenario, seconds, connections)
        if run is None:
            raise Dishonest(f"{self.name}, {scenario.name}: nothing was done in {seconds:.0f} s")
        if scenario.creates or scenario.moves:
            self._made[not scenario.moves] += run.requests * (scenario.creates or 1)
        return run

    def _run(self, scenario: Scenario, seconds: float, connections: int) -> Run | None:
        how_long = ["-T", str(round(seconds))] if seconds >= 1 else ["-t", str(FEW)]
        files = [part for script in self._scripts[scenario.name] for part in ("-f", str(script))]
        shape = ["-n", "-M", "prepared", "-c", str(connections), "-j", str(min(2, connections)), "-l", *how_long]
        with tempfile.TemporaryDirectory(dir=self._home) as logs:
            done = subprocess.run(
                [str(self._postgres.bin / "pgbench"), *shape, *files, self._url],
                cwd=logs, env=_environment(), capture_output=True, text=True, check=False, timeout=seconds + 60,
            )  # fmt: skip
            waits = [int(line.split()[2]) / 1000 for log in Path(logs).iterdir() for line in log.open()]
        said = re.search(r"actually processed: (\d+)", done.stdout)
        rate = re.search(r"^tps = ([\d.]+) \(without", done.stdout, re.MULTILINE)
        if said and said[1] == "0":
            return None
        if done.returncode or said is None or rate is None or not waits:
            raise Dishonest(f"pgbench failed at {scenario.name}: {(done.stderr or done.stdout).strip()[-1000:]}")
        count, (p50, p99) = int(said[1]), (percentile(waits, part) for part in (0.5, 0.99))
        return Run(count, count, count / float(rate[1]), p50, p99, {})

    def cpu(self) -> Cpu:
        assert self._postgres.pid is not None
        return Cpu(0.0, cpu_seconds(self._postgres.pid))

    def verify(self) -> None:
        incidents, entries = (now - before for now, before in zip(self._count(), self._before, strict=True))
        if (incidents, entries) != (self._made[True], sum(self._made.values())):
            raise Dishonest(f"{self.name} stored {incidents} incidents and {entries} entries; made: {self._made}")

    def _count(self) -> tuple[int, int]:
        ((incidents, entries),) = self._rows("SELECT (SELECT count(*) FROM incident), (SELECT count(*) FROM entry)")
        return int(incidents), int(entries)

    def _written_scripts(self, ids: range, written_id: int) -> dict[str, list[Path]]:
        rows = written(self._literals, written_id)
        several = f" FROM generate_series(1, {IN_ONE[HUNDRED]})"
        incident = _insert("incident", rows.incident, created_at=NOW, updated_at=NOW)
        incidents = _insert("incident", rows.incident, several, created_at=NOW, updated_at=NOW)
        filed = _insert("entry", rows.filed, at=NOW, incident_id=":id")
        each_filed = _insert("entry", rows.filed, " FROM filed", at=NOW, incident_id="filed.id")
        kept = _insert("kept_answer", rows.kept, created_at=NOW, scope="sha256(gen_random_uuid()::text::bytea)")
        moved = _insert("entry", rows.moved, at=NOW, incident_id=":id")
        any_id = f"\\set id random({ids.start}, {ids.stop - 1})"
        scripts = {
            CREATE: [["BEGIN;", f"{incident} RETURNING id \\gset", f"{filed};", "END;"]],
            KEYED: [["BEGIN;", f"{incident} RETURNING id \\gset", f"{filed};", f"{kept};", "END;"]],
            LIST: [[PAGE.format(status)] for status in RING],
            ONE: [[any_id, GET]],
            MOVE: [[any_id, "BEGIN;", CHANGE, f"{moved};", "END;"]],
            HUNDRED: [[f"WITH filed AS ({incidents} RETURNING id) {each_filed};"]],
        }
        return {name: [self._script(name, lines) for lines in each] for name, each in scripts.items()}

    def _script(self, name: str, lines: list[str]) -> Path:
        file = Path(tempfile.mkstemp(prefix=f"{name.split()[0]}-", suffix=".sql", dir=self._home)[1])
        file.write_text("\n".join(lines) + "\n")
        return file

    def _literals(self, query: str) -> Row | None:
        """The first row, each value as it stands in SQL."""
        table = re.search(r"FROM (\w+)", query)
        assert table is not None
        columns = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table[1]}'"
        names = [row[0] for row in self._rows(f"{columns} ORDER BY ordinal_position")]
        found = {}
        for name in names:
            rows = self._rows(f"SELECT quote_nullable({name}) FROM ({query}) AS found")
            if not rows:
                return None
            found[name] = "|".join(rows[0])
        return found


def _insert(table: str, row: Row, source: str = "", **own: str) -> str:
    values = ", ".join([str(value) for value in row.values()])
    if VARIABLE.search(values):
        raise Dishonest(f"what Tocsin writes into {table} cannot stand in a script of pgbench: {values}")
    names = ", ".join((*row, *own))
    values = ", ".join((values, *own.values()))
    return f"INSERT INTO {table} ({names}) " + (f"SELECT {values}{source}" if source else f"VALUES ({values})")


def _copied(postgres: Postgres, source: str) -> str:
    """A copy of a database that is in use."""
    target, environment = postgres.create_database(), _environment()
    with tempfile.TemporaryFile() as dump:
        subprocess.run([postgres.bin / "pg_dump", source], stdout=dump, env=environment, check=True)
        dump.seek(0)
        reading = [str(postgres.bin / "psql"), "-Xq", "-v", "ON_ERROR_STOP=1", target]
        subprocess.run(reading, stdin=dump, stdout=subprocess.DEVNULL, env=environment, check=True)
    return target


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
