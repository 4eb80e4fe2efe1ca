"""`python -m bench`: measures Tocsin beside the everyday form and the engine's own limit, and keeps the figures.

It ends with 1, and writes nothing, when one answer was not 2xx or a database does not hold what was acknowledged.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Never

from rich.console import Console
from rich.markup import escape

from bench.findings import PARTS, USUAL_PARTS, Findings
from bench.large import NoRoom
from bench.load import Generator, InPython, generator
from bench.machine import filesystem, machine
from bench.plan import ENGINES, QUICK, SMOKE, USUAL, Plan
from bench.processes import NotStarted
from bench.report import RESULTS, Report
from bench.stage import Stage
from bench.subjects import Dishonest
from tests.postgres import NoPostgres


def main() -> int:
    asked = _arguments()
    signal.signal(signal.SIGTERM, _stop)  # so that the servers are stopped too
    plan = _plan(asked)
    load: Generator = InPython() if plan is SMOKE else generator()
    engines = ENGINES if asked.engine == "both" else (asked.engine,)
    console, began = Console(stderr=True, highlight=False), time.monotonic()
    _warn(console, load.name, plan)
    try:
        report = _measured(console, plan, load, _parts(asked), engines)
    except (Dishonest, NotStarted, NoPostgres, NoRoom) as error:
        console.print("[bold red]The benchmark failed:[/]", escape(str(error)))
        return 1
    printed = Console(width=None if sys.stdout.isatty() else 200)
    for section in report.sections:
        printed.print(section.table())
    kept = report.keep(asked.results)
    console.print(f"kept in {kept}, after {(time.monotonic() - began) / 60:.1f} minutes", soft_wrap=True)
    return 0


def _measured(console: Console, plan: Plan, load: Generator, parts: Sequence[str], engines: Sequence[str]) -> Report:
    found, postgres, busy = Findings(), "not measured", os.getloadavg()[0]
    for engine in engines:
        with Stage(engine, plan, load, console.print) as stage:
            postgres = stage.postgres.version if stage.postgres else postgres
            for part in parts:
                began = time.monotonic()
                found.measure(part, stage)
                stage.say(f"{part} took {time.monotonic() - began:.0f} s")
    return Report(found, plan, parts, engines, load.name, machine(postgres, busy))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else None)
    short = parser.add_mutually_exclusive_group()
    short.add_argument("--quick", action="store_true", help="one short repeat of everything: less than three minutes")
    short.add_argument("--smoke", action="store_true", help="seconds: shows that it runs, its figures say nothing")
    parser.add_argument(
        "--large", action="store_true", help="registers of up to 5,000,000 incidents too (6 GB, 20 min)"
    )
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--repeats", type=_positive, help="runs of each contender and scenario (usually 3)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder in which the figures are kept")
    return parser.parse_args()


def _plan(asked: argparse.Namespace) -> Plan:
    plan = QUICK if asked.quick else SMOKE if asked.smoke else USUAL
    return replace(plan, repeats=asked.repeats) if asked.repeats else plan


def _parts(asked: argparse.Namespace) -> tuple[str, ...]:
    """In the order in which they are measured, which is not that in which they were asked for."""
    wanted = {*(asked.only or USUAL_PARTS), *(["large"] if asked.large or (asked.smoke and not asked.only) else [])}
    return tuple(name for name in PARTS if name in wanted)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError("a number from 1 to 100")
    return int(text)


def _warn(console: Console, load: str, plan: Plan) -> None:
    if not load.startswith("wrk"):
        console.print(
            "[bold yellow]wrk is not installed (Debian: `apt install wrk`).[/] The load comes from Python, which is "
            "slower than Tocsin: its figures, and the ratio, are far too low."
            if plan.name != "smoke"
            else "The load comes from Python: nothing that is measured here says anything."
        )
    if filesystem(Path(tempfile.gettempdir())) in ("tmpfs", "ramfs"):
        console.print("[bold yellow]The temporary directory is in memory:[/] commits cost nothing there. Set TMPDIR.")
    if plan.repeats < 3:
        console.print("[bold yellow]Fewer than 3 repeats say little.[/]")


def _stop(*_: object) -> Never:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
