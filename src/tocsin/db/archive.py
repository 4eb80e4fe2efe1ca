"""What `pg_restore` writes out of an archive, read line by line: how many rows of which table, up to the last."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tocsin.db.contents import CannotCopy, Contents
from tocsin.db.migrate import VERSION_TABLE
from tocsin.db.schema import metadata

NAME = rb'"(?:[^"]|"")+"|[^".(]+'
COPY = re.compile(rb"COPY (" + NAME + rb")\.(" + NAME + rb") \((.*)\) FROM stdin;\n")
END = b"\\.\n"


@dataclass(frozen=True)
class Archive:
    """A register's tables, and the schema of the database that they stood in."""

    schema: str
    contents: Contents


class Reading:
    """Takes the lines of a script of data, one after another."""

    def __init__(self) -> None:
        self.in_all = 0
        self._schema = ""
        self._rows: dict[str, int] = {}
        self._columns: list[bytes] = []
        self._table: str | None = None
        self._look: Callable[[list[bytes]], None] | None = None
        self._revision = ""
        self._newest: tuple[int, datetime] | None = None

    def take(self, line: bytes) -> None:
        """One line, its end included."""
        if self._table is None:
            self._begin(line)
        elif line == END:
            self._table = None
        else:
            self._rows[self._table] += 1
            self.in_all += 1
            if self._look is not None:
                self._look(line.rstrip(b"\n").split(b"\t"))

    def archive(self) -> Archive:
        """What it was, at the end; raises `CannotCopy` where it was no register of Tocsin's."""
        if self._table is not None or not self._revision:
            raise CannotCopy("it holds no register of Tocsin's")
        rows = {name: self._rows[name] for name in metadata.tables if name in self._rows}
        return Archive(self._schema, Contents(self._revision, rows, self._newest))

    def _begin(self, line: bytes) -> None:
        if (found := COPY.fullmatch(line)) is None:
            return
        self._schema, self._table = _name(found[1]), _name(found[2])
        self._columns = [_name(each).encode() for each in found[3].split(b", ")]
        self._rows[self._table] = 0
        self._look = {"entry": self._see_entry, VERSION_TABLE: self._see_version}.get(self._table)

    def _see_entry(self, values: list[bytes]) -> None:
        id = int(values[self._columns.index(b"id")])
        if self._newest is None or id > self._newest[0]:
            self._newest = (id, datetime.fromisoformat(values[self._columns.index(b"at")].decode()))

    def _see_version(self, values: list[bytes]) -> None:
        self._revision = values[0].decode()


def _name(written: bytes) -> str:
    return written.decode().strip('"').replace('""', '"')
