"""The migrations make exactly the tables of `db/schema.py`, on both engines, and touch nobody else's."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Table, inspect, text

from tests.house.conftest import Empty
from tocsin.db import migrate
from tocsin.db.engine import open_storage
from tocsin.db.schema import metadata
from tocsin.db.transaction import Writer
from tocsin.settings import Settings

T = TypeVar("T")

STRANGERS = (
    "CREATE TABLE incidents (id INTEGER PRIMARY KEY, description TEXT)",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
    "INSERT INTO alembic_version VALUES ('somebody else')",
)
REVISIONS = list(ScriptDirectory(str(migrate.TREE)).walk_revisions())


def test_an_empty_database_gets_exactly_the_schema(empty: Empty) -> None:
    migrated, made = empty(), empty()
    bring_up(migrated)
    on(made, metadata.create_all)
    assert on(migrated, structure) == on(made, structure)


def test_alembic_sees_no_difference_even_beside_other_tables(empty: Empty) -> None:
    settings = empty()
    on(settings, add_strangers)
    bring_up(settings)
    on(settings, alembic_check)
    assert on(settings, lambda connection: connection.execute(text("SELECT * FROM alembic_version")).scalar()) == (
        "somebody else"
    )


def test_alembic_check_would_see_a_difference(empty: Empty) -> None:
    settings = empty()
    bring_up(settings)
    on(settings, lambda connection: connection.execute(text("ALTER TABLE incident ADD COLUMN surprise TEXT")))
    with pytest.raises(CommandError):
        on(settings, alembic_check)


def test_bringing_up_to_date_twice_changes_nothing(empty: Empty) -> None:
    settings = empty()
    bring_up(settings)
    before = on(settings, structure)
    state = bring_up(settings)
    assert state.current
    assert on(settings, structure) == before


def test_a_database_newer_than_the_program_is_refused(empty: Empty) -> None:
    settings = empty()
    bring_up(settings)
    on(settings, lambda connection: connection.execute(text("UPDATE tocsin_version SET version_num = '9999'")))
    with pytest.raises(migrate.SchemaTooNew, match="9999"):
        bring_up(settings)


def test_the_program_knows_the_revisions_that_alembic_knows() -> None:
    assert migrate.known_revisions() == [revision.revision for revision in reversed(REVISIONS)]


def test_the_revisions_are_one_line_upward() -> None:
    for newer, older in zip(REVISIONS, [*REVISIONS[1:], None], strict=True):
        assert newer.down_revision == (older.revision if older else None)
        assert not newer.branch_labels


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: revision.revision)
def test_a_revision_tells_its_decision_and_offers_no_way_back(revision: Any) -> None:
    assert len(revision.module.__doc__ or "") > 80, "the docstring tells why, not which columns"
    assert not hasattr(revision.module, "downgrade"), "a way back that nobody tests loses data: restore the backup"


def bring_up(settings: Settings) -> migrate.SchemaState:
    state, _ = migrate.bring_up_to_date(settings, lambda tx, told: None)
    return state


def on(settings: Settings, work: Callable[[Connection], T]) -> T:
    """One transaction on this database."""

    def whole(tx: Writer) -> T:
        tx.wrote = True
        return work(tx.bare)

    async def run() -> T:
        storage = open_storage(settings, log=lambda tx, told: None)
        try:
            return await storage.transaction(whole)
        finally:
            await storage.close()

    return asyncio.run(run())


def alembic_check(connection: Connection) -> None:
    """`alembic check`: raises where a new migration would have something to do."""
    config = Config()
    config.set_main_option("script_location", str(migrate.TREE).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.check(config)


def add_strangers(connection: Connection) -> None:
    for statement in STRANGERS:
        connection.execute(text(statement))


def structure(connection: Connection) -> dict[str, Any]:
    """Everything that the database says of our tables."""
    return {table.name: described(connection, table) for table in metadata.sorted_tables}


def described(connection: Connection, table: Table) -> dict[str, Any]:
    look = inspect(connection)
    columns = {
        column["name"]: (str(column["type"]), column["nullable"], column["default"], column.get("autoincrement"))
        for column in look.get_columns(table.name)
    }
    found: dict[str, Any] = {
        "columns": columns,
        "primary key": look.get_pk_constraint(table.name),
        "foreign keys": sorted(look.get_foreign_keys(table.name), key=str),
        "unique": sorted(look.get_unique_constraints(table.name), key=str),
        "indexes": sorted((in_words(index) for index in look.get_indexes(table.name)), key=str),
    }
    if connection.dialect.name == "sqlite":
        made = text("SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_master WHERE name = :name")
        found["ids are never used twice"] = connection.execute(made, {"name": table.name}).scalar()
    return found


def in_words(index: Any) -> dict[str, Any]:
    """A partial index's condition is an expression, and no two of those are equal."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}
