"""`tocsin backup` and `tocsin restore`: what was backed up beside the server comes back whole, or not at all."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from tests.world import World
from tocsin import start
from tocsin.cli import app
from tocsin.db import migrate, sqlite_backup
from tocsin.db.contents import CannotCopy
from tocsin.db.postgres_tools import first_line, tools_for, way_to
from tocsin.db.sqlite import driver, make_engine
from tocsin.settings import Settings
from tocsin.start import CannotStart

ON_SQLITE = pytest.mark.parametrize("world", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("world", ["postgresql"], indirect=True)


class Desk:
    """Somebody at the command line, with a register that runs and places for others."""

    def __init__(self, world: World, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.world, self.folder, self._patch, self._places = world, folder, patch, 0
        self.backups = folder / "backups"
        self.backups.mkdir()
        world.restarts(data_dir=folder / "data")
        if self.postgres is not None:
            patch.setenv("PATH", f"{self.postgres.bin}:/usr/bin:/bin")

    @property
    def postgres(self) -> Any:
        return self.world._stage._server() if self.world.service.db.name == "postgresql" else None

    def runs(self, *words: object, at: Settings | None = None) -> Result:
        self._patch.setattr("tocsin.settings.load", lambda: at or self.world.service.settings)
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit | CannotStart):
            raise result.exception
        return result

    def does(self, *words: object, at: Settings | None = None) -> Result:
        result = self.runs(*words, at=at)
        assert result.exit_code == 0, result.exception
        return result

    def refused(self, *words: object, at: Settings | None = None) -> str:
        result = self.runs(*words, at=at)
        assert isinstance(result.exception, CannotStart), result.output
        return str(result.exception)

    def backup(self) -> Path:
        return Path(self.does("backup", self.backups).stdout.strip())

    def elsewhere(self) -> Settings:
        """An empty place of the same kind."""
        self._places += 1
        where: dict[str, Any] = {"data_dir": self.folder / f"place-{self._places}", "database_url": None}
        if self.postgres is not None:
            where["database_url"] = SecretStr(self.postgres.create_database())
        return self.world.service.settings.model_copy(update=where)

    def moves_to(self, place: Settings) -> None:
        """The people go on there."""
        self.world.restarts(data_dir=place.data_dir, database_url=place.database_url)


@pytest.fixture
def desk(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(world, tmp_path, monkeypatch)


def test_a_backup_is_made_beside_the_server_and_says_what_it_holds(desk: Desk) -> None:
    for number in range(3):
        desk.world.ada.files(f"POS {number}")
    made = desk.does("backup")
    file = Path(made.stdout.strip())
    assert made.stdout == f"{file}\n"
    assert re.fullmatch(r"tocsin-\d{8}T\d{6}Z\.(db|dump)", file.name)
    assert file.parent == desk.world.service.settings.data_dir / "backups"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Read back whole and sound: schema " in made.stderr
    assert re.search(r"^    incident +3$", made.stderr, re.MULTILINE)
    assert re.search(r"the newest entry is \d+ of 2026-11-23 08:15:30 UTC", made.stderr)
    assert desk.world.ada.files("after it").status == 201
    assert [each.name for each in file.parent.iterdir() if "part" in each.name] == []


def test_what_was_backed_up_comes_back_whole(desk: Desk) -> None:
    world = desk.world
    incident = world.ada.filed("Самокат 875643\tне отвечает\n\\N")
    world.bob.moves(incident, "in_progress")
    world.probe.reports("POS 12", dedup_key="pos/12")
    world.admin.post("/api/channels", {"name": "Hook", "kind": "webhook", "config": {"url": "https://example.com"}})
    before = (world.ada.lists().json, world.admin.timeline().json, world.admin.get("/api/channels").json)
    file = desk.backup()
    later = world.ada.filed("after the backup")
    place = desk.elsewhere()
    done = desk.does("restore", file, at=place)
    assert done.stdout.startswith("Restored: schema ")
    assert "The channels' secrets can be opened." in done.stderr
    desk.moves_to(place)
    assert (world.ada.lists().json, world.admin.timeline().json, world.admin.get("/api/channels").json) == before
    assert world.ada.sees(later["id"]).status == 404
    assert world.ada.filed("and on")["id"] == later["id"], "ids go on after those of the backup"


def test_a_backup_is_never_written_over_and_needs_a_folder(desk: Desk) -> None:
    file = desk.backups / "mine"
    assert desk.does("backup", file).stdout == f"{file}\n"
    before = file.read_bytes()
    assert "is there already, and a backup is never written over" in desk.refused("backup", file)
    assert file.read_bytes() == before
    assert "there is no folder" in desk.refused("backup", desk.folder / "nowhere" / "mine")
    assert "--keep goes with a folder" in desk.refused("backup", desk.backups / "other", "--keep", 1)


def test_where_no_register_is_there_is_nothing_to_back_up(desk: Desk) -> None:
    place = desk.elsewhere()
    assert "no register" in desk.refused("backup", desk.backups, at=place)
    assert list(desk.backups.iterdir()) == []
    assert not place.data_dir.exists()


def test_keep_removes_the_oldest_of_its_own_with_their_keys_and_nothing_else(desk: Desk) -> None:
    old = [f"tocsin-2025010{day}T030000Z.db" for day in (1, 2, 3)]
    others = ["tocsin-20240101.db", "tocsin-20240101T030000Z.db.old", "notes"]
    for name in (*old, f"{old[0]}.secret-key", f"{old[2]}.secret-key", *others):
        (desk.backups / name).touch()
    new = Path(desk.does("backup", desk.backups, "--keep", 2).stdout.strip())
    left = {file.name for file in desk.backups.iterdir()}
    assert left - {f"{new.name}.secret-key"} == {new.name, old[2], f"{old[2]}.secret-key", *others}


def test_a_failed_backup_removes_nothing_and_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.backups / "tocsin-20250101T030000Z.db").touch()

    def fail(*_: object) -> None:
        raise CannotCopy("it is damaged")

    for engine in ("sqlite_backup.read_back", "postgres_backup.read_archive"):
        monkeypatch.setattr(f"tocsin.db.{engine}", fail)
    assert "it is damaged" in desk.refused("backup", desk.backups, "--keep", 1)
    assert [file.name for file in desk.backups.iterdir()] == ["tocsin-20250101T030000Z.db"]


def test_what_a_killed_backup_left_goes_with_the_next(desk: Desk) -> None:
    left, others = desk.backups / ".tocsin-20250101T030000Z.db.tocsin-part", desk.backups / ".film.part"
    left.touch()
    others.touch()
    desk.backup()
    assert not left.exists()
    assert others.exists()


def test_a_register_that_is_there_is_set_aside_and_not_deleted(desk: Desk) -> None:
    world, place = desk.world, desk.elsewhere()
    first = world.ada.filed("in the backup")
    file = desk.backup()
    desk.does("restore", file, at=place)
    desk.moves_to(place)
    world.ada.files("only in the old one")
    world.restarts(data_dir=desk.folder / "data")
    assert "--replace" in desk.refused("restore", file, at=place)
    done = desk.does("restore", file, "--replace", at=place)
    desk.moves_to(place)
    assert world.ada.lists().ids == [first["id"]]
    aside = re.search(r"is now (?:the schema )?(.*?);", done.stderr.replace("\n", " "))
    assert aside is not None
    assert held_aside(desk, place, aside[1]) == ["in the backup", "only in the old one"]


def held_aside(desk: Desk, place: Settings, name: str) -> list[str]:
    if desk.postgres is not None:
        assert place.database_url is not None
        database = place.database_url.get_secret_value().rpartition("/")[2]
        rows: str = desk.postgres.psql(f"SELECT description FROM {name}.incident ORDER BY id", database)
        return rows.splitlines()
    with closing(sqlite3.connect(name)) as line:
        return [text for (text,) in line.execute("SELECT description FROM incident ORDER BY id")]


def test_what_is_no_good_backup_is_refused_and_nothing_changes(desk: Desk) -> None:
    for number in range(40):
        desk.world.ada.files(f"{number} " + "я" * 3000)
    file, place = desk.backup(), desk.elsewhere()
    whole = file.read_bytes()
    bad = desk.folder / "bad"
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:-10], scratched(whole)):
        bad.write_bytes(content)
        said = desk.refused("restore", bad, at=place)
        assert re.search("no backup|cut off|malformed|damaged", said), said
        assert not place.sqlite_file.exists()
        assert not (place.data_dir / "secret-key").exists()
    assert "cannot be read: No such file" in desk.refused("restore", desk.folder / "nothing", at=place)
    desk.does("restore", file, at=place)


def scratched(whole: bytes) -> bytes:
    """A piece in the middle is noise."""
    middle = len(whole) // 2
    return whole[:middle] + bytes(range(256)) * 64 + whole[middle + 256 * 64 :]


def test_a_backup_of_the_other_engine_is_told_from_a_damaged_one(desk: Desk) -> None:
    other, kind = (b"SQLite format 3\0", "SQLite") if desk.postgres is not None else (b"PGDMP\1", "PostgreSQL")
    file = desk.folder / "other"
    file.write_bytes(other)
    assert f"is a backup of {kind}, and the settings name" in desk.refused("restore", file)


def test_a_backup_of_a_newer_tocsin_is_refused(desk: Desk) -> None:
    def now_at(revision: str) -> None:
        desk.world.reads(lambda reader: None)
        if desk.postgres is not None:
            url = desk.world.service.settings.postgres_url
            assert url is not None
            desk.postgres.psql(f"UPDATE tocsin_version SET version_num = '{revision}'", url.rpartition("/")[2])
        else:
            # Through the server's own library: another one in the same process would undo its locks.
            with closing(driver.connect(desk.world.service.settings.sqlite_file)) as line, line:
                line.execute("UPDATE tocsin_version SET version_num = ?", (revision,))

    known = migrate.known_revisions
    now_at("9999")
    try:
        assert "9999" in desk.refused("backup", desk.backups), "nobody knows what its tables are"
        with pytest.MonkeyPatch.context() as patch:
            for module in ("migrate", "postgres_backup"):
                patch.setattr(f"tocsin.db.{module}.known_revisions", lambda: [*known(), "9999"], raising=False)
            file = desk.backup()
    finally:
        now_at(known()[-1])
    assert "newer Tocsin" in desk.refused("restore", file, at=desk.elsewhere())


@ON_SQLITE
def test_a_backup_of_an_older_tocsin_is_taken_and_brought_up_to_date_at_the_next_start(desk: Desk) -> None:
    old, place = desk.folder / "old.db", desk.elsewhere()
    made_at("0002", old)
    said = desk.does("restore", old, at=place).stderr
    assert "Its schema is older: the next start" in said
    desk.does("migrate", at=place)
    assert sqlite_backup.read_back(place.sqlite_file).revision == migrate.known_revisions()[-1]


def made_at(revision: str, file: Path) -> None:
    """A register as an older Tocsin made it."""
    engine = make_engine(file, "rwc")
    config = Config()
    config.set_main_option("script_location", str(migrate.TREE))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


@ON_SQLITE
def test_a_copy_of_a_whole_data_directory_is_a_backup_too(desk: Desk) -> None:
    """With the log beside it, in which the newest changes still are."""
    incident = desk.world.ada.filed("in the log")
    copy = desk.folder / "copy"
    shutil.copytree(desk.world.service.settings.data_dir, copy)
    assert (copy / "tocsin.db-wal").stat().st_size > 0
    place = desk.elsewhere()
    desk.does("restore", copy / "tocsin.db", at=place)
    desk.moves_to(place)
    assert desk.world.ada.lists().ids == [incident["id"]]


@ON_SQLITE
def test_a_damaged_register_is_set_aside_with_its_log_and_cannot_spoil_the_new_one(desk: Desk) -> None:
    file, place = desk.backup(), desk.elsewhere()
    place.data_dir.mkdir()
    log = place.sqlite_file.with_name("tocsin.db-wal")
    place.sqlite_file.write_bytes(b"noise" * 1000)
    log.write_bytes(b"more noise")
    said = desk.does("restore", file, "--replace", at=place).stderr
    [aside] = re.findall(r"is now (\S*);", said)
    assert Path(aside).read_bytes() == b"noise" * 1000
    assert Path(f"{aside}-wal").read_bytes() == b"more noise"
    assert sqlite_backup.read_back(place.sqlite_file).rows["api_key"] > 0


@ON_SQLITE
def test_a_log_that_lies_there_alone_counts_as_a_register(desk: Desk) -> None:
    """Beside the restored file it would be played into it."""
    file, place = desk.backup(), desk.elsewhere()
    place.data_dir.mkdir()
    place.sqlite_file.with_name("tocsin.db-wal").write_bytes(b"of an older one")
    assert "--replace" in desk.refused("restore", file, at=place)
    desk.does("restore", file, "--replace", at=place)
    [aside] = place.data_dir.glob("tocsin.db.before-*-wal")
    assert aside.read_bytes() == b"of an older one"


@ON_SQLITE
def test_a_register_that_is_served_is_not_replaced(desk: Desk) -> None:
    file = desk.backup()
    settings = desk.world.service.settings
    release = start.hold_data(settings)
    try:
        assert "is in use by another Tocsin" in desk.refused("restore", file, "--replace")
    finally:
        release()
    # Somebody beside the lock, such as SQLite's own shell.
    assert "another program has" in desk.refused("restore", file, "--replace")
    assert desk.world.ada.files("it goes on").status == 201
    assert "is the register itself" in desk.refused("restore", settings.sqlite_file, "--replace")


@ON_POSTGRES
def test_a_database_that_is_served_is_not_replaced(desk: Desk) -> None:
    file = desk.backup()
    assert re.search("open to this database: stop Tocsin there", desk.refused("restore", file, "--replace"))
    assert desk.world.ada.files("it goes on").status == 201


@ON_POSTGRES
def test_the_tables_of_others_are_neither_backed_up_nor_touched(desk: Desk) -> None:
    place = desk.elsewhere()
    assert place.postgres_url is not None
    database = place.postgres_url.rpartition("/")[2]
    desk.postgres.psql("CREATE TABLE incidents (id int); INSERT INTO incidents VALUES (7)", database)
    desk.does("restore", desk.backup(), at=place)
    again = Path(desk.does("backup", desk.backups / "again.dump", at=place).stdout.strip())
    desk.does("restore", again, "--replace", at=place)
    assert desk.postgres.psql("SELECT id FROM incidents", database) == "7"


@ON_POSTGRES
def test_a_restore_that_the_database_refuses_leaves_it_as_it_was(desk: Desk) -> None:
    """An index has the name of one of ours: found when half of the tables are there."""
    file, place = desk.backup(), desk.elsewhere()
    assert place.postgres_url is not None
    database = place.postgres_url.rpartition("/")[2]
    desk.postgres.psql("CREATE TABLE other (id int); CREATE INDEX ix_report_request ON other (id)", database)
    said = desk.refused("restore", file, at=place)
    assert "the database refused it and is as it was: relation" in said
    assert desk.postgres.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database) == "other"


def test_the_key_that_opens_channel_secrets_comes_along(desk: Desk) -> None:
    desk.world.admin.post(
        "/api/channels", {"name": "Hook", "kind": "webhook", "config": {"url": "https://example.com"}}
    )
    file, place = desk.backup(), desk.elsewhere()
    key = file.with_name(f"{file.name}.secret-key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() == (desk.world.service.settings.data_dir / "secret-key").read_text()
    place.data_dir.mkdir()
    mine = place.data_dir / "secret-key"
    mine.write_text("another key that seals other secrets\n")
    assert "another secret-key is here already" in desk.refused("restore", file, at=place)
    said = desk.does("restore", file, "--replace", at=place).stderr
    assert mine.read_text() == key.read_text()
    [aside] = place.data_dir.glob("secret-key.before-*")
    assert aside.read_text() == "another key that seals other secrets\n"
    assert "secrets can be opened" in said


def test_a_key_of_the_settings_stays_with_the_settings(desk: Desk) -> None:
    theirs = {"secret_key": SecretStr("x" * 40)}
    desk.world.admin.post(
        "/api/channels", {"name": "Hook", "kind": "webhook", "config": {"url": "https://example.com"}}
    )
    made = desk.does("backup", desk.backups, at=desk.world.service.settings.model_copy(update=theirs))
    assert "TOCSIN_SECRET_KEY, which is not in the backup" in made.stderr
    assert list(desk.backups.glob("*.secret-key")) == []
    done = desk.does("restore", made.stdout.strip(), at=desk.elsewhere().model_copy(update=theirs))
    assert "secrets cannot be opened: sealed with another key" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("postgresql://u:p%40%2F@h:5432/d", "postgresql://u@h:5432/d", None),
        ("postgres://u:p%40%2F@h1:1,h2:2/d?target_session_attrs=read-write",
         "postgres://u@h1:1,h2:2/d?target_session_attrs=read-write", None),
        ("postgresql://[::1]/d?user=u&password=p%40/&sslmode=require", "postgresql://[::1]/d?user=u&sslmode=require",
         None),
        ("postgresql://u:p%40%2F@h/d?search_path=a b", "postgresql://u@h/d", "-c search_path=a\\ b"),
    ],
)  # fmt: skip
def test_a_password_is_never_on_a_command_line(url: str, shown: str, options: str | None) -> None:
    said, environment = way_to(url)
    assert said == shown
    assert environment["PGPASSWORD"] == "p@/"
    assert environment.get("PGOPTIONS") == options


def test_a_secret_that_no_environment_can_hold_is_refused() -> None:
    with pytest.raises(CannotCopy, match="sslpassword"):
        way_to("postgresql://u@h/d?sslpassword=secret")


Pretend = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Only these versions of PostgreSQL's programs are on this machine."""

    def pretend(*versions: int) -> None:
        folders = []
        for version in versions:
            folder = tmp_path / f"tools-{version}"
            folder.mkdir()
            folders.append(str(folder))
            for program in ("pg_dump", "pg_restore", "psql"):
                (folder / program).write_text(f'#!/bin/sh\necho "{program} (PostgreSQL) {version}.4 (Debian)"\n')
                (folder / program).chmod(0o755)
        monkeypatch.setattr("tocsin.db.postgres_tools.PLACES", ())
        monkeypatch.setenv("PATH", ":".join(folders))

    return pretend


def test_the_nearest_version_of_the_programs_serves(installed: Pretend) -> None:
    installed(13, 17, 15)
    assert [each.major for each in tools_for(15)] == [15, 17]
    assert [each.major for each in tools_for(16)] == [17]


def test_programs_that_are_too_old_are_named_with_what_would_help(installed: Pretend) -> None:
    installed(13)
    with pytest.raises(CannotCopy, match=r"of version 15 or newer are needed \(found: 13 in .*postgresql-client-15"):
        tools_for(15)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('psql:<stdin>:12: ERROR:  relation "x" already exists\nmore', 'relation "x" already exists'),
        ("pg_restore: warning: odd\npg_restore: error: could not read: end of file", "could not read: end of file"),
        ("pg_dump: error: connection failed: FATAL:  no such user", "connection failed: FATAL:  no such user"),
        ("", "it ended without a word"),
    ],
)
def test_what_a_program_complains_of_is_one_line(said: str, line: str) -> None:
    assert first_line(said) == line
