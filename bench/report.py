"""The report: one table, printed and kept in bench/results with the machine that it was measured on."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from rich.table import Table

from bench.hearing import LISTENERS, Heard, percentile
from bench.load import CONNECTIONS
from bench.measure import Comparison, Figures, Plan
from bench.scenario import FILLED

RESULTS = Path(__file__).with_name("results")
LIBRARIES = ("tocsin", "fastapi", "starlette", "uvicorn", "uvloop", "sqlalchemy", "asyncpg", "aiosqlite", "pydantic")
COLUMNS = (
    "engine", "scenario", "Tocsin/s", "p50 ms", "p99 ms", "CPU s/1000",
    "everyday/s", "p50 ms", "p99 ms", "CPU s/1000", "ratio (each repeat)",
)  # fmt: skip
HEARD = (
    f"How soon others hear of an incident, counted from the request that files it, on an idle server: {LISTENERS:,} "
    "listeners of `/api/stream`, each one's own time; and a webhook."
)
HEARD_COLUMNS = ("engine", "stream p50 ms", "stream p99 ms", "KiB a listener", "webhook p50 ms", "webhook p99 ms")


def rows(found: Sequence[Comparison]) -> list[list[str]]:
    return [
        [each.engine, each.scenario, *_figures(each.ours), *_figures(each.theirs), _ratio(each.ratios)]
        for each in found
    ]


def table(found: Sequence[Comparison]) -> Table:
    drawn = Table(title=f"Tocsin beside the everyday form, {CONNECTIONS} connections")
    for number, name in enumerate(COLUMNS):
        drawn.add_column(name, justify="left" if number < 2 else "right", overflow="fold")
    for row in rows(found):
        drawn.add_row(*row)
    return drawn


def heard_rows(heard: Sequence[Heard]) -> list[list[str]]:
    return [
        [
            each.engine,
            *(f"{percentile(each.at_listeners, part):.0f}" for part in (0.5, 0.99)),
            f"{each.memory:.0f}",
            *(f"{percentile(each.at_receiver, part):.0f}" for part in (0.5, 0.99)),
        ]
        for each in heard
    ]


def heard_table(heard: Sequence[Heard]) -> Table:
    drawn = Table(title=f"From a request to the last of {LISTENERS:,} listeners, and to a webhook")
    for number, name in enumerate(HEARD_COLUMNS):
        drawn.add_column(name, justify="left" if number < 1 else "right")
    for row in heard_rows(heard):
        drawn.add_row(*row)
    return drawn


def write(
    found: Sequence[Comparison], heard: Sequence[Heard], plan: Plan, load: str, postgres: str, quick: bool
) -> Path:
    """Writes bench/results/DATE.md (a quick run: DATE-quick.md) and returns its path."""
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d}{'-quick' if quick else ''}.md"
    shape = (
        f"{plan.repeats} repeats of {plan.seconds:g} s by turns after {plan.warm_up:g} s to warm up; {CONNECTIONS} "
        f"connections from {load} on the same machine; {FILLED:,} incidents filed before. Medians; the ratio is taken "
        "for each repeat."
    )
    lines = [
        f"# Benchmark of {now:%Y-%m-%d %H:%M} UTC", "", shape, "",
        *_markdown([list(COLUMNS), *rows(found)]), "",
        HEARD, "",
        *_markdown([list(HEARD_COLUMNS), *heard_rows(heard)]), "",
        *_markdown([["machine", ""], *([name, value] for name, value in machine(postgres))]),
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


def machine(postgres: str) -> list[tuple[str, str]]:
    """What the figures depend on; the time of one fsync is the disk's part in every commit."""
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("fsync of 4 KiB, median", f"{fsync_ms():.2f} ms ({filesystem(Path(tempfile.gettempdir()))})"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("SQLite", f"Tocsin {_tocsins_sqlite()}, everyday form {sqlite3.sqlite_version}"),
        ("PostgreSQL", postgres),
        ("libraries", ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)),
    ]


def filesystem(path: Path) -> str:
    """The type of the file system that `path` lies on; `tmpfs` has no disk, so a commit on it costs nothing."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [row for row in mounts if path.resolve().is_relative_to(row[1])]
    return max(above, key=lambda row: len(row[1]))[2] if above else "unknown"


def fsync_ms(times: int = 50) -> float:
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(times):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _figures(figures: Figures) -> list[str]:
    p50, p99 = (median(values) for values in zip(*((run.p50_ms, run.p99_ms) for run in figures.runs), strict=True))
    return [f"{median(figures.rates):,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{figures.cpu_per_thousand:.2f}"]


def _ratio(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.1f} ({' '.join(f'{ratio:.1f}' for ratio in ratios)})"


def _markdown(lines: Sequence[Sequence[str]]) -> list[str]:
    drawn = [f"| {' | '.join(line)} |" for line in lines]
    return [drawn[0], f"|{'---|' * len(lines[0])}", *drawn[1:]]


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _tocsins_sqlite() -> str:
    """The version of the library that Tocsin brings along, where there is one for this machine."""
    module = importlib.import_module("pysqlite3.dbapi2" if find_spec("pysqlite3") else "sqlite3")
    return str(module.sqlite_version)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
