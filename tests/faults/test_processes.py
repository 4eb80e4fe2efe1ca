"""Processes: what stops a start, what a stop must finish first, and who goes when whom is killed."""

import re
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.faults.client import ADDRESS, KEY
from tests.faults.frozen import frozen
from tests.faults.server import Server, run, session, wait_until
from tests.postgres import Postgres
from tocsin.db.dialect import MIGRATION_LOCK

OTHER_HALF = b' half", "source": "operator"}'
BODY = b'{"description": "half by' + OTHER_HALF
HALF = (
    f"POST /api/incidents HTTP/1.1\r\nhost: here\r\nx-api-key: {KEY}\r\ncontent-length: {len(BODY)}\r\n\r\n"
).encode() + BODY.removesuffix(OTHER_HALF)


def all_of(caller: socket.socket) -> str:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: caller.recv(65536), b"")).decode()


def test_several_workers_on_sqlite_stop_the_start(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", TOCSIN_WORKERS=2)
    assert done.returncode == 1
    assert "TOCSIN_WORKERS=2 needs PostgreSQL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server((ADDRESS, 0)) as stranger:
        port = stranger.getsockname()[1]
        done = run(tmp_path, "serve", TOCSIN_PORT=port)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "TOCSIN_PORT chooses another port" in done.stderr


def test_a_data_directory_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    done = run(tmp_path, "serve", mortal=True, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert done.stderr == "tocsin: TOCSIN_DATA_DIR=data cannot be written: Permission denied\n"


def test_a_data_directory_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    done = run(tmp_path, "serve", mortal=True, TOCSIN_PORT=0, TOCSIN_DATA_DIR="locked/data")
    assert done.returncode == 1
    assert done.stderr == "tocsin: TOCSIN_DATA_DIR=locked/data cannot be made: Permission denied\n"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_is_in_flight_and_ends_with_0(tmp_path: Path, sign: signal.Signals) -> None:
    """SIGTERM, and Ctrl-C: half a body is there when the signal comes, the other half comes later."""
    with Server(tmp_path) as server, socket.create_connection((ADDRESS, server.port), 10) as caller:
        caller.sendall(HALF)
        wait_until(server.ready, what="the server has seen it")
        server.signal(sign)
        took = wait_until(lambda: not server.ready(), 2, what="/readyz turns false at once")
        assert took < 0.5
        caller.sendall(OTHER_HALF)
        answer = all_of(caller)
        assert answer.startswith("HTTP/1.1 201 "), answer
        assert server.exit_code(10) == 0
        assert "Traceback" not in server.said()


def test_a_stop_waits_no_longer_than_its_grace(tmp_path: Path) -> None:
    server = Server(tmp_path, TOCSIN_STOP_GRACE=1)
    with server, socket.create_connection((ADDRESS, server.port), 10) as caller:
        caller.sendall(HALF)
        wait_until(server.ready, what="the server has seen it")
        server.signal(signal.SIGTERM)
        answer = all_of(caller)
        assert answer.startswith("HTTP/1.1 503 "), answer
        assert "/errors/unavailable" in answer
        assert server.exit_code(5) == 0
        assert "Traceback" not in server.said()


def test_a_stop_does_not_wait_for_a_silent_database(tmp_path: Path, postgres: Postgres, database: str) -> None:
    """Its backends are frozen: no error ever comes from them. The caller is told 503."""
    name = database.rpartition("/")[2]
    server = Server(tmp_path, TOCSIN_DATABASE_URL=database, TOCSIN_STOP_GRACE=1)
    with server, server.client as client, frozen(postgres, name, lambda: client.file("before").status == 201):
        threading.Timer(0.3, server.signal).start()
        assert client.file("in flight").status == 503
        assert server.exit_code(8) == 0


def test_workers_come_back_and_go_with_their_parent(tmp_path: Path, database: str) -> None:
    """One worker is killed: another takes its place, and somebody serves meanwhile. The parent is killed: all go."""
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        before = set(server.workers)
        server.kill_worker()
        wait_until(server.ready, 5, what="the other worker serves")
        wait_until(lambda: len(server.workers) == 2 and set(server.workers) != before, 10, what="a new worker")
        server.kill_parent()
        assert session(server.pid) == []


def test_the_figures_of_two_workers_add_up_and_a_stop_ends_both(tmp_path: Path, database: str) -> None:
    """Each of many connections lands on either worker; `/metrics` of any of them knows all."""
    with Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database) as server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        for number in range(40):
            with server.client as client:
                assert client.file(f"counted {number}").status == 201
        # A worker counts when it has answered: the next request may be there a little earlier.
        wait_until(lambda: _filed(server.client.ask("GET", "/metrics").body) == 40, what="all are counted")
        seen = {_filed(server.client.ask("GET", "/metrics").body) for _ in range(10)}
        assert seen == {40}
        server.signal(signal.SIGTERM)
        assert server.exit_code(10) == 0
        assert session(server.pid) == []
        assert "Traceback" not in server.said()


def _filed(metrics: str) -> int:
    found = re.search(r'^tocsin_requests_total\{(?=.*method="POST").*status="201"\} (\S+)$', metrics, re.MULTILINE)
    return round(float(found[1])) if found else 0


def test_two_servers_that_start_at_once_make_one_first_key(tmp_path: Path, postgres: Postgres, database: str) -> None:
    """The schema is made once, whoever comes first; both serve, and one of them was given the key."""
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        servers.append(Server(tmp_path / name, TOCSIN_DATABASE_URL=database, API_KEY=None))
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_ready()
        keys = [file.read_text().strip() for file in tmp_path.glob("*/data/first-key")]
        assert len(keys) == 1
        assert postgres.psql("SELECT count(*) FROM api_key", database.rpartition("/")[2]) == "1"
        for server in servers:
            with server.client as client:
                client._key = keys[0]
                assert client.file("both know the key").status == 201
    finally:
        for server in servers:
            server.kill_all()


def test_a_start_waits_for_the_migration_of_another(tmp_path: Path, postgres: Postgres, database: str) -> None:
    """Longer than a write would wait for a lock."""
    name = database.rpartition("/")[2]
    hold = f"BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); SELECT pg_sleep(2); COMMIT"
    other = threading.Thread(target=postgres.psql, args=(hold, name))
    other.start()
    wait_until(lambda: postgres.psql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), what="the lock is held")
    limits = {"TOCSIN_LOCK_TIMEOUT": 0.1, "TOCSIN_STATEMENT_TIMEOUT": 0.1}
    with Server(tmp_path, TOCSIN_DATABASE_URL=database, **limits) as server:
        assert not other.is_alive()
        assert server.client.ask("GET", "/api/incidents").status == 200
    other.join()


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path, postgres: Postgres, database: str) -> None:
    with Server(tmp_path, TOCSIN_DATABASE_URL=database):
        pass
    postgres.psql("UPDATE tocsin_version SET version_num = '9999'", database.rpartition("/")[2])
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=database, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert "schema 9999, which this program does not know" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bare_uvicorn_serves_and_names_the_file_of_the_first_key(tmp_path: Path) -> None:
    with socket.create_server((ADDRESS, 0)) as probe:
        port = probe.getsockname()[1]
    server = Server(tmp_path, API_KEY=None)
    server.port = port
    server.command = (sys.executable, "-m", "uvicorn", "tocsin.app:app", "--port", str(port))
    with server:
        file = tmp_path / "data" / "first-key"
        assert file.stat().st_mode & 0o777 == 0o600
        assert "data/first-key" in server.said()
        assert file.read_text().strip() not in server.said()
        server.signal(signal.SIGTERM)
        server.exit_code(10)


def test_a_parent_that_is_told_to_stop_while_workers_start_leaves_nobody(tmp_path: Path, database: str) -> None:
    server = Server(tmp_path, TOCSIN_WORKERS=2, TOCSIN_DATABASE_URL=database)
    try:
        server.launch()
        wait_until(lambda: server.workers, what="the first worker's process")
        server.signal(signal.SIGTERM)
        assert server.exit_code(10) == 0
        assert session(server.pid) == []
    finally:
        server.kill_all()
