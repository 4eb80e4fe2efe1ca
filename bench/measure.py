"""Measuring by turns: each repeat runs every contender once (A B C A B C …), so that noise meets all alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.load import Run
from bench.scenario import ALONE, IN_ONE, THE_THREE, THOUSAND, Scenario
from bench.stage import Stage
from bench.subjects import Contender, Cpu


@dataclass
class Figures:
    """One contender's runs of one scenario, and the processor seconds that each took."""

    runs: list[Run] = field(default_factory=list)
    cpu: list[Cpu] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [run.rate for run in self.runs]

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def p50(self) -> float:
        return median(run.p50_ms for run in self.runs)

    @property
    def p99(self) -> float:
        return median(run.p99_ms for run in self.runs)

    @property
    def cpu_per_thousand(self) -> Cpu:
        """Of what was sent: the processor also works on what the end of a run cuts off."""
        pairs = list(zip(self.cpu, self.runs, strict=True))
        return Cpu(*(median(cpu[part] * 1000 / run.sent for cpu, run in pairs) for part in (0, 1)))


@dataclass
class Comparison:
    """One scenario. `theirs` (the everyday form) and `limit` (the engine) are None where they have no such thing."""

    engine: str
    scenario: str
    connections: int
    ours: Figures
    theirs: Figures | None
    limit: Figures | None

    @property
    def over_everyday(self) -> list[float]:
        return ratios(self.ours, self.theirs)

    @property
    def of_limit(self) -> list[float]:
        return ratios(self.ours, self.limit)

    @property
    def incidents_a_second(self) -> float:
        return self.ours.rate * IN_ONE.get(self.scenario, 1)


@dataclass(frozen=True)
class Clients:
    """What PostgreSQL by itself does of one scenario for so many clients."""

    scenario: str
    clients: int
    figures: Figures


def loaded(stage: Stage) -> list[Comparison]:
    """Every scenario with 64 connections, and 1,000 incidents a request with one."""
    many = stage.plan.connections
    names = [name for name in stage.ours.scenarios if name != THOUSAND]
    found = [_compared(stage, name, many) for name in names]
    found.append(_compared(stage, THOUSAND, 1))
    return _verified(stage, found)


def alone(stage: Stage) -> list[Comparison]:
    """One connection, so nobody to share a commit with: what a single caller waits."""
    return _verified(stage, [_compared(stage, name, 1) for name in ALONE])


def clients(stage: Stage) -> list[Clients]:
    """What PostgreSQL itself does for 1, 16 and 64 clients; SQLite has one writer."""
    if stage.postgres is None:
        return []
    found = [
        Clients(name, count, by_turns(stage, name, [stage.limit], count)[0])
        for name in THE_THREE
        for count in (1, 16, 64)
    ]
    stage.limit.verify()
    return found


def by_turns(stage: Stage, name: str, contenders: Sequence[Contender], connections: int) -> list[Figures]:
    """`plan.repeats` runs of each, one after another in every repeat."""
    plan = stage.plan
    seconds = plan.alone if connections == 1 else plan.seconds
    if plan.warm_up:
        for each in contenders:
            each.measure(each.scenarios[name], plan.warm_up, connections)
    found = [Figures() for _ in contenders]
    for repeat in range(plan.repeats):
        for each, figures in zip(contenders, found, strict=True):
            _run(each, each.scenarios[name], seconds, connections, figures)
        rates = ", ".join(
            f"{each.name} {figures.rates[-1]:,.0f}/s" for each, figures in zip(contenders, found, strict=True)
        )
        stage.say(f"{name}, {of_connections(connections)}, {repeat + 1}/{plan.repeats}: {rates}")
    return found


def ratios(a: Figures, b: Figures | None) -> list[float]:
    """One over the other, for each repeat."""
    return [] if b is None else [one / other for one, other in zip(a.rates, b.rates, strict=True)]


def of_connections(count: int) -> str:
    return f"{count} connection{'s' if count > 1 else ''}"


def _run(each: Contender, scenario: Scenario, seconds: float, connections: int, figures: Figures) -> None:
    before = each.cpu()
    figures.runs.append(each.measure(scenario, seconds, connections))
    figures.cpu.append(Cpu(*(now - then for now, then in zip(each.cpu(), before, strict=True))))


def _compared(stage: Stage, name: str, connections: int) -> Comparison:
    all_three: Mapping[str, Contender] = {"ours": stage.ours, "theirs": stage.theirs, "limit": stage.limit}
    able = {role: each for role, each in all_three.items() if name in each.scenarios}
    found = dict(zip(able, by_turns(stage, name, list(able.values()), connections), strict=True))
    return Comparison(stage.engine, name, connections, found["ours"], found.get("theirs"), found.get("limit"))


def _verified(stage: Stage, found: list[Comparison]) -> list[Comparison]:
    contenders: Iterable[Contender] = (stage.ours, stage.theirs, stage.limit)
    for each in contenders:
        each.verify()
    return found
