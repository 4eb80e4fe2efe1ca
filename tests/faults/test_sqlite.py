"""SQLite: one server for one file, a file that may not be written, commands beside a busy server."""

import os
import time
from pathlib import Path

from tests.faults import ledger
from tests.faults.client import Client
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ledger import SqliteFile
from tests.faults.server import Server, run

KEYS = size(3, 30)
SECONDS = size(1, 10)  # servers that come second


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, figures: Figures) -> None:
    """By another name for it too; the first one goes on. A lock file that is left over stops nobody."""
    (tmp_path / "other").symlink_to(tmp_path / "data")
    with Server(tmp_path) as server:
        with Crowd(server.port, clients=4) as crowd:
            for number in range(SECONDS):
                crowd.wait_for(20)
                done = run(tmp_path, "serve", TOCSIN_PORT=0, TOCSIN_DATA_DIR=("data", "other")[number % 2])
                assert done.returncode == 1
                assert f"in use by another Tocsin, process {server.pid}." in done.stderr
                assert "Traceback" not in done.stderr
            server.kill_all()
            server.start()
            crowd.wait_for(20)
        server.kill_all()
        ledger.check(SqliteFile(tmp_path / "data" / "tocsin.db"), crowd)
    figures(
        "a second server on the same file", f"{SECONDS} × refused with a sentence; {crowd.figures()}; 0 lost, 0 double"
    )


def test_a_key_is_made_beside_a_busy_server_and_known_at_once(tmp_path: Path, figures: Figures) -> None:
    slowest = 0.0
    with Server(tmp_path) as server:
        with Crowd(server.port, clients=4) as crowd:
            crowd.wait_for(50)
            for number in range(KEYS):
                began = time.monotonic()
                done = run(tmp_path, "keys", "create", "--role", "operator", "--name", f"key {number}", API_KEY=None)
                slowest = max(slowest, time.monotonic() - began)
                assert done.returncode == 0, done.stderr
                with Client(server.port, key=done.stdout.strip()) as fresh:
                    assert fresh.ask("GET", "/api/incidents").status == 200
        server.kill_all()
        ledger.check(SqliteFile(tmp_path / "data" / "tocsin.db"), crowd)
    told = f"{KEYS} × tocsin keys create, the slowest took {slowest:.1f} s; {crowd.figures()}; 0 lost, 0 double"
    figures("commands that write beside a busy server", told)


def test_a_file_that_may_not_be_written_stops_the_start(tmp_path: Path, figures: Figures) -> None:
    """Whoever has it open goes on; the next start says what is wrong, and nothing is lost when it is mended."""
    file = tmp_path / "data" / "tocsin.db"
    with Server(tmp_path) as server:
        with Crowd(server.port) as crowd:
            crowd.wait_for(20)
            file.chmod(0o400)
            crowd.wait_for(20)
        server.kill_all()
    assert crowd.repeats == 0
    done = run(tmp_path, "serve", mortal=True, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert done.stderr.startswith("tocsin: data/tocsin.db cannot be used: "), done.stderr
    assert "readonly" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    file.chmod(0o600)
    with server:
        assert server.client.ask("GET", f"/api/incidents/{crowd.told[0].id}").status == 200
        server.kill_all()
    ledger.check(SqliteFile(file), crowd)
    figures(
        "the database can only be read", f"the start is refused with a sentence; {crowd.figures()}; 0 lost, 0 double"
    )


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "tocsin.db").write_bytes(os.urandom(8192))
    done = run(tmp_path, "serve", TOCSIN_PORT=0)
    assert done.returncode == 1
    assert done.stderr.startswith("tocsin: data/tocsin.db cannot be used: "), done.stderr
    assert "not a database" in done.stderr
    assert len(done.stderr.splitlines()) == 1
