"""Tocsin on the original's own database: beside its tables, which stay as they are."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.original import readme
from tests.original.server import Server, clean_environment, free_port
from tests.postgres import Postgres

ROWS = """
INSERT INTO incidents (description, status, source, created_at) VALUES
    ('Самокат 875643 не отвечает', 'NEW', 'OPERATOR', '2025-11-10 00:35:30.167123+00'),
    ('', 'IN_PROGRESS', 'MONITORING', '2025-11-10 03:35:30+03'),
    ('closed long ago', 'CLOSED', 'PARTNER', '2024-02-29 23:59:59.999999+00');
"""
OLD_TABLES = {
    "rows": "SELECT * FROM incidents ORDER BY id",
    "version": "SELECT * FROM alembic_version",
    "next id": "SELECT last_value, is_called FROM incidents_id_seq",
    "columns": "SELECT column_name, udt_name, is_nullable, column_default FROM information_schema.columns "
    "WHERE table_name IN ('incidents', 'alembic_version') ORDER BY table_name, ordinal_position",
    "types": "SELECT typname, enumlabel FROM pg_enum JOIN pg_type t ON t.oid = enumtypid "
    "ORDER BY enumsortorder, typname",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE tablename IN ('incidents', 'alembic_version') ORDER BY indexname",
}


@pytest.fixture(scope="module")
def original(postgres: Postgres) -> Postgres:
    """A database as the original left it: its migration has run, and people have worked with it."""
    postgres.psql(f'SET ROLE "user";\n{readme.SCHEMA}{ROWS}', "database")
    return postgres


@pytest.fixture(scope="module")
def old_tables(original: Postgres) -> dict[str, str]:
    return look(original)


@pytest.fixture(scope="module")
def server(
    original: Postgres, old_tables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Started with the original's `.env`; only the two ports are the test's own."""
    assert old_tables
    with started(original, tmp_path_factory.mktemp("takeover")) as server:
        yield server


def test_it_starts_and_works_beside_the_old_tables(server: Server, original: Postgres) -> None:
    filed = server.ask("POST", "/api/incidents", {"description": "new", "source": "operator"}, key=readme.KEY)
    assert filed.status == 201
    assert original.psql("SELECT count(*) FROM incident", "database") == "1"
    assert original.psql("SELECT count(*) FROM tocsin_version", "database") == "1"


def test_the_old_tables_stay_as_they_were(server: Server, original: Postgres, old_tables: dict[str, str]) -> None:
    assert server.ask("GET", "/api/incidents", key=readme.KEY).status == 200
    assert look(original) == old_tables


def test_its_start_says_how_the_old_incidents_are_brought_in(server: Server) -> None:
    assert "found 3 incidents of the original service; `tocsin import original` brings them in" in server.said()


def look(postgres: Postgres) -> dict[str, str]:
    return {what: postgres.psql(query, "database") for what, query in OLD_TABLES.items()}


def started(postgres: Postgres, folder: Path) -> Server:
    (folder / ".env").write_text(readme.env(), encoding="utf-8")
    port = free_port()
    environment = clean_environment() | {"TOCSIN_PORT": str(port), "DB_PORT": str(postgres.port)}
    return Server([sys.executable, "-m", "tocsin", "serve"], cwd=folder, environment=environment, port=port)
