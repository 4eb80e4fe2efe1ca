"""The two that are measured, Tocsin and the everyday form, each on a database of its own with the same incidents in it.

What they say is checked: their routes before the first run, and after the last one their databases against what they
acknowledged.
"""

from __future__ import annotations

import secrets
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.load import Run, Target
from bench.processes import HOST, Server, call, free_port
from bench.scenario import FILLED, LISTED, RING, Scenario, drafts, statuses_after
from tests.postgres import Postgres

Rows = Callable[[str], list[tuple[str, ...]]]
BATCH = 1_000


class Dishonest(Exception):
    """A server did not do what it acknowledged, so its figures mean nothing."""


@dataclass
class Subject:
    """One server under measurement. `rows` runs SQL in its database, where `table` holds the incidents."""

    name: str
    server: Server
    key: str
    table: str
    rows: Rows
    ids: range = range(0)
    acknowledged: int = 0
    cut_off: int = 0
    moves: int = 0
    lost_moves: int = 0
    runs: list[Run] = field(default_factory=list)

    @property
    def target(self) -> Target:
        return Target(HOST, self.server.port, self.key)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return call(self.server.port, method, path, self.key, body)

    def start_of(self, scenario: Scenario) -> int:
        """Where in the ring this server goes on; for moves that is where it stopped."""
        return self.moves % scenario.size if scenario.moves else 0

    def note(self, scenario: Scenario, run: Run) -> None:
        """Keeps count of what was acknowledged, and of what was asked and cut off at the end of the run."""
        if scenario.creates:
            self.acknowledged += run.requests
            self.cut_off += run.sent - run.requests
        if scenario.moves:
            self.moves += run.sent
            self.lost_moves += run.sent - run.requests


@contextmanager
def tocsin(home: Path, postgres: Postgres | None) -> Iterator[Subject]:
    key, port = secrets.token_urlsafe(24), free_port()
    environment = {
        "API_KEY": key,
        "TOCSIN_HOST": HOST,
        "TOCSIN_PORT": str(port),
        "TOCSIN_DATA_DIR": str(home / "data"),
        "TOCSIN_RATE_LIMIT": "1000000",  # the limiter counts every request, and never refuses one
        "TOCSIN_WORKERS": "1",
        "TOCSIN_ALLOWED_TARGETS": HOST,  # where messages are received
        "TOCSIN_ALLOWED_PORTS": "*",
    }
    if postgres:
        environment["TOCSIN_DATABASE_URL"] = url = postgres.create_database()
        rows = _in_postgres(postgres, url)
    else:
        rows = _in_sqlite(home / "data" / "tocsin.db")
    with Server([sys.executable, "-m", "tocsin", "serve"], environment, home, port, "/readyz") as server:
        subject = Subject("Tocsin", server, key, "incident", rows)
        ids: list[int] = []
        for first in range(0, FILLED, BATCH):
            status, said = subject.call("POST", "/api/incidents/batch", {"incidents": drafts()[first : first + BATCH]})
            if status != 200:
                raise Dishonest(f"Tocsin refused to be filled: {status} {said}")
            ids += [result["incident"]["id"] for result in said["results"]]
        yield _checked(subject, ids)


@contextmanager
def everyday(home: Path, postgres: Postgres | None) -> Iterator[Subject]:
    key, port = secrets.token_urlsafe(24), free_port()
    if postgres:
        url = postgres.create_database()
        rows = _in_postgres(postgres, url)
        url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    else:
        rows = _in_sqlite(home / "everyday.db")
        url = f"sqlite+aiosqlite:///{home / 'everyday.db'}"
    peers = Path(__file__).with_name("peers")
    command = [sys.executable, "-m", "uvicorn", f"--app-dir={peers}", "everyday:app", "--host", HOST, "--port"]
    environment = {"EVERYDAY_DATABASE_URL": url, "EVERYDAY_API_KEY": key}
    with Server([*command, str(port)], environment, home, port, "/openapi.json") as server:
        subject = Subject("everyday form", server, key, "incidents", rows)
        values = ",".join(
            f"('{each['description']}', '{each['status']}', '{each['source']}', '2025-11-10 00:35:30.167000')"
            for each in drafts()
        )
        rows(f"INSERT INTO incidents (description, status, source, created_at) VALUES {values}")
        yield _checked(subject, [int(row[0]) for row in rows("SELECT id FROM incidents ORDER BY id")])


def verify(subject: Subject) -> None:
    """Compares the database with what was acknowledged. Only requests that a run's end cut off may be unknown."""
    stored = int(subject.rows(f"SELECT count(*) FROM {subject.table}")[0][0]) - len(subject.ids)
    least, most = subject.acknowledged, subject.acknowledged + subject.cut_off
    if not least <= stored <= most:
        raise Dishonest(f"{subject.name} acknowledged {least} incidents ({most} were asked for) and stored {stored}")
    where = f"WHERE id BETWEEN {subject.ids.start} AND {subject.ids.stop - 1}"
    actual = {int(row[0]): row[1] for row in subject.rows(f"SELECT id, status FROM {subject.table} {where}")}
    expected = statuses_after(subject.ids, subject.moves)
    wrong = sum(actual.get(incident_id) != status for incident_id, status in expected.items())
    if wrong > subject.lost_moves:
        raise Dishonest(f"{subject.name}: {wrong} incidents do not have the status that was acknowledged")


def _checked(subject: Subject, ids: list[int]) -> Subject:
    """Tries every route once, and that a wrong key is refused; a fast wrong answer would win every benchmark."""
    if ids != list(range(ids[0], ids[0] + FILLED)):
        raise Dishonest(f"{subject.name}: the filled incidents' ids are not in one row")
    subject.ids = range(ids[0], ids[0] + FILLED)
    status, said = subject.call("POST", "/api/incidents", {"description": "Жук №1", "source": "operator"})
    filed = said.get("incident", {})
    _must(subject, status == 201 and (filed["description"], filed["status"]) == ("Жук №1", "new"), "create", said)
    subject.acknowledged += 1
    wish = {"incident_id": filed["id"], "status": "resolved"}
    status, said = subject.call("PATCH", "/api/incidents/status", wish)
    _must(subject, status == 200 and said["incident"]["status"] == "resolved", "change status", said)
    for each in RING:
        status, said = subject.call("GET", f"/api/incidents?status={each}&limit={LISTED}")
        listed = [incident["status"] for incident in said.get("incidents", [])]
        _must(subject, status == 200 and listed == [each] * LISTED, "list", said)
    status, said = call(subject.server.port, "GET", "/api/incidents?limit=1", "wrong")
    _must(subject, status in (401, 403), "a wrong key", said)
    return subject


def _must(subject: Subject, right: bool, what: str, said: object) -> None:
    if not right:
        raise Dishonest(f"{subject.name} does not answer rightly to {what}: {str(said)[:500]}")


def _in_sqlite(file: Path) -> Rows:
    def rows(sql: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
            return [tuple(str(value) for value in row) for row in connection.execute(sql)]

    return rows


def _in_postgres(postgres: Postgres, url: str) -> Rows:
    database = url.rpartition("/")[2]
    return lambda sql: [tuple(line.split("|")) for line in postgres.psql(sql, database).splitlines()]
