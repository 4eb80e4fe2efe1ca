"""Two workers beside one, on PostgreSQL: what a second process brings on this machine, or costs."""

from __future__ import annotations

from dataclasses import dataclass

from bench.measure import Figures, by_turns, ratios
from bench.scenario import THE_THREE
from bench.stage import Stage


@dataclass(frozen=True)
class Pair:
    """One scenario with one worker and with two."""

    engine: str
    scenario: str
    one: Figures
    two: Figures

    @property
    def ratios(self) -> list[float]:
        return ratios(self.two, self.one)


def pairs(stage: Stage) -> list[Pair]:
    """Nothing on SQLite, which has one writing process."""
    if stage.postgres is None:
        return []
    one, two = stage.ours, stage.another_tocsin(workers=2)
    two.name = "two workers"
    many = stage.plan.connections
    found = [Pair(stage.engine, name, *by_turns(stage, name, [one, two], many)) for name in THE_THREE]
    for each in (one, two):
        each.verify()
    return found
