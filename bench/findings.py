"""All that one run found, part by part; and the parts by name, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.hearing import Heard, hearing
from bench.large import Grown, grown
from bench.measure import Clients, Comparison, alone, clients, loaded
from bench.stage import Stage
from bench.start import Started, starts
from bench.storm import Storm, storms
from bench.workers import Pair, pairs


@dataclass
class Findings:
    """Empty where a part was not measured."""

    hearing: list[Heard] = field(default_factory=list)
    load: list[Comparison] = field(default_factory=list)
    alone: list[Comparison] = field(default_factory=list)
    clients: list[Clients] = field(default_factory=list)
    workers: list[Pair] = field(default_factory=list)
    start: list[Started] = field(default_factory=list)
    storm: list[Storm] = field(default_factory=list)
    large: list[Grown] = field(default_factory=list)

    def measure(self, part: str, stage: Stage) -> None:
        getattr(self, part).extend(PARTS[part](stage))


# Listeners come first, because their memory shows only on a server that has not yet had a load; the storm comes after
# all that counts what Tocsin has acknowledged, because its incidents are counted by themselves.
PARTS: dict[str, Callable[[Stage], list[Any]]] = {
    "hearing": hearing,
    "load": loaded,
    "alone": alone,
    "clients": clients,
    "workers": pairs,
    "start": starts,
    "storm": storms,
    "large": grown,
}
USUAL_PARTS = tuple(name for name in PARTS if name != "large")
