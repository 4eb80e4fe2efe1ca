"""The docs are true: tables come from the code, names exist, links lead somewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import write_docs
from tests.house.conftest import ROOT
from tocsin.app import ROUTES
from tocsin.kit import metrics
from tocsin.kit.errors import every_problem
from tocsin.settings import NAMES
from tocsin.timeline.model import KINDS

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SETTING = re.compile(r"\b(?:TOCSIN|DB)_[A-Z_]*[A-Z]\b")
CODE_FILE = re.compile(r"`((?:src|tests|bench|cli|web|incidents|timeline|access|db|kit)/[\w./]*)`")

LOGGER = re.compile(r"(^|\.)log\.(debug|info|warning|error|exception|critical)$")

# Names of the shell and of the tests that begin like settings.
NO_SETTINGS = {"TOCSIN_KEY"}


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_what_comes_from_the_code_is_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert write_docs.written(text) == text, "run: python -m tests.house.write_docs"


def test_every_part_has_a_page() -> None:
    parts = [found["name"] for path in PAGES for found in write_docs.PART.finditer(path.read_text(encoding="utf-8"))]
    assert sorted(parts) == sorted(write_docs.PARTS)


def test_settings_errors_kinds_and_metrics_are_documented() -> None:
    assert all(f"| `{name}` |" in page("settings.md") for name in NAMES)
    assert all(f"`/errors/{problem.slug}`" in page("errors.md") for problem in every_problem())
    assert all(f"| `{kind}` |" in page("timeline.md") for kind in KINDS)
    assert all(f"`{name}`" in page("operations.md") for name in metrics.NAMES)


def test_every_figure_has_a_name_in_the_list() -> None:
    # A counter comes with the time of its making, `…_created`, which says nothing of its own.
    shown = re.findall(r"^# TYPE (tocsin_\w+?)(?:_total|_created)? ", metrics.exposition().decode(), re.MULTILINE)
    assert set(shown) == {name.removesuffix("_total") for name in metrics.NAMES}


def test_every_path_is_documented() -> None:
    api = page("api.md") + page("dialects.md") + page("channels.md") + page("console.md")
    for route in ROUTES:
        for method in (route.methods or set()) - {"HEAD"}:
            path = route.path.replace(":path", "")
            assert f"`{method} {path}`" in api or f"`{path}`" in api, f"{method} {path}"


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_settings_that_a_page_names_exist(path: Path) -> None:
    named = set(SETTING.findall(path.read_text(encoding="utf-8")))
    assert named <= {*NAMES} | NO_SETTINGS


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_files_that_a_page_names_exist(path: Path) -> None:
    for name in CODE_FILE.findall(path.read_text(encoding="utf-8")):
        places = (ROOT / name, ROOT / "src" / "tocsin" / name)
        assert any(place.exists() for place in places), name


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        aim = (path.parent / name).resolve() if name else path
        assert aim.exists(), target
        if anchor:
            assert anchor in set(anchors(aim)), target


def test_every_page_can_be_found() -> None:
    index = page("README.md")
    for path in DOCS.glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index
    assert "(docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DECISIONS, ids=by_name)
def test_a_decision_is_one_page_in_one_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.name[:4]}: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 40
    assert f"({path.name})" in page("decisions/README.md")


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def anchors(path: Path) -> Iterator[str]:
    """The names that a page's headings get where it is shown."""
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_line_of_the_log_is_explained_with_its_level() -> None:
    told = set(re.findall(r"^\| `([^`]+)` \| (debug|info|warning|error) \|", page("operations.md"), re.MULTILINE))
    assert told == set(log_lines())


def log_lines() -> Iterator[tuple[str, str]]:
    """What the code logs: each event that stands in a call of a logger, and its level."""
    for module in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and LOGGER.search(ast.unparse(node.func))
            ):
                said = node.args[0]
                if isinstance(said, ast.Constant):
                    yield str(said.value), node.func.attr.replace("exception", "error")
                else:  # sentences for the administrator, which explain themselves
                    assert (module.stem, ast.unparse(said)) in {("start", "note"), ("banner", "note")}
