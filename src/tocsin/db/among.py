"""`among(column, "ids")`: the column is one of a list that is given as one value.

So a statement is written once, however long the list is: an `IN` of so many values would be another text each time,
and putting it together takes longer than the database's own work (`docs/performance.md`).
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, Dialect, LargeBinary, Text, TypeDecorator, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

FROM_HEX = "from_hex"  # a function that `db/sqlite.py` gives to SQLite, whose own one is younger than some of them


class Listed(TypeDecorator[Sequence[Any]]):
    """Values of one type as one: an array on PostgreSQL, JSON on SQLite (bytes in it as hexadecimal digits)."""

    impl = Text
    cache_ok = True

    def __init__(self, of: TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = ARRAY(self.of) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        assert value is not None
        if dialect.name == "postgresql":
            return list(value)
        return json.dumps([each.hex() for each in value] if isinstance(self.of, LargeBinary) else list(value))


class among(FunctionElement[Any]):  # noqa: N801 - reads as the function that it is
    """Whether the column is one of the values of the list that is bound to this name."""

    # Not a Boolean: SQLite has none, so SQLAlchemy would say `… = 1` there, which no index serves.
    type = NullType()
    inherit_cache = True

    def __init__(self, column: Column[Any], name: str) -> None:
        self.each = f"{FROM_HEX}(value)" if isinstance(column.type, LargeBinary) else "value"
        super().__init__(column, bindparam(name, type_=Listed(column.type)))


@compiles(among, "sqlite")
def _in_json(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} IN (SELECT {element.each} FROM json_each({values})))"  # noqa: S608 - names and places, no values


@compiles(among, "postgresql")
def _in_array(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} = ANY ({values}))"
