"""`tocsin import original`: the old incidents come along, whole and once, and the old table stays as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.original.registers import KEY, New, Old
from tests.original.server import Server
from tests.postgres import Postgres

ENGINES = ("sqlite", "postgresql")
PASSWORD = "s3cret-of-ours"


@pytest.fixture
def old(postgres: Postgres) -> Old:
    return Old.made(postgres)


@pytest.fixture(params=ENGINES)
def new(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> New:
    return New.made(request.param, tmp_path, postgres)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> New:
    return New(tmp_path)


def test_ids_words_statuses_sources_and_times_come_as_they_were(old: Old, new: New) -> None:
    old.add(
        (3, "Самокат 875643\nне отвечает 🛴", "NEW", "OPERATOR", "2025-11-10 00:35:30.167123+00"),
        (7, "", "IN_PROGRESS", "MONITORING", "2025-11-10 03:35:30+03"),
        (8, "кавычки ' \" | \\", "RESOLVED", "PARTNER", "1969-12-31 23:59:59.999999+00"),
        (2_000_000_000, "far ahead", "CLOSED", "PARTNER", "2024-02-29 23:59:59.999999+00"),
    )
    said = new.imported(old.url())
    assert said == ("Imported 4 incidents of the original service, up to id 2000000000; its own table is as it was.")
    times = ", ".join(new.microseconds(column) for column in ("created_at", "updated_at"))
    assert new.rows(f"SELECT id, status, source, {times}, version FROM incident ORDER BY id") == [
        ("3", "new", "operator", "1762734930167123", "1762734930167123", "1"),
        ("7", "in_progress", "monitoring", "1762734930000000", "1762734930000000", "1"),
        ("8", "resolved", "partner", "-1", "-1", "1"),
        ("2000000000", "closed", "partner", "1709251199999999", "1709251199999999", "1"),
    ]
    unknown = "acknowledged_at IS NULL AND resolved_at IS NULL AND closed_at IS NULL AND filed_by IS NULL"
    assert new.number(f"SELECT count(*) FROM incident WHERE {unknown}") == 4
    with new.server() as server:
        assert shown(server, 3) == ("Самокат 875643\nне отвечает 🛴", "new", "operator", "2025-11-10T00:35:30.167Z")
        assert shown(server, 7) == ("", "in_progress", "monitoring", "2025-11-10T00:35:30.000Z")
        assert shown(server, 8)[:2] == ("кавычки ' \" | \\", "resolved")
        assert filed(server) == 2_000_000_001
        [entry] = server.ask("GET", "/api/incidents/3/timeline", key=KEY).body["entries"]
        assert (entry["kind"], entry["changes"]) == ("imported", {"status": [None, "new"]})


def test_each_gets_one_entry_of_the_time_of_the_import(old: Old, new: New) -> None:
    old.fill(1, 1200)
    new.imported(old.url())
    kinds = new.rows("SELECT kind, actor_type, count(*), count(DISTINCT incident_id) FROM entry GROUP BY 1, 2")
    assert kinds == [("imported", "clock", "1200", "1200")]
    recent = "strftime('%s') * 1000000.0" if new.postgres is None else "extract(epoch FROM now()) * 1000000"
    assert new.number(f"SELECT count(*) FROM entry WHERE {new.microseconds('at')} < {recent} - 60000000") == 0
    said = new.rows("SELECT changes, refs FROM entry WHERE incident_id = 4")
    assert said == [('{"status":[null,"new"]}', "{}")]


def test_killed_in_the_middle_it_goes_on_without_doubles(old: Old, new: New) -> None:
    old.fill(1, 30_000)
    new.killed(old.url())
    came = new.number("SELECT count(*) FROM incident")
    assert 0 < came < 30_000
    assert new.file() == 30_001, "the ids that are still to come are kept for them"
    assert new.imported(old.url()) == (
        f"Imported {30_000 - came:,} incidents of the original service, 30,000 in all, up to id 30000; "
        "its own table is as it was."
    )
    assert new.rows("SELECT count(*), max(id) FROM incident") == [("30001", "30001")]
    entries = "SELECT count(*), count(DISTINCT incident_id) FROM entry WHERE kind = 'imported'"
    assert new.rows(entries) == [("30000", "30000")]


def test_run_again_it_brings_only_what_is_new(old: Old, new: New) -> None:
    old.fill(1, 700)
    new.imported(old.url())
    assert new.imported(old.url()) == "Nothing is new: all 700 incidents of the original service were imported before."
    old.fill(701, 703)
    # By another name of the same server it is still the same table.
    said = new.imported(old.url(host="localhost"))
    assert said.startswith("Imported 3 incidents of the original service, 703 in all, up to id 703;")
    assert new.number("SELECT count(*) FROM entry WHERE kind = 'imported'") == 703
    assert new.file() == 704


def test_what_was_committed_late_below_the_highest_id_comes_too(old: Old, new: New) -> None:
    old.fill(1, 600)
    old.fill(602, 700)
    new.imported(old.url())
    old.fill(601, 601)
    assert new.imported(old.url()).startswith("Imported 1 incident of the original service, 700 in all, up to id 700;")
    assert new.rows("SELECT count(*), max(id) FROM incident") == [("700", "700")]
    assert new.imported(old.url()).startswith("Nothing is new: all 700")


def test_ids_that_are_taken_stop_it_before_anything_is_written(old: Old, new: New) -> None:
    assert [new.file() for _ in range(7)] == list(range(1, 8))
    old.fill(5, 1500)
    said = new.refused(old.url())
    assert "taken here by other incidents: 5, 6, 7." in said
    assert new.number("SELECT count(*) FROM incident") == 7
    assert new.number("SELECT count(*) FROM original_import") == 0
    assert new.file() == 8


def test_of_many_taken_ids_some_are_named(old: Old, new: New) -> None:
    for _ in range(8):
        new.file()
    old.fill(1, 100)
    assert "1, 2, 3, 4, 5 and more" in new.refused(old.url())


def test_a_register_that_has_other_ids_takes_them_in_between(old: Old, new: New) -> None:
    for _ in range(3):
        new.file()
    old.fill(4, 10)
    new.imported(old.url())
    assert new.rows("SELECT count(*), max(id) FROM incident") == [("10", "10")]


def test_in_the_same_database_the_old_tables_stay_as_they_were(old: Old, tmp_path: Path) -> None:
    old.fill(1, 1500)
    before = old.look()
    new = New.at(tmp_path, old.postgres, old.name)
    with new.server() as server:
        assert "found 1500 incidents of the original service" in server.said()
    assert new.imported().startswith("Imported 1,500 incidents"), "without a URL it is the settings' own database"
    assert old.look() == before
    assert new.number("SELECT count(*) FROM incident") == 1500
    with new.server() as server:
        assert filed(server) == 1501
        assert "of the original service" not in server.said()
    assert old.look() == before


def test_with_the_original_s_five_settings_no_url_is_needed(old: Old, tmp_path: Path) -> None:
    old.fill(1, 3)
    parts = {"DB_NAME": old.name, "DB_USER": "user", "DB_PASSWORD": "password", "DB_HOST": "127.0.0.1"}
    new = New(tmp_path, old.postgres, old.name)
    new.environment |= parts | {"DB_PORT": str(old.postgres.port)}
    assert new.imported().startswith("Imported 3 incidents")


def test_another_database_is_only_read(old: Old, new: New) -> None:
    old.fill(1, 600)
    before = old.look()
    new.imported(old.url())
    assert old.look() == before
    assert old.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "2"


def test_a_reader_s_rights_are_enough(old: Old, on_sqlite: New) -> None:
    old.fill(1, 3)
    old.sql("CREATE ROLE looker LOGIN PASSWORD 'looks'; GRANT SELECT ON incidents, alembic_version TO looker")
    url = old.url("looks").replace("//user:", "//looker:")
    assert on_sqlite.imported(url).startswith("Imported 3 incidents")


def test_long_descriptions_are_kept_whole(old: Old, new: New) -> None:
    for id, length in ((1, 70_000), (2, 6_000_000), (3, 10), (4, 6_000_000)):
        old.sql(
            "INSERT INTO incidents (id, description, status, source, created_at) "
            f"VALUES ({id}, repeat('ж', {length}), 'NEW', 'OPERATOR', now())"
        )
    new.imported(old.url())
    assert new.rows("SELECT length(description) FROM incident ORDER BY id") == [
        ("70000",),
        ("6000000",),
        ("10",),
        ("6000000",),
    ]


def test_on_postgresql_it_runs_beside_the_server(old: Old, tmp_path: Path, postgres: Postgres) -> None:
    old.fill(1, 5000)
    new = New.made("postgresql", tmp_path, postgres)
    with new.server() as server:
        new.imported(old.url())
        assert filed(server) == 5001
        assert shown(server, 5000)[0] == "Самокат 5000"


def test_on_sqlite_the_server_must_be_stopped_first(old: Old, on_sqlite: New) -> None:
    old.fill(1, 3)
    with on_sqlite.server():
        assert "in use by another Tocsin" in on_sqlite.refused(old.url())
    assert on_sqlite.number("SELECT count(*) FROM incident") == 0


def test_an_empty_original_is_no_trouble(old: Old, new: New) -> None:
    assert new.imported(old.url()) == "The original service has no incidents; there is nothing to import."


def test_it_says_how_far_it_is(old: Old, on_sqlite: New) -> None:
    old.fill(1, 2000)
    lines = on_sqlite.run(old.url()).stderr.splitlines()
    assert lines[-1] == "imported 2,000 of 2,000"
    assert 1 < len(lines) <= 10


CHANGED: dict[str, tuple[str, str]] = {
    "no table": ("DROP TABLE incidents", "holds no table `incidents` of the original service"),
    "a column less": ("ALTER TABLE incidents DROP COLUMN source CASCADE", "the column `source` is missing"),
    "a column more": ("ALTER TABLE incidents ADD COLUMN note text", "the column `note` is unknown"),
    "another type": (
        "ALTER TABLE incidents ALTER COLUMN created_at TYPE timestamp",
        "the column `created_at` is timestamp without time zone, not timestamp with time zone",
    ),
    "another status": (
        "ALTER TYPE incidentstatus ADD VALUE 'ESCALATED'; UPDATE incidents SET status = 'ESCALATED' WHERE id = 2",
        "a status that the original does not know: ESCALATED; it knows NEW, IN_PROGRESS, RESOLVED, CLOSED",
    ),
    "another source": (
        "ALTER TYPE incidentsource RENAME VALUE 'PARTNER' TO 'FRIEND'",
        "a source that the original does not know: FRIEND;",
    ),
    "no time": ("UPDATE incidents SET created_at = 'infinity' WHERE id = 2", "with an id below 1: 2."),
    "a negative id": ("UPDATE incidents SET id = -5 WHERE id = 1", "with an id below 1: -5."),
    "no rights": ("ALTER TABLE incidents OWNER TO postgres", "permission denied for table incidents"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_is_not_the_original_s_is_refused(old: Old, on_sqlite: New, case: str) -> None:
    old.fill(1, 5)
    change, reason = CHANGED[case]
    old.sql(change)
    assert reason in on_sqlite.refused(old.url())
    assert not (on_sqlite.folder / "data").exists()


def test_another_revision_with_the_same_columns_is_taken(old: Old, on_sqlite: New) -> None:
    old.fill(1, 3)
    old.sql("UPDATE alembic_version SET version_num = 'abcdef012345'")
    assert on_sqlite.imported(old.url()).startswith("Imported 3 incidents")


UNREACHABLE: dict[str, Callable[[Old], str]] = {
    "a wrong password": lambda old: old.url(PASSWORD),
    "no such host": lambda old: f"postgresql://user:{PASSWORD}@nowhere.invalid/database",
    "nobody listens": lambda old: f"postgresql://user:{PASSWORD}@127.0.0.1:1/database",
    "no such database": lambda old: old.url().replace(old.name, "nothing"),
    "a piece of the password as port": lambda old: f"postgresql://user:{PASSWORD}",
    "a slash in the password": lambda old: f"postgresql://user:ab/{PASSWORD}@127.0.0.1/database",
    "a question mark in the password": lambda old: f"postgresql://user:ab?{PASSWORD}@127.0.0.1/database",
    "a hash in the password": lambda old: f"postgresql://user:ab#{PASSWORD}@127.0.0.1/database",
    "the password in the query": lambda old: f"postgresql://127.0.0.1:1/database?user=u&password={PASSWORD}",
    "another kind of database": lambda old: f"mysql://user:{PASSWORD}@127.0.0.1/database",
    "no URL at all": lambda old: "database",
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_what_cannot_be_reached_is_one_sentence_without_the_password(old: Old, on_sqlite: New, case: str) -> None:
    said = on_sqlite.refused(UNREACHABLE[case](old))
    assert PASSWORD not in said
    assert not (on_sqlite.folder / "data").exists()


def test_without_a_url_it_must_be_plain_where_to_look(on_sqlite: New, tmp_path: Path, postgres: Postgres) -> None:
    assert "say which database the original service used" in on_sqlite.refused()
    empty = New.made("postgresql", tmp_path, postgres)
    assert "holds no table `incidents`" in empty.refused()


def test_the_command_s_help_reads_well(on_sqlite: New) -> None:
    said = " ".join(on_sqlite.imported("--help").split())
    assert "Its own table is only read" in said


def shown(server: Server, id: int) -> tuple[str, ...]:
    answer = server.ask("GET", f"/api/incidents/{id}", key=KEY)
    assert answer.status == 200, answer.body
    incident = answer.body.get("incident", answer.body)
    return tuple(incident[name] for name in ("description", "status", "source", "created_at"))


def filed(server: Server) -> int:
    answer = server.ask("POST", "/api/incidents", {"description": "new", "source": "operator"}, key=KEY)
    assert answer.status == 201, answer.body
    return int(answer.body["incident"]["id"])
