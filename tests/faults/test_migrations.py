"""A migration is killed at each of its steps: the schema is the old one or the new one, and the next start ends it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.faults.ground import Ground
from tests.faults.ledger import PostgresDatabase, Rows, SqliteFile
from tests.faults.server import ROOT, environment
from tests.postgres import Postgres
from tocsin.db.migrate import known_revisions

MORTAL = Path(__file__).with_name("mortal.py")
POINTS = size(1, 1_000)  # at most, at random among the steps, beside the last one: after the COMMIT
OLD = "0001"
INCIDENTS = 300
SHAPE = {
    "sqlite": """
        SELECT m.name, m.sql, c.name, c.type FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c
        WHERE m.name NOT LIKE 'sqlite_%' ORDER BY 1, 3
    """,
    "postgresql": """
        SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = 'public'
        UNION ALL SELECT indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2
    """,
}
NUMBERS = {"sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"}
NUMBERS["postgresql"] = "WITH n AS (SELECT generate_series(1, {most}) AS i)"
NOW = {"sqlite": "1700000000000000", "postgresql": "now()"}
FILL = """
INSERT INTO incident (description, status, source, created_at, updated_at, version)
{numbers} SELECT 'number ' || i, 'new', 'operator', {now}, {now}, 1 FROM n
"""

Fresh = Callable[[str], Ground]


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """`fresh("name")`: a place whose database nobody has used."""

    def on_sqlite(name: str) -> Ground:
        (tmp_path / name).mkdir()
        return Ground("sqlite", tmp_path / name, SqliteFile(tmp_path / name / "data" / "tocsin.db"), {})

    def on_postgresql(name: str) -> Ground:
        (tmp_path / name).mkdir()
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create_database()
        request.addfinalizer(lambda: server.drop_database(url))
        return Ground("postgresql", tmp_path / name, PostgresDatabase(server, url), {"TOCSIN_DATABASE_URL": url})

    return on_sqlite if request.param == "sqlite" else on_postgresql


def test_a_migration_that_is_killed_is_whole_or_not_at_all(fresh: Fresh, figures: Figures) -> None:
    """From the oldest schema with incidents in it; at length from nothing too."""
    done = [_killed_at_each_step(fresh, from_nothing=False)]
    if size(0, 1):
        done.append(_killed_at_each_step(fresh, from_nothing=True))
    told = f"{sum(kills for kills, _ in done)} kills among {sum(steps for _, steps in done)} steps"
    figures("kill -9 inside a migration", f"{told}; the old schema or the new one each time, ended by the next start")


def _killed_at_each_step(fresh: Fresh, *, from_nothing: bool) -> tuple[int, int]:
    """How many kills there were, and how many steps."""
    whole, place = fresh(f"whole-{from_nothing}"), fresh(f"killed-{from_nothing}")
    for each in (whole, place):
        _begin(each, from_nothing=from_nothing)
    before = _shape(place)
    steps = int(_migrate(whole, 0).stderr.splitlines()[-1])
    after = _shape(whole)
    assert steps > 10
    assert before != after
    points = [*sorted(random.sample(range(1, steps), min(POINTS, steps - 1))), steps]
    for point in points:
        killed = _migrate(place, point)
        assert killed.returncode == -9, f"step {point}: {killed.stderr}"
        assert _shape(place) in (before, after), f"half a schema after a kill at step {point}"
        place.register.check_itself()
    ended = _migrate(place, 0)
    assert ended.returncode == 0, ended.stderr
    assert _shape(place) == after
    assert place.register.rows("SELECT version_num FROM tocsin_version") == [[known_revisions()[-1]]]
    assert place.register.rows("SELECT count(*) FROM incident") == [["0" if from_nothing else str(INCIDENTS)]]
    return len(points), steps


def _begin(place: Ground, *, from_nothing: bool) -> None:
    """The oldest schema with incidents, or nothing at all."""
    (place.home / "data").mkdir()
    if from_nothing:
        return
    alembic = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "upgrade", OLD]
    subprocess.run(alembic, cwd=place.home, env=environment(**place.settings), capture_output=True, check=True)
    numbers = NUMBERS[place.engine].format(most=INCIDENTS)
    place.register.rows(FILL.format(numbers=numbers, now=NOW[place.engine]))


def _migrate(place: Ground, dies_at: int) -> subprocess.CompletedProcess[str]:
    """`tocsin migrate`, killed at this step; 0 lets it live."""
    command = [sys.executable, str(MORTAL), str(dies_at), "migrate"]
    return subprocess.run(
        command,
        cwd=place.home,
        env=environment(**place.settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _shape(place: Ground) -> Rows:
    return place.register.rows(SHAPE[place.engine])
