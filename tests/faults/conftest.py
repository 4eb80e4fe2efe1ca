"""What every test of faults may have: a PostgreSQL that nothing is kept from, a fresh database, sizes and figures."""

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.faults import figures as kept
from tests.postgres import NoPostgres, Postgres
from tests.stage import miss

Say = Callable[[str], None]
Size = Callable[[int, int], int]
Figures = Callable[[str, str], None]


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


@pytest.fixture
def size() -> Size:
    """`size(5, 200)`: the first in the suite, the second in the long form."""
    return kept.size


@pytest.fixture
def figures(request: pytest.FixtureRequest, say: Say) -> Figures:
    """`figures(fault, result)`: one line for this fault on this test's engine; `./run faults` keeps it."""
    engine = kept.engine_of(request.node)

    def line(fault: str, result: str) -> None:
        say(f"{fault}, {engine}: {result}")
        if kept.form():
            kept.keep(fault, engine, result)

    return line


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A fault whose test failed is told as well: the table must not go on showing the run before."""
    report = yield
    if kept.form() and report.failed:
        for fault in kept.faults_of(item):
            kept.keep(fault, kept.engine_of(item), f"{kept.FAILED} in {item.name}")
    return report
