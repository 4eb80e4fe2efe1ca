"""A PostgreSQL as the original's README expects it: the role `user` with its password, the database `database`."""

import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.original import checkout, readme
from tests.original.server import Server, clean_environment, free_port
from tests.postgres import NoPostgres, Postgres

CURLRC = 'silent\nshow-error\nnoproxy = "*"\nwrite-out = "\\n%{http_code}"\n'


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres(durable=False)
    except NoPostgres as reason:
        checkout.miss(f"the original's start needs PostgreSQL: {reason}")
    with server:
        server.psql("""CREATE ROLE "user" LOGIN PASSWORD 'password'""")
        server.psql('CREATE DATABASE "database" OWNER "user"')
        yield server


@pytest.fixture(scope="module")
def curl_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the README's `curl` prints the answer and its status; a stand-in is put where curl is missing."""
    folder = tmp_path_factory.mktemp("curl")
    (folder / ".curlrc").write_text(CURLRC)
    environment = clean_environment() | {"CURL_HOME": str(folder)}
    if shutil.which("curl") is None:
        stand_in = folder / "curl"
        stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("curl.py")}" "$@"\n')
        stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
        environment["PATH"] = f"{folder}:{environment['PATH']}"
    return environment


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Tocsin on SQLite with the original's key, for what is the same on both engines."""
    port = free_port()
    environment = clean_environment() | {"TOCSIN_PORT": str(port), "API_KEY": readme.KEY}
    command = [sys.executable, "-m", "tocsin", "serve"]
    with Server(command, cwd=tmp_path_factory.mktemp("register"), environment=environment, port=port) as server:
        yield server
