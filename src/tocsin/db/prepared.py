"""Statements as the driver itself takes them, for the few that nearly every request runs.

SQLAlchemy writes the text, once; running it through SQLAlchemy each time takes longer than SQLite does
(`docs/performance.md`). What a statement means stands in the stores, as ever.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Connection, Insert, Select, TextualSelect, Update
from sqlalchemy import Dialect as Engines
from sqlalchemy.types import TypeEngine

MOST_KNOWN = 512

Statement = Select[Any] | Insert | Update | TextualSelect


class Prepared:
    """One statement for one engine: its text, and how values go in and come out."""

    def __init__(self, statement: Statement, engine: Engines) -> None:
        compiled: Any = statement.compile(dialect=engine)
        self.text = str(compiled)
        into = {name: _maker(bind.type, engine) for bind, name in compiled.bind_names.items()}
        self._takes = [(name, into[name]) for name in compiled.positiontup]
        self._usual: Mapping[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        self._gives = _changed_on_the_way(statement, engine)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """What the driver wants, in its order."""
        found = {**self._usual, **given} if self._usual else given
        return [found[name] if made is None else made(found[name]) for name, made in self._takes]

    def lines(self, rows: Sequence[Mapping[str, Any]], given: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        """The same for many rows, `given` beside them by column: column by column, which takes half as long."""
        columns: list[Sequence[Any]] = []
        for name, made in self._takes:
            column = given[name] if name in given else [row[name] for row in rows]
            columns.append(column if made is None else [made(value) for value in column])
        return list(zip(*columns, strict=True))

    def rows(self, found: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """What the driver gave, as Python values."""
        if not self._gives:
            return found
        made = [list(row) for row in found]
        for row in made:
            for place, make in self._gives:
                row[place] = make(row[place])
        return made


def _maker(kind: TypeEngine[Any], engine: Engines) -> Callable[[Any], Any] | None:
    """What makes a value the driver's; None where it goes as it is."""
    made: Any = kind.dialect_impl(engine)
    if isinstance(made, ARRAY) and made.item_type.dialect_impl(engine).bind_processor(engine) is None:
        return None  # SQLAlchemy would look at each of the array's values
    return made.bind_processor(engine)  # type: ignore[no-any-return]


class Preparing:
    """What has been prepared so far. A statement is known by being the same object: who asks keeps it."""

    def __init__(self) -> None:
        self._known: dict[Statement, Prepared] = {}

    def __call__(self, connection: Connection, statement: Statement) -> Prepared:
        known = self._known.get(statement)
        if known is None:
            if len(self._known) >= MOST_KNOWN:  # a list may be asked in a thousand forms
                self._known.clear()
            known = self._known[statement] = Prepared(statement, connection.dialect)
        return known


def _changed_on_the_way(statement: Statement, engine: Engines) -> list[tuple[int, Callable[[Any], Any]]]:
    if not isinstance(statement, Select):
        return []
    makers = [column.type.dialect_impl(engine).result_processor(engine, None) for column in statement.selected_columns]
    return [(place, make) for place, make in enumerate(makers) if make is not None]
