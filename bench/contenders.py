"""The two services that are measured, Tocsin and the everyday form, each started and filled with the same incidents."""

from __future__ import annotations

import secrets
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.load import Generator
from bench.processes import HOST, Server, free_port
from bench.scenario import KEYED, THOUSAND, drafts
from bench.subjects import Dishonest, Rows, Subject
from tests.postgres import Postgres

AT_ONCE = 1_000  # drafts in one request, while it is filled
NOT_EVERYDAY = (KEYED, THOUSAND)  # most teams have no Idempotency-Key, and a batch of 100 says the same


def tocsin_server(home: Path, url: str | None, key: str, workers: int = 1) -> Server:
    """Tocsin with everything switched on: limits, metrics, the access log."""
    port = free_port()
    environment = {
        "API_KEY": key,
        "TOCSIN_HOST": HOST,
        "TOCSIN_PORT": str(port),
        "TOCSIN_DATA_DIR": str(home / "data"),
        "TOCSIN_RATE_LIMIT": "1000000",  # the limiter counts every request, and never refuses one
        "TOCSIN_WORKERS": str(workers),
        "TOCSIN_ALLOWED_TARGETS": HOST,  # where messages are received
        "TOCSIN_ALLOWED_PORTS": "*",
    }
    if url is not None:
        environment["TOCSIN_DATABASE_URL"] = url
    return Server([sys.executable, "-m", "tocsin", "serve"], environment, home, port, "/readyz")


@contextmanager
def tocsin(home: Path, postgres: Postgres | None, load: Generator, filled: int, workers: int = 1) -> Iterator[Subject]:
    key, url = secrets.token_urlsafe(24), postgres.create_database() if postgres else None
    rows = in_postgres(postgres, url) if postgres and url else in_sqlite(sqlite_file(home))
    with tocsin_server(home, url, key, workers) as server:
        place = url or str(sqlite_file(home))
        pid = postgres.pid if postgres else None
        subject = Subject("Tocsin", server, home, key, "incident", place, rows, load, pid)
        ids: list[int] = []
        for first in range(0, filled, AT_ONCE):
            status, said = subject.call(
                "POST", "/api/incidents/batch", {"incidents": drafts(filled)[first : first + AT_ONCE]}
            )
            if status != 200:
                raise Dishonest(f"Tocsin refused to be filled: {status} {said}")
            ids += [result["incident"]["id"] for result in said["results"]]
        subject.filled_with(ids)
        yield subject


@contextmanager
def everyday(home: Path, postgres: Postgres | None, load: Generator, filled: int) -> Iterator[Subject]:
    key = secrets.token_urlsafe(24)
    url = postgres.create_database() if postgres else f"sqlite+aiosqlite:///{home / 'everyday.db'}"
    rows = in_postgres(postgres, url) if postgres else in_sqlite(home / "everyday.db")
    with everyday_server(home, url, key) as server:
        pid = postgres.pid if postgres else None
        subject = Subject("everyday form", server, home, key, "incidents", url, rows, load, pid)
        values = ",".join(
            f"('{each['description']}', '{each['status']}', '{each['source']}', '2025-11-10 00:35:30.167000')"
            for each in drafts(filled)
        )
        rows(f"INSERT INTO incidents (description, status, source, created_at) VALUES {values}")
        ids = [int(row[0]) for row in rows("SELECT id FROM incidents ORDER BY id")]
        subject.filled_with(ids, without=NOT_EVERYDAY)
        yield subject


def everyday_server(home: Path, url: str, key: str) -> Server:
    """uvicorn as it comes."""
    port, peers = free_port(), Path(__file__).with_name("peers")
    command = [sys.executable, "-m", "uvicorn", f"--app-dir={peers}", "everyday:app", "--host", HOST]
    driven = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    environment = {"EVERYDAY_DATABASE_URL": driven, "EVERYDAY_API_KEY": key}
    return Server([*command, "--port", str(port)], environment, home, port, "/openapi.json")


def sqlite_file(home: Path) -> Path:
    return home / "data" / "tocsin.db"


def in_sqlite(file: Path) -> Rows:
    def rows(sql: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
            return [tuple(str(value) for value in row) for row in connection.execute(sql)]

    return rows


def in_postgres(postgres: Postgres, url: str) -> Rows:
    database = url.rpartition("/")[2]
    return lambda sql: [tuple(line.split("|")) for line in postgres.psql(sql, database).splitlines()]
