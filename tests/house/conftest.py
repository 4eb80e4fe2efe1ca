"""Where the house tests look: the checkout, its pages, an empty database on each engine, a register that runs."""

import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.original import checkout
from tests.original.server import Server, clean_environment, free_port
from tests.postgres import NoPostgres, Postgres
from tocsin.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CURLRC = 'silent\nshow-error\nnoproxy = "*"\nwrite-out = "\\n%{http_code}\\n"\n'

Empty = Callable[[], Settings]


@pytest.fixture(scope="session")
def house_postgres() -> Iterator[Postgres]:
    try:
        server = Postgres(durable=False)
    except NoPostgres as reason:
        checkout.miss(f"the migrations on PostgreSQL: {reason}")
    with server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Empty:
    """Settings for a database that nobody has used yet; each call makes another."""

    def on_sqlite() -> Settings:
        folder = tmp_path / secrets.token_hex(4)
        folder.mkdir()
        return Settings.model_validate({"TOCSIN_DATA_DIR": folder})

    def on_postgres() -> Settings:
        server: Postgres = request.getfixturevalue("house_postgres")
        return Settings.model_validate({"TOCSIN_DATABASE_URL": server.create_database(), "TOCSIN_DATA_DIR": tmp_path})

    return on_sqlite if request.param == "sqlite" else on_postgres


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    """A new register, as `./run` makes it; its log is beside its data."""
    port = free_port()
    environment = clean_environment() | {"TOCSIN_PORT": str(port)}
    with Server([sys.executable, "-m", "tocsin", "serve"], cwd=tmp_path, environment=environment, port=port) as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of someone who pastes from the docs; curl also prints the status."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / ".curlrc").write_text(CURLRC)
    (folder / "tocsin").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tocsin "$@"\n')
    if shutil.which("curl") is None:
        stand_in = ROOT / "tests" / "original" / "curl.py"
        (folder / "curl").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_in}" "$@"\necho\n')
    for program in folder.iterdir():
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = clean_environment()
    return environment | {"CURL_HOME": str(folder), "PATH": f"{folder}:{environment['PATH']}"}
