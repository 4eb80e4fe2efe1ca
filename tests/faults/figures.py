"""Figures of faults: what a test of a fault saw, one line for each fault and engine, kept from run to run.

`./run faults` keeps them in `last-run.json`, from which `docs/reliability.md` has its table; `./run test` only prints
them. The environment's FAULTS is the form of such a run: `long`, or `short` for the sizes of the suite.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

FOLDER = Path(__file__).parent
KEPT = FOLDER / "last-run.json"
ENGINES = ("sqlite", "postgresql")
FAILED = "FAILED"

Number = TypeVar("Number", int, float)


def form() -> str | None:
    """Of a run that keeps its figures; None in the suite."""
    return os.environ.get("FAULTS")


def size(short: Number, long: Number) -> Number:
    """How many, how often or how long: `long` in the long form."""
    return long if form() == "long" else short


@dataclass(frozen=True, order=True)
class Row:
    """One fault on one engine, as it was last tried."""

    fault: str
    engine: str
    run: str
    result: str


def rows() -> list[Row]:
    """What is kept, in the order of the page."""
    return sorted(Row(**each) for each in json.loads(KEPT.read_text(encoding="utf-8"))) if KEPT.exists() else []


def keep(fault: str, engine: str, result: str) -> None:
    """In place of the last line for the same, so that what was not run this time stays."""
    others = [row for row in rows() if (row.fault, row.engine) != (fault, engine)]
    lines = sorted([*others, Row(fault, engine, _run(), result)])
    KEPT.write_text(json.dumps([asdict(row) for row in lines], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _run() -> str:
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return f"{datetime.now(UTC).date()}, {form()}, {machine}"


def engine_of(item: pytest.Item) -> str:
    """By its parameter; else every test that has a PostgreSQL is about that."""
    assert isinstance(item, pytest.Function)
    chosen = item.callspec.params.values() if hasattr(item, "callspec") else ()
    named = [value for value in chosen if value in ENGINES]
    return str(named[0]) if named else ENGINES["postgres" in item.fixturenames]


def faults_of(item: pytest.Item) -> list[str]:
    """The faults that a test gives figures of: each stands in its own body, written out."""
    assert isinstance(item, pytest.Function)
    tree = ast.parse(item.path.read_text(encoding="utf-8"))
    bodies = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == item.originalname)
    return [fault for body in bodies for fault in _named(body)]


def _named(body: ast.FunctionDef) -> Iterator[str]:
    for each in ast.walk(body):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "figures":
            assert isinstance(each.args[0], ast.Constant), f"{body.name}: the fault's name must be written out"
            yield str(each.args[0].value)


class Collector:
    """Which figures the tests would give, without running them."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.found = {(fault, engine_of(item)) for item in session.items for fault in faults_of(item)}


def promised() -> set[tuple[str, str]]:
    """Every fault and engine of which some test gives figures. Collected in a process of its own."""
    command = [sys.executable, "-m", "tests.faults.figures"]
    done = subprocess.run(command, cwd=FOLDER.parents[1], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {(fault, engine) for fault, engine in json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    collector = Collector()
    failed = pytest.main(["--collect-only", "-qq", str(FOLDER)], plugins=[collector])
    print(json.dumps(sorted(collector.found)))
    sys.exit(failed)


if __name__ == "__main__":
    main()
