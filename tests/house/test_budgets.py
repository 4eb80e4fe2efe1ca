"""Size budgets: small modules, small functions. Whoever raises one says here why."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.conftest import ROOT

LINES_OF_A_MODULE = 300
LINES_OF_A_FUNCTION = 40
COMPLEXITY = 8
LINE = 120

# What may be longer, and why.
LONGER: dict[str, tuple[int, str]] = {
    "src/tocsin/db/schema.py": (400, "every table on one page"),
    "src/tocsin/settings.py": (350, "every setting on one page, with what would be right"),
}

CODE = sorted(path for folder in ("src", "bench") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("module", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small(module: Path) -> None:
    most, _ = LONGER.get(str(module.relative_to(ROOT)), (LINES_OF_A_MODULE, ""))
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= most, f"{lines} lines: take a part out that has a name of its own"


@pytest.mark.parametrize("module", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_its_functions_are_small(module: Path) -> None:
    long = {name: lines for name, lines in functions(module) if lines > LINES_OF_A_FUNCTION}
    assert not long, "a function that is this long does more than one thing"


@pytest.mark.parametrize("module", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_says_what_it_is(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module's docstring: what it is, then its one rule"


def test_the_linter_keeps_complexity_and_line_length() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert ruff["lint"]["mccabe"]["max-complexity"] == COMPLEXITY
    assert "C90" in ruff["lint"]["select"]
    assert "E" in ruff["lint"]["select"]
    assert ruff["line-length"] == LINE


def test_what_is_excepted_is_there_and_needs_it() -> None:
    for name, (most, why) in LONGER.items():
        assert (ROOT / name).exists()
        assert most > LINES_OF_A_MODULE
        assert why


def functions(module: Path) -> Iterator[tuple[str, int]]:
    """Each function's name and its lines, from `def` to its end."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1
