"""Imports go one way: the contracts of `.importlinter`, and that they name every room."""

import configparser
import subprocess
import sys
from pathlib import Path

from tests.house.conftest import ROOT

PACKAGE = ROOT / "src" / "tocsin"
SPEAK_SQL = {
    "tocsin.access.store",
    "tocsin.delivery.store",
    "tocsin.incidents.store",
    "tocsin.incidents.troubles",
    "tocsin.incidents.adopt",  # reads the original service's database, which is none of ours
    "tocsin.intake.store",
    "tocsin.live.store",
    "tocsin.timeline.store",
    "tocsin.timeline.log",
}


def test_the_import_contracts_are_kept() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_name_every_feature() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    pure = set(contracts["importlinter:contract:grammar"]["source_modules"].split())
    rules = set(contracts["importlinter:contract:rules"]["source_modules"].split())
    for model in PACKAGE.glob("*/model.py"):
        feature = f"tocsin.{model.parent.name}"
        assert f"{feature}.model" in pure, "a model knows no SQL and no HTTP: name it in .importlinter"
        for part in ("actions", "store"):
            if model.with_name(f"{part}.py").exists():
                assert f"{feature}.{part}" in rules, "actions and stores know no HTTP: name them in .importlinter"


def test_the_contracts_say_of_every_module_whether_it_may_speak_sql() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    silent = set(contracts["importlinter:contract:stores"]["source_modules"].split())
    for model in PACKAGE.glob("*/model.py"):
        for module in model.parent.glob("*.py"):
            name = f"tocsin.{model.parent.name}.{module.stem}"
            if module.stem not in ("__init__", "model") and name not in SPEAK_SQL:
                assert name in silent, "SQL stands in the stores alone: name it in .importlinter, or here"


def test_starting_takes_only_what_it_needs() -> None:
    """Alembic, Jinja and the other engine cost a start half a second and more: they are loaded when they are used."""
    code = "import sys, tocsin.app; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert not {"alembic", "jinja2", "asyncpg", "typer", "babel"} & set(done.stdout.split())
