"""The database's URL is libpq's: its other name, several hosts, a password with every sign that a URL minds."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults.server import Server, run
from tests.postgres import Postgres, _free_port

AWKWARD = "p@ss:w/o%rd?#&=+ [ü]"


@pytest.fixture
def owner(postgres: Postgres, database: str) -> tuple[str, str]:
    """A role with an awkward password that owns the database: its name and the database's."""
    name = database.rpartition("/")[2]
    role = f"owner_{name[-6:]}"
    postgres.psql(f"CREATE ROLE {role} LOGIN PASSWORD '{AWKWARD}'; ALTER DATABASE {name} OWNER TO {role}")
    return role, name


def _works(server: Server) -> None:
    with server, server.client as client:
        filed = client.file("by this URL").incident
        assert client.ask("GET", f"/api/incidents/{filed['id']}").status == 200


def test_postgres_with_several_hosts_and_an_awkward_password(
    tmp_path: Path, postgres: Postgres, owner: tuple[str, str]
) -> None:
    """`postgres://`; the first host refuses, the second one can be written to."""
    role, name = owner
    hosts = f"127.0.0.1:{_free_port()},127.0.0.1:{postgres.port}"
    url = f"postgres://{role}:{quote(AWKWARD, safe='')}@{hosts}/{name}?target_session_attrs=read-write&sslmode=prefer"
    server = Server(tmp_path, TOCSIN_DATABASE_URL=url)
    _works(server)
    assert quote(AWKWARD, safe="") not in server.said()


def test_the_parts_of_the_original_with_an_awkward_password(
    tmp_path: Path, postgres: Postgres, owner: tuple[str, str]
) -> None:
    role, name = owner
    parts = {"DB_USER": role, "DB_PASSWORD": AWKWARD, "DB_NAME": name, "DB_HOST": "127.0.0.1", "DB_PORT": postgres.port}
    server = Server(tmp_path, **parts)
    _works(server)
    assert not (tmp_path / "data" / "tocsin.db").exists()


def test_hosts_of_which_none_can_be_written_stop_the_start(tmp_path: Path, postgres: Postgres, database: str) -> None:
    postgres.psql(f'ALTER DATABASE "{database.rpartition("/")[2]}" SET default_transaction_read_only = on')
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=f"{database}?target_session_attrs=read-write", TOCSIN_PORT=0)
    assert done.returncode == 1
    assert "read-write" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "url", ["postgresql://h:1/n?sslmode=sometimes", "postgresql://h:port/n", "postgresql://%zz@/n"]
)
def test_a_url_that_makes_no_sense_is_a_sentence(tmp_path: Path, url: str) -> None:
    done = run(tmp_path, "serve", TOCSIN_DATABASE_URL=url, TOCSIN_PORT=0)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
