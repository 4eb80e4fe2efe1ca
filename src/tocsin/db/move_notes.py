"""How far a move has come, noted in the new database itself, one row for each table. Who finds the notes goes on."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, inspect, select, text, update

from tocsin.db.contents import CannotCopy
from tocsin.db.dialect import HOLD, MIGRATION_LOCK
from tocsin.db.migrate import MOVE_TABLE, VERSION_TABLE, known_revisions, upgrade
from tocsin.db.move_source import TABLES, Key, Source
from tocsin.db.schema import key_version, metadata

# None of the schema: it is here only while a move is, and no migration knows it.
notes = Table(
    MOVE_TABLE,
    MetaData(),
    Column("name", Text, primary_key=True),
    # Which register moves, and as what it was found when the move began.
    Column("whose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("last_key", Text),
    Column("came", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Note:
    """Of one table: how many rows came, and the key of the last."""

    came: int = 0
    last: Key | None = None


def take_up(connection: Connection, source: Source) -> dict[str, Note]:
    """The notes of a move of this register: new ones in an empty database, else as they are there.

    Raises `CannotCopy` where the database is anybody else's, and changes nothing then.
    """
    connection.execute(HOLD, {"lock": MIGRATION_LOCK})
    names = set(inspect(connection).get_table_names())
    if MOVE_TABLE not in names:
        _begin(connection, names, source)
        return dict.fromkeys((table.name for table in TABLES), Note())
    # For update: a backend whose process was killed may still be about to commit its last piece.
    found = {row.name: row for row in connection.execute(select(notes).with_for_update())}
    if any(row.whose != source.whose for row in found.values()):
        raise CannotCopy("the move of another register into this database is not finished: give another database")
    if not _same_schema(connection) or set(found) != {table.name for table in TABLES}:
        raise CannotCopy(
            "another version of Tocsin has begun the move: drop the new database, make it again, begin anew"
        )
    if any(row.state != source.state for row in found.values()):
        start_over(connection, source)
        return dict.fromkeys(found, Note())
    return {name: Note(row.came, _read(row.last_key)) for name, row in found.items()}


def start_over(connection: Connection, source: Source) -> None:
    """Takes out what came so far: the register was written to since, or is not the same on both sides."""
    _empty(connection)
    connection.execute(update(notes).values(state=source.state, last_key=None, came=0))


def note(connection: Connection, table: Table, before: Note, after: Note) -> None:
    """In the transaction of the piece; raises `CannotCopy` where somebody else has noted something since."""
    mine = (notes.c.name == table.name, notes.c.came == before.came)
    changed = connection.execute(update(notes).where(*mine).values(came=after.came, last_key=_written(after.last)))
    if changed.rowcount != 1:
        raise CannotCopy("another move into this database is under way")


def tear_up(connection: Connection) -> None:
    """The end: from here on a Tocsin may start on this database."""
    notes.drop(connection)


def listed(names: Iterable[str]) -> str:
    """Tables as a statement names them."""
    return ", ".join(f'"{name}"' for name in names)


def _begin(connection: Connection, names: set[str], source: Source) -> None:
    if VERSION_TABLE not in names:
        upgrade(connection)
    elif not _same_schema(connection) or (used := _used(connection)):
        raise CannotCopy(
            f"the new database holds something of Tocsin's already{f' (the table {used})' if used else ''}: "
            "give an empty one. A move that is complete needs nothing more"
        )
    _empty(connection)
    notes.create(connection)
    rows = [{"name": table.name, "whose": source.whose, "state": source.state, "came": 0} for table in TABLES]
    connection.execute(notes.insert(), rows)


def _same_schema(connection: Connection) -> bool:
    return bool(connection.scalar(text("SELECT version_num FROM tocsin_version")) == known_revisions()[-1])


def _used(connection: Connection) -> str | None:
    """A table with anything in it that no migration has put there."""
    filled = (table.name for table in metadata.sorted_tables if table is not key_version)
    return next((name for name in filled if connection.execute(select(metadata.tables[name]).limit(1)).first()), None)


def _empty(connection: Connection) -> None:
    connection.execute(text(f"TRUNCATE {listed(metadata.tables)}"))


def _written(key: Key | None) -> str | None:
    """Bytes as what they are in hexadecimal digits, in a list of their own."""
    return None if key is None else json.dumps([[v.hex()] if isinstance(v, bytes) else v for v in key])


def _read(text: str | None) -> Key | None:
    values: list[Any] | None = None if text is None else json.loads(text)
    return None if values is None else [bytes.fromhex(v[0]) if isinstance(v, list) else v for v in values]
