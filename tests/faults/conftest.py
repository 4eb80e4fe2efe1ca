"""What every test of faults may have: a PostgreSQL that nothing is kept from, and a fresh database in it."""

from collections.abc import Callable, Iterator

import pytest

from tests.postgres import NoPostgres, Postgres
from tests.stage import miss

Say = Callable[[str], None]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One for all of these tests; who kills it need not start it again."""
    try:
        server = Postgres(durable=False)
    except NoPostgres as reason:
        miss(f"faults of PostgreSQL: {reason}")
    with server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    postgres.start()
    url = postgres.create_database()
    yield url
    postgres.start()
    postgres.drop_database(url)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Prints a line of figures past pytest's capture."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}")

    return line
