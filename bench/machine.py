"""What the figures depend on: processor, disk, versions. The time of one fsync is the disk's part in every commit."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from bench.sqlite_limit import driver

LIBRARIES = ("tocsin", "fastapi", "starlette", "uvicorn", "uvloop", "sqlalchemy", "asyncpg", "aiosqlite", "pydantic")


def machine(postgres: str, busy: float) -> list[tuple[str, str]]:
    """Each fact with its name. `postgres` is the server's version, or why there is none; `busy` the load before."""
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("load average before", f"{busy:.1f}"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("fsync of 4 KiB, median", f"{fsync_ms():.2f} ms ({filesystem(Path(tempfile.gettempdir()))})"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}"),
        ("its pace", f"{pace_ms():.0f} ms for 200,000 small dictionaries"),
        ("SQLite", f"Tocsin {driver.sqlite_version}, everyday form {sqlite3.sqlite_version}"),
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


def pace_ms(times: int = 7) -> float:
    """One that was compiled without optimisations, as some tools do, takes up to half as long again as Debian's own."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        for number in range(200_000):
            {"number": number, "pair": (number, 2)}["pair"]
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
