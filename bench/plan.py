"""How much is measured: the usual run, a quick one, and the smallest, which only shows that everything still works."""

from __future__ import annotations

from dataclasses import dataclass

ENGINES = ("sqlite", "postgres")
LISTED = 50  # incidents on a page


@dataclass(frozen=True)
class Plan:
    """Times in seconds, `alone` those with one connection. `starts` come after a first one.

    `sizes` are the registers of `--large`.
    """

    name: str
    connections: int
    repeats: int
    seconds: float
    warm_up: float
    alone: float
    starts: int
    filled: int  # incidents in the register before anything is measured
    reports: int  # of one storm
    listeners: int
    writes: int  # of which the listeners and the receiver hear
    sizes: tuple[int, ...]


MILLIONS = (10_000, 1_000_000, 5_000_000)
USUAL = Plan(
    "usual",
    connections=64,
    repeats=3,
    seconds=5,
    warm_up=2,
    alone=2,
    starts=5,
    filled=12_000,
    reports=10_000,
    listeners=1_000,
    writes=50,
    sizes=MILLIONS,
)
QUICK = Plan(
    "quick",
    connections=64,
    repeats=1,
    seconds=1,
    warm_up=0,
    alone=1,
    starts=1,
    filled=12_000,
    reports=2_000,
    listeners=1_000,
    writes=10,
    sizes=MILLIONS,
)
# Seconds in all: nothing that it measures says anything, but every row is there.
SMOKE = Plan(
    "smoke",
    connections=4,
    repeats=1,
    seconds=0.1,
    warm_up=0,
    alone=0.1,
    starts=0,
    filled=300,
    reports=200,
    listeners=20,
    writes=2,
    sizes=(200, 300),
)
