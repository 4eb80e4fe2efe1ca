"""`python -m bench`: measures Tocsin beside the everyday form and keeps the figures.

It ends with 1, and writes nothing, when one answer was not 2xx or a database does not hold what was acknowledged.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Never

from rich.console import Console
from rich.markup import escape

from bench.hearing import hearing
from bench.load import generator
from bench.measure import Plan, compare
from bench.processes import NotStarted
from bench.report import filesystem, heard_table, table, write
from bench.subjects import Dishonest
from tests.postgres import NoPostgres, Postgres

ENGINES = ("sqlite", "postgres")
USUAL = Plan(repeats=3, seconds=10, warm_up=3)
QUICK = Plan(repeats=3, seconds=2, warm_up=1)


def main() -> int:
    asked = _arguments()
    signal.signal(signal.SIGTERM, _stop)  # so that the servers are stopped too
    usual = QUICK if asked.quick else USUAL
    plan = Plan(asked.repeats or usual.repeats, usual.seconds, usual.warm_up)
    console, load = Console(stderr=True, highlight=False), generator()
    _warn(console, load.name, plan)
    engines = ENGINES if asked.engine == "both" else (asked.engine,)
    try:
        found = [each for engine in engines for each in compare(engine, plan, load, console.print)]
        heard = [hearing(engine, 15 if asked.quick else 50, console.print) for engine in engines]
        postgres = _postgres_version() if "postgres" in engines else "not measured"
    except (Dishonest, NotStarted, NoPostgres) as error:
        console.print("[bold red]The benchmark failed:[/]", escape(str(error)))
        return 1
    Console(width=None if sys.stdout.isatty() else 160).print(table(found))
    Console(width=None if sys.stdout.isatty() else 160).print(heard_table(heard))
    console.print(f"kept in {write(found, heard, plan, load.name, postgres, asked.quick)}", soft_wrap=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="short runs: both engines in less than three minutes")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--repeats", type=_positive, help="runs of each server and scenario (3)")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError("a number from 1 to 100")
    return int(text)


def _warn(console: Console, load: str, plan: Plan) -> None:
    if not load.startswith("wrk"):
        console.print(
            "[bold yellow]wrk is not installed (Debian: `apt install wrk`).[/] The load comes from Python, which is "
            "slower than Tocsin: its figures, and the ratio, are far too low."
        )
    if filesystem(Path(tempfile.gettempdir())) in ("tmpfs", "ramfs"):
        console.print("[bold yellow]The temporary directory is in memory:[/] commits cost nothing there. Set TMPDIR.")
    if plan.repeats < 3:
        console.print("[bold yellow]Fewer than 3 repeats say little.[/]")


def _postgres_version() -> str:
    with Postgres() as postgres:
        return postgres.version


def _stop(*_: object) -> Never:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
