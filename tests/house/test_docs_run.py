"""What the docs tell people to paste works as pasted: each page's blocks, in their order, on a new register."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.conftest import ROOT
from tests.original.server import Server

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNNABLE = ("curl ", "tocsin keys ")
STATUS = re.compile(r"^(\d{3})$", re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"


@pytest.mark.parametrize("name", ["README.md", "docs/quick-start.md", "docs/keys-and-roles.md"])
def test_a_page_s_commands_work_as_pasted(name: str, running: Server, shell: dict[str, str]) -> None:
    blocks = [block for block in BLOCK.findall((ROOT / name).read_text(encoding="utf-8")) if block.startswith(RUNNABLE)]
    assert blocks
    key = (running.folder / "data" / "first-key").read_text().strip()
    for block in blocks:
        command = block.replace(ADDRESS, f"http://127.0.0.1:{running.port}")
        said = paste(command, running.folder, shell | {"TOCSIN_KEY": key})
        statuses = STATUS.findall(said)
        assert len(statuses) == len(re.findall(r"^curl ", block, re.MULTILINE)), said
        assert all(status.startswith("2") for status in statuses), f"{block}\n{said}"


def paste(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
