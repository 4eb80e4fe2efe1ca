"""The fixture of the behaviour tests: `world`, on both engines.

No engine is skipped silently: see `pytest_terminal_summary`.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.running import Clock, Tape
from tests.stage import ENGINES, Stage
from tests.world import World
from tocsin import app
from tocsin.kit import limits, logs

HERE = Path(__file__).parent
# As workers share them out: what takes longest first, or else one would be left with it when the others have ended.
BY_TIME = ("faults", "web", "house", "original", "dialects", "spec", "rules")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: BY_TIME.index(item.path.relative_to(HERE).parts[0]))


@pytest.fixture(scope="session")
def tape() -> Iterator[Tape]:
    """Loggers keep what they were first given, so one tape serves the whole run."""
    tape = Tape()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "sys", SimpleNamespace(stdout=TextIOWrapper(tape), stderr=sys.stderr))
        logs.set_up("json", "info")
        patch.setattr(logs, "set_up", lambda style, level: None)
        patch.setattr(logs, "quiet", lambda: None)  # commands that a test runs in this process ask for it
        yield tape


@pytest.fixture(scope="session")
def stage(tape: Tape, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The event loop, the PostgreSQL server and the templates of this run (of each worker under xdist)."""
    with pytest.MonkeyPatch.context() as patch, Stage(tmp_path_factory.mktemp("stage")) as stage:
        # Frozen once for each of many worlds, garbage would stay for ever.
        patch.setattr(app, "calm_the_collector", lambda: None)
        yield stage


@pytest.fixture
def log(tape: Tape) -> Tape:
    tape.seek(0)
    tape.truncate()
    return tape


@pytest.fixture(params=ENGINES)
def world(
    request: pytest.FixtureRequest, stage: Stage, log: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A running Tocsin with its people: every test that asks for one runs on both engines."""
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    world = World(stage, stage.template(request.param), tmp_path, clock, log)
    yield world
    world.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What could not be tested here is named last, in red, with what would be needed: nothing is skipped silently."""
    reasons = Counter(str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} left out: {reason.removeprefix('Skipped: ')}", red=True, bold=True)
