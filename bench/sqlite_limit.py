"""What SQLite itself can do: the rows of Tocsin's writes by the bare driver, one thread, one commit for each write.

No HTTP, no JSON, no rules: a page is rows fetched into Python tuples. Journal and durability are Tocsin's.
"""

from __future__ import annotations

import importlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.load import Run, percentile
from bench.plan import LISTED
from bench.scenario import CREATE, HUNDRED, IN_ONE, KEYED, LIST, MOVE, ONE, RING, THOUSAND, Scenario, scenarios
from bench.subjects import Cpu, Dishonest
from bench.template import Row, written

# The library that Tocsin brings along, where there is one for this machine.
driver: Any = importlib.import_module("pysqlite3.dbapi2" if find_spec("pysqlite3") else "sqlite3")

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32768", "temp_store=MEMORY")
# All columns, and one row more than is shown: that is how Tocsin knows that there are more.
PAGE = (
    "SELECT incident.*, partner.slug FROM incident LEFT JOIN partner ON partner.id = incident.partner_id "
    f"WHERE incident.status = ? ORDER BY incident.created_at DESC, incident.id DESC LIMIT {LISTED + 1}"
)
GET = (
    "SELECT incident.*, partner.slug FROM incident LEFT JOIN partner ON partner.id = incident.partner_id "
    "WHERE incident.id = ?"
)
CHANGE = "UPDATE incident SET status = ?, updated_at = ?, version = version + 1 WHERE id = ?"


class SqliteLimit:
    """On a copy of Tocsin's database: `ids` are the filled incidents, `written_id` shows what is written."""

    name = "SQLite itself"

    def __init__(self, tocsins: Path, home: Path, ids: range, written_id: int) -> None:
        file = home / "limit.db"
        _copy(tocsins, file)
        self._connection = driver.connect(str(file), isolation_level=None)
        for pragma in PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self.scenarios = scenarios(home, ids)
        self._ids, self._moves, self._created, self._turn = ids, 0, 0, 0
        self._rows_before = self._count()
        self._prepare(written_id)
        self._steps: dict[str, Callable[[], None]] = {
            CREATE: self._create,
            KEYED: lambda: self._create(keyed=True),
            LIST: self._page,
            ONE: self._get,
            MOVE: self._move,
            HUNDRED: lambda: self._many(IN_ONE[HUNDRED]),
            THOUSAND: lambda: self._many(IN_ONE[THOUSAND]),
        }

    def measure(self, scenario: Scenario, seconds: float, connections: int) -> Run:
        """One after another: `connections` is of no use to one thread."""
        step, waits = self._steps[scenario.name], []
        began = now = time.perf_counter()
        while now < began + seconds:
            step()
            waits.append(-now + (now := time.perf_counter()))
        p50, p99 = (percentile(waits, part) * 1000 for part in (0.5, 0.99))
        return Run(len(waits), len(waits), now - began, p50, p99, {})

    def cpu(self) -> Cpu:
        return Cpu(time.process_time(), 0.0)

    def verify(self) -> None:
        incidents, entries = (now - before for now, before in zip(self._count(), self._rows_before, strict=True))
        if (incidents, entries) != (self._created, self._created + self._moves):
            raise Dishonest(
                f"{self.name} stored {incidents} incidents and {entries} entries; {self._created} were made"
            )

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, written_id: int) -> None:
        rows = written(self._row, written_id)
        now = ("created_at", "updated_at")
        self._incident = _insert("incident", rows.incident, *now)
        self._filed = _insert("entry", rows.filed, "at", "incident_id")
        self._kept = _insert("kept_answer", rows.kept, "created_at", "scope")
        self._moved = _insert("entry", rows.moved, "at", "incident_id")

    def _create(self, keyed: bool = False) -> None:
        now = _microseconds()
        self._connection.execute("BEGIN IMMEDIATE")
        filed = self._connection.execute(self._incident[0], (*self._incident[1], now, now))
        self._connection.execute(self._filed[0], (*self._filed[1], now, filed.lastrowid))
        if keyed:
            self._connection.execute(self._kept[0], (*self._kept[1], now, os.urandom(32)))
        self._connection.execute("COMMIT")
        self._created += 1

    def _many(self, count: int) -> None:
        now = _microseconds()
        self._connection.execute("BEGIN IMMEDIATE")
        ((last,),) = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'incident'").fetchall()
        self._connection.executemany(self._incident[0], [(*self._incident[1], now, now)] * count)
        entries = [(*self._filed[1], now, id) for id in range(last + 1, last + 1 + count)]
        self._connection.executemany(self._filed[0], entries)
        self._connection.execute("COMMIT")
        self._created += count

    def _move(self) -> None:
        lap, n = divmod(self._moves, len(self._ids))
        now = _microseconds()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(CHANGE, (RING[(lap + n) % 3], now, self._ids[n]))
        self._connection.execute(self._moved[0], (*self._moved[1], now, self._ids[n]))
        self._connection.execute("COMMIT")
        self._moves += 1

    def _page(self) -> None:
        self._turn += 1
        if len(self._connection.execute(PAGE, (RING[self._turn % 3],)).fetchall()) < LISTED:
            raise Dishonest(f"{self.name}: a page is not full")

    def _get(self) -> None:
        self._turn += 1
        if len(self._connection.execute(GET, (self._ids[self._turn % len(self._ids)],)).fetchall()) != 1:
            raise Dishonest(f"{self.name}: an incident is not there")

    def _count(self) -> tuple[int, int]:
        counts = self._connection.execute("SELECT (SELECT count(*) FROM incident), (SELECT count(*) FROM entry)")
        ((incidents, entries),) = counts.fetchall()
        return incidents, entries

    def _row(self, query: str) -> Row | None:
        cursor = self._connection.execute(query)
        row = cursor.fetchone()
        return None if row is None else dict(zip((each[0] for each in cursor.description), row, strict=True))


def _insert(table: str, row: Row, *own: str) -> tuple[str, tuple[object, ...]]:
    """The statement, and the values that stay the same; each write brings those of the columns `own`, in this order."""
    names = (*row, *own)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", tuple(row.values())


def _copy(source: Path, target: Path) -> None:
    """Whole, while its owner runs."""
    with closing(sqlite3.connect(source, timeout=30)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)


def _microseconds() -> int:
    return time.time_ns() // 1000
