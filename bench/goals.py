"""What is to be reached, beside what was seen. The first figure must hold, the second is the aim."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.findings import Findings
from bench.large import PAGE
from bench.measure import Comparison, ratios
from bench.plan import ENGINES, MILLIONS, Plan
from bench.scenario import ALONE, CREATE, LIST, MOVE, THE_THREE, THOUSAND
from bench.section import Lines, Section

NOTE = (
    "`must` has to hold, `aim` is what is wished for. {connections} connections where nothing else is said, one "
    "worker, durable commits, with keys, limits, idempotency, metrics and the access log switched on."
)
TIMES_EVERYDAY = {
    "sqlite": {CREATE: (12, 25), LIST: (10, 20), MOVE: (12, 25)},
    "postgres": {CREATE: (10, 16), LIST: (4, 8), MOVE: (9, 16)},
}
OF_LIMIT = {
    "sqlite": {CREATE: (0.6, 1.0), LIST: (0.25, 0.4), MOVE: (0.6, 1.0)},
    "postgres": {CREATE: (0.35, 0.5), LIST: (0.15, 0.25), MOVE: (0.35, 0.5)},
}
P99 = (100, 40)  # milliseconds
ALONE_P50 = dict.fromkeys(ALONE, 3.0) | {LIST: 1.5}
# A second worker has nothing to run on where two cores are shared with the load and the database.
TWO_WORKERS = (1.4, "where 4 cores are free") if (os.cpu_count() or 1) >= 4 else (0.9, "on 2 cores")


@dataclass(frozen=True)
class Goal:
    """`seen` is None where it was not measured. With `most` less is better."""

    what: str
    must: float
    aim: float | None
    seen: float | None
    unit: str = ""
    most: bool = False
    digits: int = 1

    @property
    def verdict(self) -> str:
        if self.seen is None:
            return "not measured"
        if not self._reached(self.must):
            return "**missed**"
        return "aim reached" if self.aim is not None and self._reached(self.aim) else "holds"

    def line(self) -> list[str]:
        aim = "" if self.aim is None else self._said(self.aim)
        return [self.what, self._said(self.must), aim, "" if self.seen is None else self._said(self.seen), self.verdict]

    def _reached(self, bar: float) -> bool:
        assert self.seen is not None
        return self.seen <= bar if self.most else self.seen >= bar

    def _said(self, value: float) -> str:
        sign = ("≤ " if self.most else "≥ ") if value in (self.must, self.aim) and value != self.seen else ""
        return f"{sign}{value:,.{self.digits}f}{self.unit}"


def goals(found: Findings, plan: Plan) -> list[Goal]:
    """Every goal, measured or not."""
    many = {(each.engine, each.scenario): each for each in found.load if each.connections == plan.connections}
    return [
        *_side_by_side(many),
        *_waits(found, many),
        *_workers(found),
        *_large(found, plan),
        *_start(found),
        *_storm(found),
        _thousand(found),
    ]


def section(found: Findings, plan: Plan) -> Section:
    columns = ("what", "must", "aim", "seen", "")
    lines: Lines = [each.line() for each in goals(found, plan)]
    return Section("To reach", NOTE.format(connections=plan.connections), columns, lines, words=1)


def _side_by_side(many: dict[tuple[str, str], Comparison]) -> Iterator[Goal]:
    for engine in ENGINES:
        for name, (must, aim) in TIMES_EVERYDAY[engine].items():
            one = many.get((engine, name))
            seen = _median(one.over_everyday if one else ())
            yield Goal(f"{engine}: {name}, times the everyday form", must, aim, seen, "×")
    for engine in ENGINES:
        for name, (least, wished) in OF_LIMIT[engine].items():
            one = many.get((engine, name))
            seen = _median(one.of_limit if one else ())
            yield Goal(f"{engine}: {name}, part of the engine's limit", least, wished, seen, digits=2)


def _waits(found: Findings, many: dict[tuple[str, str], Comparison]) -> Iterator[Goal]:
    single = {(each.engine, each.scenario): each for each in found.alone}
    for engine in ENGINES:
        for name in THE_THREE:
            one = many.get((engine, name))
            yield Goal(f"{engine}: {name}, p99", *P99, one.ours.p99 if one else None, " ms", most=True, digits=0)
    for engine in ENGINES:
        for name in THE_THREE:
            one = single.get((engine, name))
            seen = one.ours.p50 if one else None
            yield Goal(f"{engine}: {name}, 1 connection, p50", ALONE_P50[name], None, seen, " ms", most=True)


def _workers(found: Findings) -> Iterator[Goal]:
    must, where = TWO_WORKERS
    pairs = {each.scenario: each for each in found.workers}
    for name in THE_THREE:
        seen = _median(pairs[name].ratios) if name in pairs else None
        yield Goal(f"postgres: {name}, two workers, times one ({where})", must, None, seen, "×", digits=2)


def _large(found: Findings, plan: Plan) -> Iterator[Goal]:
    least, most = plan.sizes[0], plan.sizes[-1]
    for engine in ENGINES:
        of_size = {each.size: each.figures for each in found.large if (each.engine, each.question) == (engine, PAGE)}
        seen = _median(ratios(of_size[least], of_size[most]) if of_size else ())
        what = f"{engine}: a page at {MILLIONS[-1]:,}, times the cost at {MILLIONS[0]:,}"
        yield Goal(what, 1.2, None, seen, "×", most=True, digits=2)


def _start(found: Findings) -> Iterator[Goal]:
    ours = {each.engine: each for each in found.start if each.name == "Tocsin"}
    for engine in ENGINES:
        one = ours.get(engine)
        yield Goal(f"{engine}: ready", 1.5, None, one.took if one else None, " s", most=True, digits=2)
        seen = one.after_load / (1024 * 1024) if one else None
        yield Goal(f"{engine}: memory after load", 150, None, seen, " MiB", most=True, digits=0)


def _storm(found: Findings) -> Iterator[Goal]:
    """The slowest dialect says whether it holds."""
    for engine in ENGINES:
        of_it = [each for each in found.storm if each.engine == engine]
        slowest = max(of_it, key=lambda each: each.took, default=None)
        which = f" ({slowest.said})" if slowest else ""
        seen = slowest.took * 10_000 / slowest.reports if slowest else None
        yield Goal(f"{engine}: a storm of 10,000, the slowest dialect{which}", 3, None, seen, " s", most=True, digits=2)


def _thousand(found: Findings) -> Goal:
    one = next((each for each in found.load if (each.engine, each.scenario) == ("sqlite", THOUSAND)), None)
    seen = one.incidents_a_second if one else None
    return Goal("sqlite: 1,000 in one request, incidents a second", 10_000, None, seen, digits=0)


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
