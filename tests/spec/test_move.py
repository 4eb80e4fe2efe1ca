"""`tocsin move`: the register goes from SQLite to PostgreSQL, whole and once, however often it is interrupted."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Boolean, Column, Integer, MetaData, Numeric, Table, select
from sqlalchemy.dialects import postgresql
from typer.testing import CliRunner, Result

from tests.postgres import Postgres
from tests.world import World
from tocsin import start
from tocsin.cli import app
from tocsin.db import moving
from tocsin.db.columns import Checksum, changed, changes, counted
from tocsin.db.schema import Moment, metadata
from tocsin.db.sqlite import driver
from tocsin.kit.clock import microseconds
from tocsin.settings import Settings
from tocsin.start import CannotStart

pytestmark = pytest.mark.parametrize("world", ["sqlite"], indirect=True)

SAME = "Counts and checksums are the same on both sides."


class Mover:
    """Somebody at the command line, with a register on SQLite and an empty database."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.world, self._patch = world, patch
        self.postgres: Postgres = world._stage._server()
        self.url = self.postgres.create_database()
        self.settings = world.service.settings

    def leaves(self) -> None:
        """The server ends; a move wants the register for itself."""
        self.world.hang_up()
        self.world.run(self.world._server.close())

    def arrives(self) -> None:
        """The server starts on the new database."""
        start.prepare_beside(self.target)
        self.world.open(database_url=SecretStr(self.url))

    @property
    def target(self) -> Settings:
        return self.settings.model_copy(update={"database_url": SecretStr(self.url)})

    def runs(self, *words: str, at: Settings | None = None) -> Result:
        self._patch.setattr("tocsin.settings.load", lambda: at or self.settings)
        result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit | CannotStart):
            raise result.exception
        return result

    def moves(self) -> Result:
        done = self.runs("move", self.url)
        assert done.exit_code == 0, done.exception
        assert SAME in done.stdout
        return done

    def refused(self, url: str | None = None, at: Settings | None = None) -> str:
        result = self.runs("move", url or self.url, at=at)
        assert isinstance(result.exception, CannotStart), result.output
        return str(result.exception)

    def stops_after(self, pieces: int) -> str:
        """The connection breaks in the middle of a piece; gives what is said."""
        put, done = moving._put, 0

        async def break_off(*args: Any) -> None:
            nonlocal done
            await put(*args)
            if (done := done + 1) > pieces:
                raise ConnectionResetError("the connection was reset")

        with self._patch.context() as patch:
            patch.setattr(moving, "_put", break_off)
            return self.refused()

    def sql(self, statement: str) -> str:
        return self.postgres.psql(statement, self.url.rpartition("/")[2])


@pytest.fixture
def mover(world: World, monkeypatch: pytest.MonkeyPatch) -> Mover:
    monkeypatch.setattr("tocsin.db.move_source.PIECE", 3)
    return Mover(world, monkeypatch)


@pytest.fixture
def lived_in(mover: Mover) -> Mover:
    """With something in most tables."""
    world = mover.world
    incident = world.ada.filed(
        "Самокат 875643\tне отвечает\n\\N 🛴", asset="scooter 875643", labels={"ключ": "зн\"ач'"}
    )
    world.bob.moves(incident, "in_progress")
    world.bob.edits(incident, description="другими словами")
    world.acme.files("a partner's", once="acme-1")
    for number in range(8):
        world.pagerduty.triggers(summary=f"POS {number} does not answer")
    hook = {"name": "Hook", "kind": "webhook", "config": {"url": "https://example.com"}}
    channel = world.admin.post("/api/channels", hook).json["channel"]
    world.admin.post("/api/subscriptions", {"channel_id": channel["id"]})
    world.ada.files("told to somebody")
    world.visits(world.ada)
    return mover


def test_everything_arrives_and_goes_on(lived_in: Mover) -> None:
    world = lived_in.world

    def look() -> list[Any]:
        lists = (world.ada.lists(), world.admin.timeline(), world.admin.get("/api/channels"))
        return [each.json for each in (*lists, world.admin.get("/api/subscriptions"), world.acme.lists())]

    before, newest = look(), world.ada.lists().ids[0]
    lived_in.leaves()
    done = lived_in.moves()
    assert "TOCSIN_DATABASE_URL=postgresql://postgres:***@" in done.stderr
    assert lived_in.postgres.password not in done.output
    lived_in.arrives()
    assert look() == before
    assert world.acme.files("a partner's", once="acme-1").headers["Idempotency-Replayed"] == "true"
    assert world.ada.filed("and on")["id"] == newest + 1


