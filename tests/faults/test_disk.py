"""A full disk: while it is full a write is a 503 and reads are served; with room again all goes on, nothing half."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.client import check_refusal
from tests.faults.conftest import Figures
from tests.faults.crowd import Crowd
from tests.faults.figures import size
from tests.faults.ground import HEALS
from tests.faults.ledger import PostgresDatabase, SqliteFile
from tests.faults.server import Server, wait_until
from tests.postgres import Postgres, _unprivileged

BIG = "x" * 60_000
ROUNDS = size(1, 10)  # of a disk that is filled and cleared
MEBIBYTES = 128
PIECE = b"\0" * 65536
NO_DISK = "a disk that is really full: only root can mount a small one (a limit on files stands for it)"


class Disk:
    """A small one of our own; `fill` leaves nothing free but what is asked for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self, *, free: int = 0) -> None:
        with self._ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(PIECE):
                pass
        os.truncate(self._ballast, max(0, self._ballast.stat().st_size - free))

    def clear(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    place = Path(tempfile.mkdtemp(prefix="tocsin-disk-", dir="/tmp"))  # where PostgreSQL's user can reach it too
    place.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m,mode=0777", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        place.rmdir()
        pytest.skip(NO_DISK)
    yield Disk(place)
    subprocess.run(["umount", "--lazy", str(place)], check=False)
    place.rmdir()


def test_sqlite_on_a_full_disk_refuses_and_heals(tmp_path: Path, disk: Disk, figures: Figures) -> None:
    data = disk.place / "data"
    register = SqliteFile(data / "tocsin.db")
    with Server(tmp_path, TOCSIN_DATA_DIR=data) as server:
        figures("the disk is full", _fill_and_clear(server, disk, register))


def test_postgresql_on_a_full_disk_refuses_and_heals(
    tmp_path: Path, disk: Disk, postgres: Postgres, database: str, figures: Figures
) -> None:
    """The disk of its tables; the journal lies elsewhere, or PostgreSQL itself would go down with it."""
    name = database.rpartition("/")[2]
    register = PostgresDatabase(postgres, database)
    space = disk.place / "tables"
    space.mkdir()
    if user := _unprivileged():
        shutil.chown(space, user)
    postgres.psql(f"CREATE TABLESPACE small_{name} LOCATION '{space}'")
    postgres.psql(f"ALTER DATABASE {name} SET TABLESPACE small_{name}")
    try:
        with Server(tmp_path, TOCSIN_DATABASE_URL=database, TOCSIN_WORKERS=2) as server:
            figures("the disk is full", _fill_and_clear(server, disk, register))
    finally:
        postgres.drop_database(database)
        postgres.psql(f"DROP TABLESPACE small_{name}")


def _fill_and_clear(server: Server, disk: Disk, register: SqliteFile | PostgresDatabase) -> str:
    """By turns quite full at once, and filled by the writes themselves."""
    slowest = 0.0
    with Crowd(server.port, padding=4_000) as crowd:
        for number in range(ROUNDS):
            crowd.wait_for(20)
            disk.fill(free=(0, 1_000_000)[number % 2])
            crowd.wait_until_refused()
            wait_until(lambda: not server.ready(), HEALS, what="/readyz turns false")
            with server.client as client:
                read = client.ask("GET", f"/api/incidents/{crowd.told[0].id}")
                assert read.status == 200, read
                assert client.ask("GET", "/api/incidents?limit=5").status == 200
            disk.clear()
            slowest = max(slowest, crowd.wait_for(1, within=HEALS))
            wait_until(server.ready, HEALS, what="/readyz turns true again")
    assert "Traceback" not in server.said()
    server.kill_all()
    ledger.check(register, crowd)
    return f"filled × {ROUNDS}, reads served, healed within {slowest:.1f} s; {crowd.figures()}; 0 lost, 0 double"


def test_files_that_may_not_grow_are_a_503_and_heal(tmp_path: Path) -> None:
    """Files of this process may not grow: what a full disk looks like to SQLite, without being root. Reads go on."""
    with Server(tmp_path) as server:
        client = server.client
        before = client.file("before")
        largest = max(file.stat().st_size for file in (tmp_path / "data").iterdir())
        _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + 100_000, resource.RLIM_INFINITY))
        for number in range(100):
            answer = client.file(f"{number} {BIG}", once=f"fill-{number}")
            if answer.status != 201:
                break
        check_refusal(answer)
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


def _draft(description: str) -> dict[str, str]:
    return {"description": description, "source": "operator"}
