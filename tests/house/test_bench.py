"""The benchmark runs, and its report has every row; how fast anything is, no test asks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import publish
from bench.findings import PARTS, USUAL_PARTS, Findings
from bench.goals import Goal, goals
from bench.large import QUESTIONS
from bench.load import Run
from bench.measure import Comparison, Figures
from bench.plan import ENGINES, SMOKE, USUAL
from bench.report import RESULTS, Report
from bench.sayings import SAYINGS
from bench.scenario import ALONE, CREATE, HUNDRED, KEYED, LIST, MOVE, ONE, THE_THREE, THOUSAND
from bench.subjects import Cpu
from bench.tables import sections
from bench.where import ELSE, work_of
from tests.house.conftest import ROOT
from tests.original import checkout
from tests.original.server import clean_environment
from tests.postgres import NoPostgres, Postgres
from tocsin.intake.dialects import DIALECTS

ROWS = {
    "4 connections": [(engine, name) for engine in ENGINES for name in (CREATE, KEYED, LIST, ONE, MOVE, HUNDRED)],
    "1 connection": [(engine, name) for engine in ENGINES for name in (*ALONE, THOUSAND)],
    "PostgreSQL by itself": [(name, clients) for name in THE_THREE for clients in ("1", "16", "64")],
    "Two workers beside one": [("postgres", name) for name in THE_THREE],
    "Start and memory": [(engine, name) for engine in ENGINES for name in ("Tocsin", "everyday form")],
    "How soon others hear": [(engine, "20") for engine in ENGINES],
    "The storm": [(engine, saying.name) for engine in ENGINES for saying in SAYINGS],
    "A register of millions": [(engine, question) for engine in ENGINES for question in QUESTIONS],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the smallest run of everything wrote down."""
    try:
        Postgres().close()
    except NoPostgres as reason:
        checkout.miss(f"the benchmark: {reason}")
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "bench", "--smoke", "--results", str(folder)]
    environment = clean_environment()
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = folder.iterdir()
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}-smoke\.md", file.name)
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("title", ROWS)
def test_every_row_is_there(results: str, title: str) -> None:
    table = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in of(results, title)]
    assert {row[:2] for row in table} >= {*ROWS[title]}


def test_every_goal_was_measured(results: str) -> None:
    lines = of(results, "To reach")
    assert len(lines) == len(goals(Findings(), USUAL)) + 2
    assert not [line for line in lines if "not measured" in line]


def test_every_dialect_has_its_storm() -> None:
    assert {saying.dialect for saying in SAYINGS if saying.dialect} == {*DIALECTS}


def test_a_goal_that_is_missed_is_said_to_be() -> None:
    assert Goal("times", 12, 25, 11.9).verdict == "**missed**"
    assert Goal("times", 12, 25, 12.0).verdict == "holds"
    assert Goal("times", 12, 25, 25.0).verdict == "aim reached"
    assert Goal("p99", 100, 40, 101, most=True).verdict == "**missed**"
    assert Goal("p99", 100, 40, 100, most=True).verdict == "holds"
    assert Goal("p99", 100, 40, 40, most=True).verdict == "aim reached"
    assert Goal("p99", 100, 40, None).verdict == "not measured"


def test_a_ratio_is_taken_within_each_repeat() -> None:
    ours, theirs = (
        Figures([Run(rate, rate, 1, 1, 1, {}) for rate in rates], [Cpu(1, 0)] * 3)
        for rates in ((10, 40, 90), (10, 20, 30))
    )
    found = Comparison("sqlite", CREATE, 64, ours, theirs, None)
    assert found.over_everyday == [1, 2, 3]
    first = goals(Findings(load=[found]), USUAL)[0]
    assert (first.seen, first.verdict) == (2, "**missed**")


def test_only_a_whole_run_stands_for_the_day(tmp_path: Path) -> None:
    def named(plan: object, parts: object, engines: object) -> str:
        report = Report(Findings(), plan, parts, engines, "wrk", [])  # type: ignore[arg-type]
        return report.keep(tmp_path).name[10:]

    assert named(USUAL, USUAL_PARTS, ENGINES) == ".md"
    assert named(USUAL, tuple(PARTS), ENGINES) == ".md"
    assert named(USUAL, ("load",), ENGINES) == "-load.md"
    assert named(USUAL, USUAL_PARTS, ("sqlite",)) == "-sqlite.md"
    assert named(SMOKE, tuple(PARTS), ENGINES) == "-smoke.md"


def test_a_part_that_was_not_measured_has_no_table() -> None:
    assert sections(Findings(), USUAL) == []


def test_a_stack_belongs_to_the_innermost_frame_that_says_what_it_does() -> None:
    outside = ["send (uvicorn/protocols/http/httptools_impl.py:524)", "_answer (tocsin/access/guard.py:116)"]
    assert work_of(reversed(outside)) == "key, limits, body"
    assert work_of(reversed([*outside, "say (tocsin/incidents/shapes.py:165)", "encode (json.py:1)"])) == "answers"
    assert work_of(["main (somewhere.py:1)"]) == ELSE


def test_what_is_published_is_what_was_measured() -> None:
    page = publish.PAGE.read_text(encoding="utf-8")
    whole, large = publish.newest(RESULTS), publish.newest(RESULTS, publish.LARGE)
    assert publish.written(page, whole, large) == page, "run: python -m bench.publish"


def test_the_page_has_a_place_for_every_table(results: str) -> None:
    page = publish.PAGE.read_text(encoding="utf-8")
    places = {found["title"] for found in publish.PART.finditer(page)}
    measured = {title.replace("4 connections", "64 connections") for title in publish.sections(results)}
    # Who may not look into another process has no table of where the time goes.
    assert places - {"Where the time goes"} <= measured <= places


def of(results: str, title: str) -> list[str]:
    return [line for line in publish.sections(results)[title].splitlines() if line.startswith("|")]
