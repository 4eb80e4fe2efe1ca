"""The report: what is to be reached, every table, and the machine; printed, and kept in bench/results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import goals
from bench.findings import USUAL_PARTS, Findings
from bench.plan import ENGINES, Plan
from bench.section import Section, markdown
from bench.tables import sections

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Report:
    """What was measured, how, and where."""

    found: Findings
    plan: Plan
    parts: Sequence[str]
    engines: Sequence[str]
    load: str
    machine: Sequence[tuple[str, str]]

    @property
    def sections(self) -> list[Section]:
        return [goals.section(self.found, self.plan), *sections(self.found, self.plan)]

    @property
    def whole(self) -> bool:
        """Whether it may stand for the day: the usual run of at least all usual parts on both engines."""
        return self.plan.name == "usual" and {*USUAL_PARTS} <= {*self.parts} and (*self.engines,) == ENGINES

    def markdown(self, now: datetime) -> str:
        lines = [f"# Benchmark of {now:%Y-%m-%d %H:%M} UTC", "", self._shape()]
        for section in self.sections:
            lines += ["", *section.markdown()]
        lines += ["", "## Machine", "", *markdown([["what", "is"], *map(list, self.machine)])]
        return "\n".join(lines) + "\n"

    def keep(self, folder: Path) -> Path:
        """Writes FOLDER/DATE.md; what is not whole says in its name what it is. Returns its path."""
        now = datetime.now(UTC)
        folder.mkdir(parents=True, exist_ok=True)
        kind = "" if self.whole else "-" + "-".join(self._less())
        path = folder / f"{now:%Y-%m-%d}{kind}.md"
        path.write_text(self.markdown(now), encoding="utf-8")
        return path

    def _less(self) -> list[str]:
        parts = () if {*USUAL_PARTS} <= {*self.parts} else self.parts
        engines = () if len(self.engines) == len(ENGINES) else self.engines
        return [*([self.plan.name] if self.plan.name != "usual" else []), *engines, *parts]

    def _shape(self) -> str:
        plan = self.plan
        return (
            f"{plan.repeats} repeats by turns, {plan.seconds:g} s each ({plan.alone:g} s with one connection) after "
            f"{plan.warm_up:g} s to warm up; the load comes from {self.load} on the same machine; {plan.filled:,} "
            "incidents filed before. Medians; a ratio is taken for each repeat."
        )
