"""The demo is honest: it really storms, really kills, and would say so if something were lost."""

import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.faults.server import environment
from tocsin.cli.demo import _report
from tocsin.demo.storm import Storm
from tocsin.demo.tally import Tally
from tocsin.demo.throwaway import Listener


def test_the_demo_storms_kills_and_counts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tocsin", "demo", "--reports", "600", "--troubles", "20", "--no-stay"]
    # What the user has set for their own Tocsin is not the demo's: it must neither read nor write there.
    own = environment(TOCSIN_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", TMPDIR=tmp_path, COLUMNS=120)
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=120, check=False)
    said = re.sub(r" +", " ", done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = re.search(r"kill -9 after (\d+) reports were accepted", said)
    assert killed is not None, said
    assert 300 <= int(killed[1]) < 600
    assert "kept: reports in the database 600" in said
    assert "lost: accepted and not there 0" in said
    assert "doubled: stored more than once 0" in said
    assert "incidents that they became 20 of 20 troubles" in said
    assert "Nothing was lost, nothing was doubled." in said
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_it_would_say_what_was_lost_or_doubled() -> None:
    listener = Listener()
    storm = Storm(0, "", count=3, troubles=1, accepted={1, 2, 3})
    try:
        assert _report(storm, Tally(1, 1, frozenset({1, 2, 3})), listener, 1.0)
        assert not _report(storm, Tally(1, 1, frozenset({1, 2})), listener, 1.0)
        assert not _report(storm, Tally(1, 1, frozenset({1, 2, 3, 4})), listener, 1.0)
        assert not _report(storm, Tally(2, 1, frozenset({1, 2, 3})), listener, 1.0)
        listener.take("a", {"type": "incident.opened", "data": {"incident": {"id": 1}}})
        listener.take("a", {"type": "incident.opened", "data": {"incident": {"id": 1}}})
        assert _report(storm, Tally(1, 1, frozenset({1, 2, 3})), listener, 1.0)
        listener.take("b", {"type": "incident.opened", "data": {"incident": {"id": 1}}})
        assert not _report(storm, Tally(1, 1, frozenset({1, 2, 3})), listener, 1.0)
    finally:
        listener.close()


def test_it_leaves_nothing_behind_when_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tocsin", "demo", "--no-stay"]
    demo = subprocess.Popen(command, cwd=tmp_path, env=environment(TMPDIR=tmp_path), stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    next(line for line in demo.stdout if "runs at" in line)
    (folder,) = tmp_path.iterdir()
    servers = [each for each in Path("/proc").glob("[0-9]*") if _works_in(each, folder)]
    assert servers
    demo.terminate()
    assert demo.wait(20) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert not any(_works_in(each, folder) for each in servers)


def _works_in(process: Path, folder: Path) -> bool:
    with suppress(OSError):
        return (process / "cwd").readlink() == folder
    return False
