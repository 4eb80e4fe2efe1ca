"""A table's values as they go from SQLite to PostgreSQL, and as both sides are compared afterwards.

Compared is what is stored, as whole numbers, text and bytes; a time is microseconds since 1970 on both sides, and it
is PostgreSQL that says so, not the code that has brought it there.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table, Text, cast, extract, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from tocsin.db.schema import Moment
from tocsin.kit.clock import from_microseconds_or_none

DIGEST = 16  # bytes
PLAIN = (Integer, Text, LargeBinary)  # the same on both engines; a BigInteger is an Integer

Change = Callable[[Any], Any]


def stored(column: Column[Any]) -> ColumnElement[Any]:
    """A column as SQLite keeps it."""
    return type_coerce(column, BigInteger) if _is_number(column) else column


def counted(column: Column[Any]) -> ColumnElement[Any]:
    """The same value as PostgreSQL gives it."""
    if isinstance(column.type, Moment):
        return cast(extract("epoch", column) * 1_000_000, BigInteger)
    return cast(column, Integer) if isinstance(column.type, Boolean) else column


def changes(table: Table) -> list[tuple[int, Change]]:
    """What becomes of SQLite's values on their way: place and function, where they change at all."""
    return [(place, _change(column)) for place, column in enumerate(table.c) if _is_number(column)]


def changed(row: Sequence[Any], how: Sequence[tuple[int, Change]]) -> list[Any]:
    """A row on its way."""
    values = list(row)
    for place, change in how:
        values[place] = change(values[place])
    return values


@dataclass
class Checksum:
    """Of all rows of a table, in whatever order they come: the sum of their digests, and how many they are."""

    rows: int = 0
    sum: int = 0

    def add(self, row: Sequence[Any]) -> None:
        """`repr` tells 1, '1', b'1' and None apart, and writes every value in one way only."""
        digest = hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()
        self.rows += 1
        self.sum = (self.sum + int.from_bytes(digest)) % (1 << 8 * DIGEST)


def _is_number(column: Column[Any]) -> bool:
    """Whether SQLite keeps a number in place of what it means; a kind that nobody has thought of is an error."""
    if isinstance(column.type, Moment | Boolean):
        return True
    assert isinstance(column.type, PLAIN), f"{column}: say here how a {column.type} is copied and compared"
    return False


def _change(column: Column[Any]) -> Change:
    return from_microseconds_or_none if isinstance(column.type, Moment) else _truth


def _truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)
