"""What the database itself holds, read without Tocsin: the SQLite file is opened, PostgreSQL asked by psql."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.faults.crowd import Crowd, Told
from tests.postgres import Postgres

INCIDENTS = "SELECT id, description, status, version FROM incident ORDER BY id"
ENTRIES = "SELECT id, incident_id, kind, changes FROM entry WHERE incident_id IS NOT NULL ORDER BY id"

# Raises where an entry of an index has no row, or a row no entry.
EVERY_INDEX = """
SELECT c.relname, bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relnamespace = 'public'::regnamespace
"""

Rows = list[list[str]]


class SqliteFile:
    """A register that nobody serves at the moment."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def rows(self, statement: str) -> Rows:
        connection = sqlite3.connect(self._file)
        try:
            with connection:
                return [[str(value) for value in row] for row in connection.execute(statement)]
        finally:
            connection.close()

    def check_itself(self) -> None:
        assert self.rows("PRAGMA integrity_check") == [["ok"]]
        assert self.rows("PRAGMA foreign_key_check") == []


class PostgresDatabase:
    """A register in PostgreSQL, by its URL."""

    def __init__(self, server: Postgres, url: str) -> None:
        self._server = server
        self._name = url.rpartition("/")[2]

    def rows(self, statement: str) -> Rows:
        said = self._server.psql(statement, self._name)
        return [line.split("|") for line in said.splitlines()]

    def check_itself(self) -> None:
        """Every index against its table, where this PostgreSQL brings the extension that can."""
        if self.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
            self.rows("CREATE EXTENSION IF NOT EXISTS amcheck")
            self.rows(EVERY_INDEX)


Register = SqliteFile | PostgresDatabase


def check(register: Register, crowd: Crowd) -> None:
    """Every answered write is there exactly once, and nothing else; the timeline is whole and in order."""
    register.check_itself()
    _check_incidents(register.rows(INCIDENTS), crowd.told)
    _check_timeline(register.rows(ENTRIES), crowd.told)
    for writer in crowd.writers:
        ids = [told.id for told in writer.told]
        assert ids == sorted(set(ids)), f"{writer.name} was given ids that do not ascend"


def _check_incidents(rows: Rows, told: Sequence[Told]) -> None:
    often = Counter(description for _, description, _, _ in rows)
    double = [description for description, count in often.items() if count > 1]
    lost = [each.description for each in told if each.description not in often]
    strange = set(often) - {each.description for each in told}
    assert (lost, double, strange) == ([], [], set()), f"lost {lost}, double {double}, never answered {strange}"
    held = {int(id): (description, status, int(version)) for id, description, status, version in rows}
    expected = {each.id: (each.description, each.statuses[-1], len(each.statuses)) for each in told}
    assert held == expected


def _check_timeline(rows: Rows, told: Sequence[Told]) -> None:
    """Entries of each incident, in the order of their ids, must be the moves that its client was told of."""
    chains: dict[int, list[tuple[str, object, object]]] = defaultdict(list)
    for _, incident_id, kind, changes in rows:
        before, after = json.loads(changes)["status"]
        chains[int(incident_id)].append((kind, before, after))
    for each in told:
        steps = list(zip([None, *each.statuses], each.statuses, strict=False))
        expected = [("filed" if before is None else "moved", before, after) for before, after in steps]
        assert chains.pop(each.id, []) == expected, f"the timeline of incident {each.id}"
    assert not chains
