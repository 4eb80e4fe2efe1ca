"""The register that moves: SQLite's file, only read, and held against every writer until the move has ended."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, literal, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from tocsin.db.columns import Checksum, changed, changes, stored
from tocsin.db.contents import CannotCopy, Contents, contents
from tocsin.db.migrate import UnusableSchema, known_revisions
from tocsin.db.schema import api_key, entry, last_batch, metadata
from tocsin.db.sqlite import make_engine
from tocsin.settings import Settings

PIECE = 5000  # rows in one transaction
PIECE_BYTES = 8 * 1024 * 1024  # of their text and bytes: raw payloads are large
AT_ONCE = 1000  # rows that are read ahead

# Parents before children. Not `last_batch`: it holds the marks of processes that write to PostgreSQL.
TABLES = [table for table in metadata.sorted_tables if table is not last_batch]

Key = Sequence[Any]


@dataclass(frozen=True)
class Piece:
    """Rows as PostgreSQL takes them, in the order of their keys, and the last of these."""

    rows: list[list[Any]]
    last: Key


class Source:
    """`contents` counts its rows. `whose` stays for as long as it is this register, `state` as nobody has written."""

    def __init__(self, connection: Connection) -> None:
        found = contents(connection)
        if found is None:
            raise CannotCopy("it holds no register")
        if found.revision != known_revisions()[-1]:
            raise CannotCopy("its schema is older than this program: `tocsin migrate` brings it up to date")
        self._connection = connection
        self.contents: Contents = found
        self.ids: dict[str, int] = {row.name: row.seq for row in connection.execute(GIVEN_OUT)}
        self.whose = _digest([tuple(row) for first in FIRST for row in connection.execute(first)])
        self.state = _digest([sorted(found.rows.items()), found.newest, sorted(self.ids.items())])

    @property
    def rows(self) -> int:
        """Of all tables that move."""
        return sum(self.contents.rows[table.name] for table in TABLES)

    def pieces(self, table: Table, after: Key | None) -> Iterator[Piece]:
        """What comes after a key, not too many and not too large."""
        keys = list(table.primary_key)
        query = select(*map(stored, table.c)).order_by(*keys)
        if after is not None:
            known = (literal(value, key.type) for value, key in zip(after, keys, strict=True))
            query = query.where(tuple_(*keys) > tuple_(*known))
        how, places = changes(table), [list(table.c).index(key) for key in keys]
        rows: list[list[Any]] = []
        size = 0
        for row in self._connection.execute(query, execution_options={"yield_per": AT_ONCE}):
            rows.append(changed(row, how))
            size += sum(len(value) for value in row if isinstance(value, str | bytes))
            if len(rows) == PIECE or size > PIECE_BYTES:
                yield Piece(rows, [row[place] for place in places])
                rows, size = [], 0
        if rows:
            yield Piece(rows, [rows[-1][place] for place in places])

    def checksum(self, table: Table) -> Checksum:
        """Over every value of every row."""
        found = Checksum()
        query = select(*map(stored, table.c))
        for row in self._connection.execute(query, execution_options={"yield_per": AT_ONCE}):
            found.add(row)
        return found


@contextmanager
def held(settings: Settings) -> Iterator[Source]:
    """The register in SQLite, with the lock that every writer needs; raises `CannotCopy`."""
    engine = make_engine(settings.sqlite_file, "rw")
    try:
        with engine.begin() as connection:
            yield Source(connection)
    except (CannotCopy, UnusableSchema) as problem:
        raise CannotCopy(f"{problem}") from None
    except DBAPIError as problem:
        raise CannotCopy(f"{settings.sqlite_file} cannot be read: {problem.orig}") from None
    finally:
        engine.dispose()


def _digest(values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()


# Nothing of these ever changes.
FIRST = (
    select(entry.c.id, entry.c.at, entry.c.kind, entry.c.incident_id).order_by(entry.c.id).limit(1),
    select(api_key.c.id, api_key.c.created_at).order_by(api_key.c.id).limit(1),
)
GIVEN_OUT = text("SELECT name, seq FROM sqlite_sequence")
