"""Where the time goes: the stacks of a Tocsin under load, looked at from outside, by what they were busy with.

py-spy needs the right to look into another process: root, or a kernel that lets a user (`ptrace_scope` 0). Without it
this part is left out, and says so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.scenario import THE_THREE
from bench.stage import Stage

LOOKS = 100  # a second
# A stack belongs to the innermost frame that one of these names; frames of the standard library name nothing.
BUSY_WITH = {
    "the driver and SQLAlchemy": ("sqlalchemy/", "asyncpg/", "db/dialect.py", "db/prepared.py", "db/transaction.py"),
    "batches and commits": ("tocsin/db/",),
    "rules and rows": ("/actions.py", "/model.py", "/store.py", "timeline/", "delivery/"),
    "answers": ("incidents/", "kit/answers.py", "kit/clock.py", "kit/paging.py"),
    "key, limits, body": ("access/", "kit/bodies.py", "kit/receiving.py", "kit/limits.py", "kit/ids.py"),
    "log line and figures": ("kit/logs.py", "kit/metrics.py", "kit/shell.py", "prometheus_client/"),
    "HTTP and sockets": (
        "uvicorn/",
        "cli/protocol.py",
        "tocsin/app.py",
        "starlette/",
        "fastapi/",
        "asyncio/runners.py",
    ),
}
ELSE = "the rest"


@dataclass(frozen=True)
class Where:
    """Of one scenario: which part of Python's time was spent on what, in order of `BUSY_WITH` and `ELSE`."""

    engine: str
    scenario: str
    looks: int
    parts: dict[str, float]


def where(stage: Stage) -> list[Where]:
    """Tocsin alone, with all connections, in the scenarios that are compared."""
    program = shutil.which("py-spy")
    if program is None or not _may_look(program, stage):
        stage.say("py-spy is missing, or may not look into Tocsin: where the time goes is left out")
        return []
    return [_looked(program, stage, name) for name in (THE_THREE if stage.plan.name != "smoke" else THE_THREE[:1])]


def _may_look(program: str, stage: Stage) -> bool:
    look = [program, "dump", "--pid", str(stage.ours.server.pid)]
    return subprocess.run(look, capture_output=True, check=False, timeout=60).returncode == 0


def _looked(program: str, stage: Stage, name: str) -> Where:
    subject, kept = stage.ours, stage.folder("stacks") / "stacks"
    seconds = max(1, round(stage.plan.seconds * stage.plan.repeats))
    command = [program, "record", "--pid", str(subject.server.pid), "--gil", "--format", "raw", "--rate", str(LOOKS)]
    command += ["--duration", str(seconds), "--output", str(kept)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as looking:
        subject.measure(subject.scenarios[name], seconds + 1, stage.plan.connections)
        looking.wait(60)
    found = _by_work(kept)
    total = sum(found.values()) or 1
    return Where(stage.engine, name, total, {work: found[work] / total for work in (*BUSY_WITH, ELSE)})


def _by_work(kept: Path) -> Counter[str]:
    """py-spy's raw form: a stack a line, outermost frame first, and how often it was seen."""
    found: Counter[str] = Counter()
    for line in kept.read_text().splitlines():
        stack, _, times = line.rpartition(" ")
        found[work_of(reversed(stack.split(";")))] += int(times)
    return found


def work_of(frames: Iterable[str]) -> str:
    """What a stack is busy with; its frames from the innermost on, such as `view (tocsin/incidents/shapes.py:130)`."""
    for frame in frames:
        for work, places in BUSY_WITH.items():
            if any(place in frame for place in places):
                return work
    return ELSE
