"""What differs between the two engines, in one file. Everything else is the same SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Connection,
    Insert,
    Select,
    Table,
    TableValuedAlias,
    Update,
    bindparam,
    column,
    func,
    insert,
    select,
    table,
    text,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_only

from tocsin.db.prepared import Preparing, Statement
from tocsin.db.schema import Moment

# Any number will do, so long as nobody else in the same database uses it: the bytes of "tocsin".
LOG_LOCK = 0x746F6373696E
MIGRATION_LOCK = LOG_LOCK + 1


Rows = Sequence[Mapping[str, Any]]


class Dialect(Protocol):
    """What a transaction needs to know of its engine."""

    name: str
    order_names_index: bool  # whether a list must name its index through its order: see `incidents/store.py`

    def tuples(
        self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]: ...

    def insert(self, connection: Connection, table: Table, rows: Rows) -> list[int]: ...

    def append(self, connection: Connection, table: Table, rows: Rows, now: datetime) -> list[int]: ...

    def add(self, connection: Connection, table: Table, rows: Rows) -> None: ...

    def update(self, connection: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Any]) -> None: ...

    def ids_go_on_after(self, connection: Connection, table: Table, id: int) -> None: ...

    def hold_log(self, connection: Connection, now: datetime) -> None: ...

    def hold_migration(self, connection: Connection) -> None: ...

    def in_transaction(self, connection: Connection) -> bool: ...


class Sqlite:
    """One writer at a time: `BEGIN IMMEDIATE` is every lock there is."""

    name = "sqlite"
    order_names_index = False

    def __init__(self) -> None:
        self._prepared = Preparing()

    def insert(self, connection: Connection, table: Table, rows: Rows) -> list[int]:
        # `insert … returning` would become one INSERT per row here. Inside BEGIN IMMEDIATE nobody else can
        # take these ids, and AUTOINCREMENT's own table never falls back, even after the newest row is deleted.
        found = self.tuples(connection, NEWEST_ID, {"name": table.name})
        first = found[0][0] + 1 if found else 1
        ids = range(first, first + len(rows))
        self._many(connection, _insert_each(table, ("id", *rows[0])), rows, id=ids)
        return list(ids)

    def append(self, connection: Connection, table: Table, rows: Rows, now: datetime) -> list[int]:
        return self.insert(connection, table, rows)

    def add(self, connection: Connection, table: Table, rows: Rows) -> None:
        self._many(connection, _insert_each(table, tuple(rows[0])), rows)

    def update(self, connection: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Any]) -> None:
        values = {f"new_{name}": [getattr(row, name) for row in rows] for name in ("id", *names)}
        self._many(connection, _update_each(table, names), (), **values)

    def _many(self, connection: Connection, statement: Insert | Update, rows: Rows, **given: Sequence[Any]) -> None:
        prepared = self._prepared(connection, statement)
        self._driven(connection, "executemany", prepared.text, prepared.lines(rows, given))

    def tuples(
        self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        prepared = self._prepared(connection, statement)
        return prepared.rows(self._driven(connection, "execute", prepared.text, prepared.values(values)))

    def _driven(self, connection: Connection, how: str, text: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """The rows that the driver itself gives; what it refuses, in SQLAlchemy's words."""
        driven: Any = connection.connection.driver_connection
        try:
            return getattr(driven, how)(text, values).fetchall()  # type: ignore[no-any-return]
        except driven.Error as problem:
            raise DBAPIError.instance(text, None, problem, driven.Error, hide_parameters=True) from problem

    def ids_go_on_after(self, connection: Connection, table: Table, id: int) -> None:
        connection.execute(FIRST_ID, {"name": table.name})
        connection.execute(NEXT_ID, {"name": table.name, "id": id})

    def hold_log(self, connection: Connection, now: datetime) -> None:
        """Nothing to do: commits are one after another."""

    def hold_migration(self, connection: Connection) -> None:
        """Nothing to do, likewise."""

    def in_transaction(self, connection: Connection) -> bool:
        """Some errors end it, and the next statement would be a transaction of its own."""
        driven: Any = connection.connection.driver_connection
        return bool(driven.in_transaction)