def test_an_id_that_was_given_out_once_is_never_given_out_again(mover: Mover) -> None:
    ids = [mover.world.ada.filed(f"{number}")["id"] for number in range(3)]
    mover.leaves()
    with closing(sqlite3.connect(mover.settings.sqlite_file)) as line, line:
        line.execute("DELETE FROM incident")
    mover.moves()
    mover.arrives()
    assert mover.world.ada.filed("the next")["id"] == ids[-1] + 1


def test_the_sqlite_file_holds_the_same_afterwards(lived_in: Mover) -> None:
    lived_in.leaves()
    before = dump(lived_in.settings.sqlite_file)
    lived_in.moves()
    assert dump(lived_in.settings.sqlite_file) == before


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as line:
        return list(line.iterdump())


@pytest.mark.parametrize("pieces", [0, 1, 4, 9])
def test_an_interrupted_move_goes_on_where_it_was(lived_in: Mover, pieces: int) -> None:
    lived_in.leaves()
    assert "the same command goes on where it was" in lived_in.stops_after(pieces)
    came = int(lived_in.sql("SELECT sum(came) FROM unfinished_move"))
    assert (came > 0) == (pieces > 0)
    done = lived_in.moves()
    assert (f"Going on: {came} of" in " ".join(done.stderr.split())) == (came > 0)
    assert lived_in.sql("SELECT count(*) = count(DISTINCT id) FROM entry") == "t"


def test_until_it_is_complete_nothing_starts_on_the_new_database(lived_in: Mover) -> None:
    lived_in.leaves()
    lived_in.stops_after(2)
    for begin in (start.prepare, start.prepare_beside):
        with pytest.raises(CannotStart, match="a move from SQLite into this database is not finished"):
            begin(lived_in.target)
    for words in (["keys", "list"], ["migrate", "--check"], ["backup"]):
        assert "is not finished" in str(lived_in.runs(*words, at=lived_in.target).exception), words
    assert lived_in.runs("keys", "list").exit_code == 0, "the old one is the register until then"


def test_a_register_that_was_used_meanwhile_is_moved_from_the_beginning(lived_in: Mover) -> None:
    lived_in.leaves()
    lived_in.stops_after(6)
    assert lived_in.runs("keys", "create", "--name", "meanwhile").exit_code == 0
    done = lived_in.moves()
    assert "Going on" not in done.stderr
    assert lived_in.sql("SELECT count(*) FROM api_key WHERE name = 'meanwhile'") == "1"


def test_a_difference_is_found_and_the_next_run_starts_over(lived_in: Mover) -> None:
    """A value of a row that came already changes on one side, and nothing else tells it."""
    lived_in.leaves()
    lived_in.stops_after(15)
    assert lived_in.sql("UPDATE entry SET kind = kind || ' ' WHERE id = 1 RETURNING id") == "1"
    said = lived_in.refused()
    assert re.search(r"the table entry is not the same on both sides \((\d+) and \1 rows\)", said)
    assert lived_in.sql("SELECT count(*) FROM incident") == "0"
    lived_in.moves()


def test_a_register_that_is_held_is_not_moved(mover: Mover) -> None:
    release = start.hold_data(mover.settings)
    try:
        assert "is in use by another Tocsin" in mover.refused()
    finally:
        release()
    assert mover.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


def test_nobody_writes_to_the_register_while_it_moves(mover: Mover, monkeypatch: pytest.MonkeyPatch) -> None:
    mover.leaves()
    seen: list[str] = []

    async def look(self: Any, show: Any) -> None:
        with closing(driver.connect(mover.settings.sqlite_file, timeout=0, isolation_level=None)) as line:
            with pytest.raises(driver.OperationalError, match="locked") as refused:
                line.execute("BEGIN IMMEDIATE")
            seen.append(str(refused.value))

    monkeypatch.setattr(moving.Move, "compare", look)
    assert mover.runs("move", mover.url).exit_code == 0
    assert len(seen) == 1


def test_a_database_that_holds_a_register_is_refused_and_stays_as_it_is(lived_in: Mover) -> None:
    lived_in.leaves()
    start.prepare(lived_in.target)
    before = lived_in.sql("SELECT * FROM api_key")
    assert "holds something of Tocsin's already" in lived_in.refused()
    assert lived_in.sql("SELECT * FROM api_key") == before
    assert lived_in.sql("SELECT to_regclass('unfinished_move') IS NULL") == "t"


def test_a_move_that_is_complete_is_not_done_again(lived_in: Mover) -> None:
    lived_in.leaves()
    lived_in.moves()
    assert "A move that is complete needs nothing more" in lived_in.refused()
    assert lived_in.sql("SELECT count(*) > 0 FROM incident") == "t"


