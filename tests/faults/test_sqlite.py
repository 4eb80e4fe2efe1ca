"""SQLite: one server for one file, a full disk, a file that may not be written, commands beside a busy server."""

import os
import resource
import time
from pathlib import Path

from tests.faults import ledger
from tests.faults.client import Client
from tests.faults.conftest import Say
from tests.faults.crowd import Crowd
from tests.faults.ledger import SqliteFile
from tests.faults.server import Server, run, wait_until

BIG = "x" * 60_000
KEYS = 3


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """And is told which process has it; the first one goes on. A lock file that is left over stops nobody."""
    with Server(tmp_path) as server:
        done = run(tmp_path, "serve", TOCSIN_PORT=0)
        assert done.returncode == 1
        assert f"in use by another Tocsin, process {server.pid}." in done.stderr
        assert "Traceback" not in done.stderr
        assert server.ready()
        server.kill_all()
        server.start()
        assert server.client.file("after a kill").status == 201


def test_a_full_disk_is_a_503_and_heals(tmp_path: Path) -> None:
    """Files of this process may not grow: what a full disk looks like to SQLite. Reads are still answered."""
    with Server(tmp_path) as server:
        client = server.client
        before = client.file("before")
        largest = max(file.stat().st_size for file in (tmp_path / "data").iterdir())
        _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + 100_000, resource.RLIM_INFINITY))
        for number in range(100):
            answer = client.file(f"{number} {BIG}", once=f"fill-{number}")
            if answer.status != 201:
                break
        assert answer.status == 503, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.body["type"] == "/errors/unavailable"
        wait_until(lambda: not server.ready(), 5, what="/readyz turns false")
        assert client.ask("GET", f"/api/incidents/{before.incident['id']}").status == 200
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, most))
        again = client.insist("POST", "/api/incidents", _draft(f"{number} {BIG}"), f"fill-{number}", within=5)
        assert again.status == 201
        wait_until(server.ready, 5, what="/readyz turns true again")
        server.kill_all()
        register = SqliteFile(tmp_path / "data" / "tocsin.db")
        register.check_itself()
        assert register.rows("SELECT count(*) FROM incident") == [[str(number + 2)]]


def test_a_key_is_made_beside_a_busy_server_and_known_at_once(tmp_path: Path, say: Say) -> None:
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
    say(f"tocsin keys create × {KEYS} beside {crowd.figures()}: the slowest took {slowest:.2f} s")


def test_a_file_that_may_not_be_written_stops_the_start(tmp_path: Path) -> None:
    with Server(tmp_path):
        pass
    file = tmp_path / "data" / "tocsin.db"
    file.chmod(0o400)
    done = run(tmp_path, "serve", mortal=True, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert done.stderr.startswith("tocsin: data/tocsin.db cannot be used: "), done.stderr
    assert "readonly" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "tocsin.db").write_bytes(os.urandom(8192))
    done = run(tmp_path, "serve", TOCSIN_PORT=0)
    assert done.returncode == 1
    assert done.stderr.startswith("tocsin: data/tocsin.db cannot be used: "), done.stderr
    assert "not a database" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _draft(description: str) -> dict[str, str]:
    return {"description": description, "source": "operator"}
