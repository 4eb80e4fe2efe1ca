"""What actions and queries are handed: a `Reader` that can look, a `Writer` that can also change and tell.

Neither can commit: the batcher does, when every wish of the batch is decided. Nothing here is async.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Executable, Select, Table

from tocsin.db.dialect import Dialect
from tocsin.kit.errors import Problem, Unavailable


class Actor(msgspec.Struct, frozen=True):
    """Who did it. `id` is None for the key that the environment gave and for the clock."""

    type: Literal["key", "person", "integration", "channel", "clock"]
    id: int | None


CLOCK = Actor("clock", None)


class Happening(msgspec.Struct, frozen=True):
    """One thing that happened, as an action tells it; it becomes one entry of the timeline.

    `changes` maps a field to `[before, after]`; `refs` names other rows by id. Neither holds free text or
    personal data: retention must be able to remove those without touching the log.
    """

    kind: str
    actor: Actor
    incident_id: int | None = None
    changes: Mapping[str, Sequence[Any]] = {}
    refs: Mapping[str, int] = {}
    request_id: str | None = None


class Reader:
    """One look at the database."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self._connection = connection
        self.dialect = dialect

    @property
    def bare(self) -> Connection:
        """For `db/` alone: migrations and probes. Features have `rows`, `run` and `insert`."""
        return self._connection

    def rows(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Every row of a query: tuples that know their columns' names."""
        return self._connection.execute(statement, values).all()

    def row(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Any | None:
        """The first row of a query, if there is one."""
        return self._connection.execute(statement, values).first()

    def tuples(self, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Every row of a query as the driver gives it: by place, without names, and in half the time.

        For the few queries of nearly every request; `statement` must be one that is kept, for it is remembered.
        """
        return self.dialect.tuples(self._connection, statement, values)


Log = Callable[["Writer", Sequence[Happening]], object]


class Writer(Reader):
    """One transaction that several wishes share. `now` is its one time."""

    def __init__(self, connection: Connection, dialect: Dialect, *, now: datetime, log: Log) -> None:
        super().__init__(connection, dialect)
        self.now = now
        self.wrote = False
        self.touched: set[str] = set()  # the tables that were written
        self._log = log
        self._told: list[Happening] = []

    def run(self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None) -> None:
        """A change; a list of values runs the statement once for each."""
        self._writes(getattr(statement, "table", None))
        self._connection.execute(statement, values)

    def insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Adds rows (all with the same columns) and gives their new ids in the same order."""
        self._writes(table)
        return self.dialect.insert(self._connection, table, rows)

    def append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """The same for the log: whoever else appends waits from here to the commit, so ids are in its order."""
        self._writes(table)
        return self.dialect.append(self._connection, table, rows, self.now)

    def add(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows (all with the same columns) whose ids nobody asks for, or that bring them along."""
        self._writes(table)
        self.dialect.add(self._connection, table, rows)

    def update(self, table: Table, names: Sequence[str], rows: Sequence[Any]) -> None:
        """Sets these columns from each row's attributes, by its `id`."""
        self._writes(table)
        self.dialect.update(self._connection, table, tuple(names), rows)

    def ids_go_on_after(self, table: Table, id: int) -> None:
        """New rows get ids beyond this one, even if this transaction's rows never come."""
        self._writes(table)
        self.dialect.ids_go_on_after(self._connection, table, id)

    def tell(self, happening: Happening) -> None:
        """The one way to tell the world: written to the timeline as the transaction's last statement."""
        self._told.append(happening)

    def write_log(self) -> None:
        """Hands what was told to the timeline; the batcher calls it just before the commit."""
        if self._told:
            told, self._told = self._told, []
            self._log(self, told)
        elif self.wrote:
            self.dialect.hold_log(self._connection, self.now)

    def _writes(self, table: Any) -> None:
        self.wrote = True
        if table is not None:
            self.touched.add(table.name)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What happens inside stays or goes as one; an exception undoes it and is raised on.

        Raises `Unavailable` where the database has undone all of the transaction, as SQLite does when its disk is full:
        what came after would be stored at once, and what came before is gone.
        """
        told = len(self._told)
        try:
            with self._connection.begin_nested():
                yield
        except BaseException:
            del self._told[told:]
            if not self.dialect.in_transaction(self._connection):
                raise Unavailable("The database gave the whole transaction up; nothing was stored.") from None
            raise


def decided(tx: Writer, wishes: Sequence[Any], decide: Callable[[Writer, Any], Any]) -> list[Any]:
    """One result for each wish; a `Problem` that is raised for one is its result, and costs the others nothing.

    Only for decisions that write nothing before they may refuse.
    """
    results: list[Any] = []
    for wish in wishes:
        try:
            results.append(decide(tx, wish))
        except Problem as refusal:
            results.append(refusal)
    return results
