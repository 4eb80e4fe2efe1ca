"""The project as a whole: one version, a lock file that fits, no paths that one machine alone has."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tocsin
from tests.house.conftest import ROOT
from tests.original import checkout

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXTS = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".ini",
    ".html",
    ".css",
    ".sh",
    ".po",
    ".sql",
    ".service",
    ".timer",
    "",
}

# What works on one machine only.
SOMEBODY_S = re.compile(r"(?<![\w.])/(?:home|root|Users)/\w")


def test_the_program_and_the_package_have_one_version() -> None:
    assert tocsin.__version__ == PROJECT["version"]


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{PROJECT['version']}]" in changelog


def test_the_lock_file_fits_the_project() -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = shutil.which("uv") or (str(beside) if beside.exists() else None)
    if uv is None:
        checkout.miss("whether uv.lock fits pyproject.toml: uv is not here")
    done = subprocess.run(
        [uv, "lock", "--check", "--offline"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_what_a_marker_leaves_out_is_never_built_from_source() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]
    assert "pysqlite3" in tool["no-build-package"]


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "docs", ".ci", ".github", "ops", "."])
def test_no_file_holds_a_path_of_somebody_s_machine(folder: str) -> None:
    place = ROOT / folder
    files = place.glob("*") if folder == "." else place.rglob("*")
    for file in files:
        if file.is_file() and file.suffix in TEXTS and "vendor" not in file.parts and file != Path(__file__):
            found = SOMEBODY_S.search(file.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{file.relative_to(ROOT)}: {found and found[0]!r}"
