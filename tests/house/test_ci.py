"""What is run when a change comes in: the same that anyone can run, and a smoke test that can fail."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.house.conftest import ROOT
from tests.original.checkout import miss
from tests.world import World

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
SMOKE = ROOT / ".ci" / "smoke"
TEXT = WORKFLOW.read_text(encoding="utf-8")
JOBS = yaml.safe_load(TEXT)["jobs"]
COMMANDS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def test_the_workflow_runs_what_anyone_can_run() -> None:
    scripts = re.findall(r"(?:^|\s)((?:\./|\.ci/)\w+)", "\n".join(COMMANDS))
    assert {".ci/run", ".ci/smoke", "./run"} == set(scripts)
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


def test_the_image_is_built_and_tried_on_both_kinds_of_processor() -> None:
    assert {"ubuntu-24.04", "ubuntu-24.04-arm"} == set(JOBS["image"]["strategy"]["matrix"]["machine"])


def test_what_it_uses_has_a_version_and_few_rights() -> None:
    uses = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert uses
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", each) for each in uses), uses
    assert yaml.safe_load(TEXT)["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 40 for job in JOBS.values())


@pytest.fixture
def bash() -> str:
    found = shutil.which("bash")
    if found is None or shutil.which("curl") is None:
        miss(".ci/smoke: bash or curl is not here")
    return found


def smoke(bash: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([bash, SMOKE, *words], check=False, capture_output=True, text=True, timeout=60)


def test_a_server_that_works_passes_the_smoke_test(bash: str, world: World) -> None:
    done = smoke(bash, "--at", f"http://127.0.0.1:{world.port}/", world.admin.key or "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "smoke: incident 1 is there\nsmoke: all is well\n"
    assert world.ada.lists().json["incidents"][0]["description"] == "Smoke in the engine room"


def test_a_server_that_does_not_work_fails_it(bash: str, world: World) -> None:
    done = smoke(bash, "--at", f"http://127.0.0.1:{world.port}", "tcs_1_wrong")
    assert done.returncode == 1
    assert "FAILED: it took no incident" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert smoke(bash, "--at", f"http://127.0.0.1:{port}", "k").returncode == 1


@pytest.mark.parametrize("words", [(), ("--help",), ("--at", "http://127.0.0.1:1")])
def test_called_wrongly_it_says_how(bash: str, words: tuple[str, ...]) -> None:
    done = smoke(bash, *words)
    assert done.returncode == 1
    assert "usage: .ci/smoke IMAGE" in done.stderr or "usage: .ci/smoke --at URL KEY" in done.stderr


# A container engine's: it runs the checkout's own program.
STAND_IN = Path(__file__).with_name("container.sh")


def test_an_image_is_started_asked_stopped_and_asked_again(bash: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "DOCKER": str(STAND_IN),
        "SMOKE_PORT": str(port),
        "STAND_IN": str(tmp_path),
        "TOCSIN": str(Path(sys.executable).with_name("tocsin")),
    }
    done = subprocess.run(
        [bash, SMOKE, "tocsin:smoke"], env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    verbs = [line.split()[0] for line in told]
    assert verbs.index("run") < verbs.index("stop") < verbs.index("start")
    (run,) = [line for line in told if line.startswith("run ")]
    for word in ("--read-only", "--cap-drop ALL", "no-new-privileges", "tocsin:smoke"):
        assert word in run
    assert "incident 1 is there" in done.stdout
    assert not (tmp_path / "data").exists()  # nothing is left behind
