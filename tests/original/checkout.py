"""A fresh checkout, installed the original's way: by Poetry, with the `.env` of the original's README.

Poetry and the packages come from PyPI. Where that cannot be had the test says so loudly, and in CI it is red.
"""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.original import readme
from tests.original.server import ROOT, clean_environment

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".env", "data", "dist", "poetry.lock", "__pycache__", ".*_cache", ".hypothesis", "*.tmp"
)
# Poetry asks PyPI's JSON API, which many company indexes do not have; this plug-in makes it read the simple index.
SIMPLE_INDEX = {"POETRY_PYPI_MIRROR_URL": "https://pypi.org/simple/"}


class Checkout:
    """`root` is the working directory; `environment` is what a shell in it has once the environment is active."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        example = (root / ".env.example").read_text(encoding="utf-8")
        (root / ".env").write_text(example, encoding="utf-8")
        self.environment = clean_environment() | {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_NO_INTERACTION": "1"}

    def install(self) -> None:
        """`poetry env use python3.13` and `poetry install`; then the environment is active, as after `poetry shell`."""
        poetry = _poetry(self.environment)
        use_python(poetry, self)
        plain = self.run(*poetry, *readme.command("poetry install").split()[1:])
        if plain.returncode:
            again = self.run(*poetry_with_plugin(poetry), "install", extra=SIMPLE_INDEX)
            if "attempts to connect" in again.stdout:
                miss("the original's start needs Poetry, which cannot reach PyPI here")
            assert again.returncode == 0, f"{plain.stdout}\n{again.stdout}"
        self.environment |= {
            "VIRTUAL_ENV": str(self.root / ".venv"),
            "PATH": f"{self.root / '.venv' / 'bin'}{os.pathsep}{self.environment['PATH']}",
        }

    def run(self, *command: str, extra: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One command in the checkout; its errors are in `stdout` too."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment | (extra or {}),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )


def use_python(poetry: list[str], checkout: Checkout) -> None:
    """Python 3.13 as the README asks, where there is one; else the Python that runs the tests."""
    words = readme.command("poetry env use").split()
    folder = next((each for each in _pythons() if _runs(each / words[-1])), None)
    if folder is None:
        warnings.warn(f"no {words[-1]} here: Poetry uses Python {sys.version.split()[0]}", stacklevel=2)
        used = checkout.run(*poetry, "env", "use", sys.executable)
    else:
        path = f"{folder}{os.pathsep}{checkout.environment['PATH']}"
        used = checkout.run(*poetry, *words[1:], extra={"PATH": path})
    assert used.returncode == 0, used.stdout


def poetry_with_plugin(poetry: list[str]) -> list[str]:
    return [*poetry[:-1], "--with", "poetry-plugin-pypi-mirror", poetry[-1]]


def miss(reason: str) -> NoReturn:
    """Loud where a person looks, red where nobody does."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    warnings.warn(f"NOT TESTED: {reason}", stacklevel=2)
    pytest.skip(reason)


def _poetry(environment: dict[str, str]) -> list[str]:
    beside = Path(sys.executable).with_name("uv")
    uv = shutil.which("uv") or (str(beside) if beside.exists() else None)
    if uv is None:
        miss("the original's start needs Poetry, and uv, which would bring it, is not here")
    poetry = [uv, "tool", "run", "--python", sys.executable, "--from", "poetry>=2.2", "poetry"]
    tried = subprocess.run(
        [*poetry, "--version"], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if tried.returncode:
        miss(f"the original's start needs Poetry from PyPI, which cannot be had here: {tried.stderr.strip()[-300:]}")
    return poetry


def _pythons() -> Iterator[Path]:
    yield from map(Path, os.environ.get("PATH", "").split(os.pathsep))
    yield from Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob("versions/3.13*/bin")


def _runs(python: Path) -> bool:
    """A file of that name may be pyenv's shim for a version that is not switched on."""
    if not python.exists():
        return False
    return subprocess.run([python, "-c", ""], check=False, capture_output=True, timeout=30).returncode == 0