def test_the_unfinished_move_of_another_register_is_left_alone(lived_in: Mover, tmp_path: Path) -> None:
    lived_in.leaves()
    lived_in.stops_after(4)
    before = lived_in.sql("SELECT * FROM unfinished_move ORDER BY name")
    other = lived_in.settings.model_copy(update={"data_dir": tmp_path / "other"})
    start.prepare(other).release()
    assert "the move of another register into this database is not finished" in lived_in.refused(at=other)
    assert lived_in.sql("SELECT * FROM unfinished_move ORDER BY name") == before
    lived_in.moves()


def test_the_original_s_tables_are_left_alone(mover: Mover) -> None:
    mover.sql("CREATE TABLE incidents (id int); INSERT INTO incidents VALUES (7)")
    mover.leaves()
    mover.moves()
    assert mover.sql("SELECT id FROM incidents") == "7"


def test_a_database_that_others_use_is_refused(mover: Mover) -> None:
    """A server that has only just started there leaves no other trace."""
    mover.leaves()
    start.prepare_beside(mover.target)
    mover.world.open(database_url=SecretStr(mover.url))
    assert "open to this database: stop Tocsin there" in mover.refused()


Wrong = Callable[[str], str]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda url: url.replace("postgresql://", "mysql://"), "begins with postgresql://"),
        (lambda url: re.sub(":[0-9a-f]+@", ":hun/ter2@", url), "cannot be understood"),
        (lambda url: re.sub(":[0-9a-f]+@", ":hunter2@", url), "password authentication failed"),
        (lambda url: url + "_not", "does not exist"),
        (lambda url: re.sub(r":\d+/", ":1/", url), "the new database cannot be used"),
    ],
)
def test_a_url_that_leads_nowhere_is_a_sentence_without_its_password(mover: Mover, wrong: Wrong, said: str) -> None:
    mover.leaves()
    refused = mover.refused(wrong(mover.url))
    assert said in refused
    assert "hun" not in refused
    assert "ter2" not in refused
    assert "\n" not in refused


def test_there_must_be_something_to_move_and_somewhere_to(mover: Mover, tmp_path: Path) -> None:
    mover.leaves()
    assert "the settings name PostgreSQL already" in mover.refused(at=mover.target)
    nothing = mover.settings.model_copy(update={"data_dir": tmp_path / "nothing"})
    assert "there is nothing to move" in mover.refused(at=nothing)
    assert not nothing.data_dir.exists()


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_how_each_column_is_copied_and_compared_has_been_thought_of(world: World, table: Table) -> None:
    changes(table)
    dialect: Any = postgresql
    select(*map(counted, table.c)).compile(dialect=dialect.dialect())


def test_a_kind_of_column_that_nobody_has_thought_of_is_an_error(world: World) -> None:
    odd = Table("odd", MetaData(), Column("id", Integer, primary_key=True), Column("price", Numeric))
    with pytest.raises(AssertionError, match="say here how a NUMERIC is copied"):
        changes(odd)
    yes = Table("yes", MetaData(), Column("id", Integer, primary_key=True), Column("on", Boolean))
    assert [changed([7, value], changes(yes)) for value in (1, 0, None)] == [[7, True], [7, False], [7, None]]


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, None], [1, ""]), ([1], ["1"]), (["a"], [b"a"]), (["ab", "c"], ["a", "bc"]), ([1, 2], [2, 1])],
)
def test_a_checksum_tells_values_apart(world: World, one: list[Any], other: list[Any]) -> None:
    assert summed(one) != summed(other)
    assert summed(one, other) == summed(other, one), "the order of rows is nobody's promise"
    assert summed(one, one) != summed()
    assert summed(one, one) != summed(other, other)


def summed(*rows: list[Any]) -> Checksum:
    found = Checksum()
    for row in rows:
        found.add(row)
    return found


@pytest.mark.parametrize("year", [1, 1969, 1970, 2026, 9999])
def test_a_time_is_the_same_number_on_both_sides(mover: Mover, year: int) -> None:
    at = datetime(year, 12, 31, 23, 59, 59, 999_999, UTC)
    times = Table("times", MetaData(), Column("at", Moment))
    mover.sql(f"CREATE TABLE times (at timestamptz); INSERT INTO times VALUES ('{at.isoformat()}')")
    dialect: Any = postgresql
    asked = str(
        select(*map(counted, times.c)).compile(dialect=dialect.dialect(), compile_kwargs={"literal_binds": True})
    )
    assert int(mover.sql(asked)) == microseconds(at)
    assert changed([microseconds(at)], changes(times)) == [at]
