"""One engine's measurement: both servers side by side, run by turns (A B A B …), so that noise meets both alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.load import Generator, Run
from bench.scenario import Scenario, scenarios
from bench.subjects import Dishonest, Subject, everyday, tocsin, verify
from tests.postgres import Postgres


@dataclass(frozen=True)
class Plan:
    repeats: int
    seconds: float
    warm_up: float


@dataclass
class Figures:
    """One server's runs of one scenario, and the processor seconds that its processes took in each."""

    runs: list[Run] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [run.rate for run in self.runs]

    @property
    def cpu_per_thousand(self) -> float:
        return median(cpu * 1000 / run.requests for cpu, run in zip(self.cpu, self.runs, strict=True))


@dataclass
class Comparison:
    engine: str
    scenario: str
    ours: Figures = field(default_factory=Figures)
    theirs: Figures = field(default_factory=Figures)

    @property
    def ratios(self) -> list[float]:
        """Tocsin over the everyday form, one for each repeat."""
        return [a / b for a, b in zip(self.ours.rates, self.theirs.rates, strict=True)]


def compare(engine: str, plan: Plan, load: Generator, say: Callable[[str], None]) -> list[Comparison]:
    """Measures all scenarios on `engine`. Raises Dishonest when any answer was not 2xx or the databases disagree."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        postgres = stack.enter_context(Postgres()) if engine == "postgres" else None
        homes = [home / name for name in ("tocsin", "everyday")]
        for each in homes:
            each.mkdir()
        say(f"{engine}: starting and filling both servers")
        ours = stack.enter_context(tocsin(homes[0], postgres))
        theirs = stack.enter_context(everyday(homes[1], postgres))
        if postgres:
            for subject in (ours, theirs):
                subject.rows("ANALYZE")
        # Both were filled alike, but each has its own ids.
        rings = zip(scenarios(homes[0], ours.ids), scenarios(homes[1], theirs.ids), strict=True)
        found = [_scenario(engine, [(ours, a), (theirs, b)], plan, load, say) for a, b in rings]
        for subject in (ours, theirs):
            verify(subject)
        return found


def _scenario(
    engine: str, pairs: list[tuple[Subject, Scenario]], plan: Plan, load: Generator, say: Callable[[str], None]
) -> Comparison:
    found = Comparison(engine, pairs[0][1].name)
    for subject, scenario in pairs:
        _run(subject, scenario, plan.warm_up, load)
    for repeat in range(plan.repeats):
        for (subject, scenario), figures in zip(pairs, (found.ours, found.theirs), strict=True):
            before = subject.server.cpu_seconds()
            run = _run(subject, scenario, plan.seconds, load)
            figures.runs.append(run)
            figures.cpu.append(subject.server.cpu_seconds() - before)
        rates = f"{found.ours.rates[-1]:,.0f}/s beside {found.theirs.rates[-1]:,.0f}/s"
        say(f"{engine}: {found.scenario} {repeat + 1}/{plan.repeats}: {rates}, {found.ratios[-1]:.1f} times")
    return found


def _run(subject: Subject, scenario: Scenario, seconds: float, load: Generator) -> Run:
    run = load.run(subject.target, scenario, subject.start_of(scenario), seconds)
    failures = {kind: count for kind, count in run.failures.items() if count}
    if failures or not run.requests:
        text = f"{subject.name}, {scenario.name}: {failures or 'no answer at all'} among {run.requests} answers"
        raise Dishonest(f"{text}. The end of its log:\n{subject.server.log_end()}")
    subject.note(scenario, run)
    return run
