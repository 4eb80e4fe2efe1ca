"""The units for systemd: they are understood, their walls stand, and they name what is there.

`systemd-analyze` needs no running systemd. Where it is missing, that part warns and says that it was not tested; with
CI set that is a failure.
"""

import configparser
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.house.conftest import ROOT
from tests.original.checkout import miss
from tocsin.settings import NAMES, Settings

UNITS = sorted((ROOT / "ops").glob("tocsin*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
PROGRAM = "/opt/tocsin/.venv/bin/tocsin"
EXPOSURE = 2.0  # of 10, as `systemd-analyze security` counts


def by_name(unit: Path) -> str:
    return unit.name


def read(unit: Path) -> configparser.ConfigParser:
    """A unit as sections; of a name that comes several times the last one counts, which is enough here."""
    found = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read_string(unit.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        miss("the units of ops/ were only read as text: systemd-analyze is not here (Debian: apt-get install systemd)")
    return found


def asked(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_systemd_understands_every_unit(analyze: str, tmp_path: Path) -> None:
    for unit in UNITS:
        # The program is not installed here; all else is taken as it stands.
        (tmp_path / unit.name).write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true"))
    done = asked(analyze, "verify", "--man=no", *(tmp_path / unit.name for unit in UNITS))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES, ids=by_name)
def test_the_walls_stand(analyze: str, service: Path) -> None:
    most = f"--threshold={EXPOSURE * 10:.0f}"
    done = asked(analyze, "security", "--offline=true", "--no-pager", most, service)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Overall exposure level for {service.name}" in done.stdout + done.stderr


def walls(service: Path) -> Iterable[str]:
    """Its lines from the only place that it may write to."""
    _, found, rest = service.read_text(encoding="utf-8").partition("StateDirectory=")
    lines = (found + rest).partition("[Install]")[0].splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_a_backup_stands_behind_the_same_walls_as_the_server() -> None:
    server, backup = (walls(service) for service in sorted(SERVICES, reverse=True))
    assert server == backup
    assert len(list(server)) > 20


def test_a_stop_leaves_requests_the_time_that_they_are_promised() -> None:
    service = read(ROOT / "ops" / "tocsin.service")["Service"]
    assert float(service["TimeoutStopSec"]) > Settings.model_validate({}).stop_grace + 5
    assert service["KillMode"] == "mixed"  # the parent tells its workers; they would be told twice
    assert service["Restart"] == "on-failure"


@pytest.mark.parametrize("service", SERVICES, ids=by_name)
def test_a_service_runs_what_the_checkout_has(service: Path) -> None:
    found = read(service)["Service"]
    assert found["ExecStart"].startswith(PROGRAM + " ")
    assert found["User"] == "tocsin"
    settings = re.findall(r"\b(TOCSIN_\w+)=", found["Environment"])
    assert settings
    assert set(settings) <= set(NAMES)
    page = read(service)["Unit"]["Documentation"].removeprefix("file:///opt/tocsin/")
    assert (ROOT / page).exists()


def test_the_page_puts_every_unit_in_place() -> None:
    assert {unit.name for unit in UNITS} == {"tocsin.service", "tocsin-backup.service", "tocsin-backup.timer"}
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^cp (.*) /etc/systemd/system/$", page, re.MULTILINE)
    assert {ROOT / name for name in line.split()} == set(UNITS)
    for service in SERVICES:
        assert f"git clone ADDRESS-OF-THE-REPOSITORY {PROGRAM.removesuffix('/.venv/bin/tocsin')}\n" in page
        assert f"install -d -m 0750 -o root -g tocsin {read(service)['Service']['WorkingDirectory']}\n" in page