class Postgres:
    """Many writers: rows are locked in id order, and the log has a lock of its own."""

    name = "postgresql"
    order_names_index = True

    def __init__(self, writer: str, *, pooled: bool = False) -> None:
        self.writer = writer  # this process, in `last_batch`
        self.batch = 0
        self.pooled = pooled
        self._prepared = Preparing()

    def tuples(
        self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        if self.pooled:  # a statement and its use must share a transaction there, which SQLAlchemy begins
            return connection.execute(statement, values).all()
        return self._run(connection, statement, values)

    def insert(self, connection: Connection, table: Table, rows: Rows) -> list[int]:
        names = tuple(rows[0])
        return _ids(self._run(connection, _insert_for_ids(table, names), _as_arrays(names, rows)))

    def append(self, connection: Connection, table: Table, rows: Rows, now: datetime) -> list[int]:
        # Lock, mark and entries in one: each statement of its own is a way there and back.
        names = tuple(rows[0])
        values = _as_arrays(names, rows) | self._mark(now)
        return _ids(self._run(connection, _append_arrays(table, names), values))

    def add(self, connection: Connection, table: Table, rows: Rows) -> None:
        names = tuple(rows[0])
        self._run(connection, _insert_arrays(table, names), _as_arrays(names, rows))

    def update(self, connection: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Any]) -> None:
        if len(rows) == 1:  # one by itself: PostgreSQL plans this once, and a join with an array each time
            values = {f"new_{name}": getattr(rows[0], name) for name in ("id", *names)}
            self._run(connection, _update_each(table, names), values)
            return
        values = {f"each_{name}": [getattr(row, name) for row in rows] for name in ("id", *names)}
        self._run(connection, _update_arrays(table, names), values)

    def _run(self, connection: Connection, statement: Statement, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        prepared = self._prepared(connection, statement)
        driven: Any = connection.connection.driver_connection
        found = await_only(driven.fetch(prepared.text, *prepared.values(values)))
        return prepared.rows([tuple(record) for record in found])

    def ids_go_on_after(self, connection: Connection, table: Table, id: int) -> None:
        connection.execute(NEXT_OF_SEQUENCE, {"name": table.name, "id": id})

    def hold_log(self, connection: Connection, now: datetime) -> None:
        self._run(connection, HOLD_AND_MARK, self._mark(now))

    def _mark(self, now: datetime) -> dict[str, Any]:
        """That this batch was here, and the log's lock.

        Entry ids are given out before the commit. Held from here to the commit, the lock makes the order of ids the
        order of commits, so a reader that follows by id never skips one.
        """
        return {"lock": LOG_LOCK, "writer": self.writer, "batch": self.batch, "now": now}

    def hold_migration(self, connection: Connection) -> None:
        connection.execute(HOLD, {"lock": MIGRATION_LOCK})

    def in_transaction(self, connection: Connection) -> bool:
        """An error never ends it, and a connection that is gone lets nothing more be said."""
        return not connection.invalidated


# One statement with an array for each column: a third of the time that asyncpg's executemany takes for 64 rows,
# and a text that stays the same however many rows there are.


def _as_arrays(names: tuple[str, ...], rows: Rows) -> dict[str, list[Any]]:
    return {f"each_{name}": [row[name] for row in rows] for name in names}


def _arrays(table: Table, names: tuple[str, ...]) -> TableValuedAlias:
    arrays = [bindparam(f"each_{name}", type_=ARRAY(_plain(table.c[name].type))) for name in names]
    given = func.unnest(*arrays).table_valued(*names, with_ordinality="place", name="given")
    return given.render_derived()


def _in_order(given: TableValuedAlias, names: tuple[str, ...]) -> Select[Any]:
    return select(*(given.c[name] for name in names)).order_by(given.c.place)


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return TIMESTAMP(timezone=True) if isinstance(kind, Moment) else kind


@lru_cache(maxsize=64)
def _insert_arrays(table: Table, names: tuple[str, ...]) -> Insert:
    return insert(table).from_select(names, _in_order(_arrays(table, names), names))


@lru_cache(maxsize=64)
def _insert_for_ids(table: Table, names: tuple[str, ...]) -> Insert:
    return _insert_arrays(table, names).returning(table.c.id)


@lru_cache(maxsize=4)
def _append_arrays(table: Table, names: tuple[str, ...]) -> Insert:
    given, marked = _arrays(table, names), HOLD_AND_MARK.cte("marked")
    # Joined to the mark, so that no id is given out before the lock is had.
    rows = _in_order(given, names).select_from(given.join(marked, true()))
    return insert(table).from_select(names, rows).add_cte(marked).returning(table.c.id)


def _ids(found: Sequence[Sequence[Any]]) -> list[int]:
    """They were given out in the order of the arrays."""
    return sorted(id for (id,) in found)


@lru_cache(maxsize=16)
def _update_arrays(table: Table, names: tuple[str, ...]) -> Update:
    given = _arrays(table, ("id", *names))
    return update(table).where(table.c.id == given.c.id).values({name: given.c[name] for name in names})


@lru_cache(maxsize=64)
def _insert_each(table: Table, names: tuple[str, ...]) -> Insert:
    return insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in names})


@lru_cache(maxsize=16)
def _update_each(table: Table, names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return update(table).where(table.c.id == bindparam("new_id")).values(values)


SEQUENCE = table("sqlite_sequence", column("name"), column("seq"))
NEWEST_ID = select(SEQUENCE.c.seq).where(SEQUENCE.c.name == bindparam("name"))
# The row of a table that never had one is not there yet.
FIRST_ID = text(
    "INSERT INTO sqlite_sequence (name, seq) "
    "SELECT :name, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
)
NEXT_ID = text("UPDATE sqlite_sequence SET seq = :id WHERE name = :name AND seq < :id")
# Never back: another process may be giving out ids beyond this one.
NEXT_OF_SEQUENCE = text(
    "SELECT setval(s.name, :id) FROM (SELECT pg_get_serial_sequence(:name, 'id')::regclass AS name) AS s "
    "WHERE coalesce(pg_sequence_last_value(s.name), 0) < :id"
).bindparams(bindparam("id", type_=BigInteger))
HOLD = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(bindparam("lock", type_=BigInteger))
HOLD_AND_MARK = (
    text(
        "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(:lock))"
        " INSERT INTO last_batch (writer, batch, at)"
        " SELECT CAST(:writer AS text), CAST(:batch AS bigint), CAST(:now AS timestamptz) FROM held"
        " ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at RETURNING writer"
    )
    .bindparams(bindparam("lock", type_=BigInteger))
    .columns(column("writer"))
)
