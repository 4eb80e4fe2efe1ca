"""An old register to import from and a new one to import into, on either engine."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO
from unittest.mock import patch
from urllib.parse import quote

from tests.original import readme
from tests.original.server import Server, clean_environment, free_port
from tests.postgres import ADDRESS, Postgres
from tocsin.access.model import ENVIRONMENT
from tocsin.cli import main
from tocsin.db.engine import Database
from tocsin.incidents.actions import File, file
from tocsin.incidents.model import Incident
from tocsin.settings import Settings, load
from tocsin.start import prepare_beside
from tocsin.timeline.log import append

KEY = "import-test-key-0123456789"
STATUSES = "(ARRAY['NEW', 'IN_PROGRESS', 'RESOLVED', 'CLOSED'])[1 + n % 4]::incidentstatus"
SOURCES = "(ARRAY['OPERATOR', 'MONITORING', 'PARTNER'])[1 + n % 3]::incidentsource"
LOOK = (
    "SELECT md5(string_agg(i::text, '|' ORDER BY id)), count(*) FROM incidents i",
    "SELECT version_num FROM alembic_version",
    "SELECT last_value, is_called FROM incidents_id_seq",
    "SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = 'incidents'::regclass ORDER BY attnum",
)


@dataclass
class Old:
    """A database of the original service; its owner is a plain role, as in the original's README."""

    postgres: Postgres
    name: str

    @classmethod
    def made(cls, postgres: Postgres, schema: str = readme.SCHEMA) -> "Old":
        name = postgres.create_database().rpartition("/")[2]
        postgres.psql(f'ALTER DATABASE "{name}" OWNER TO "user"')
        postgres.psql(f'ALTER SCHEMA public OWNER TO "user"; SET ROLE "user";\n{schema}', name)
        return cls(postgres, name)

    def url(self, password: str = "password", host: str = ADDRESS) -> str:
        return f"postgresql://user:{quote(password, safe='')}@{host}:{self.postgres.port}/{self.name}"

    def sql(self, statement: str) -> str:
        return self.postgres.psql(statement, self.name)

    def add(self, *rows: tuple[int, str, str, str, str]) -> None:
        for id, description, status, source, created_at in rows:
            values = f"{id}, $words${description}$words$, '{status}', '{source}', '{created_at}'"
            self.sql(f"INSERT INTO incidents (id, description, status, source, created_at) VALUES ({values})")

    def fill(self, first: int, last: int) -> None:
        time = "timestamptz '2024-01-01 00:00:00.123456+00' + n * interval '17 seconds'"
        self.sql(
            "INSERT INTO incidents (id, description, status, source, created_at) "
            f"SELECT n, 'Самокат ' || n, {STATUSES}, {SOURCES}, {time} FROM generate_series({first}, {last}) n"
        )

    def look(self) -> list[str]:
        """All that there is of it, to be compared."""
        return [self.sql(statement) for statement in LOOK]


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    stdout: str
    stderr: str


@dataclass
class New:
    """A register that is imported into: a folder, its settings, and what its database holds."""

    folder: Path
    postgres: Postgres | None = None
    database: str = ""
    environment: dict[str, str] = field(default_factory=lambda: clean_environment() | {"API_KEY": KEY})

    @classmethod
    def made(cls, engine: str, folder: Path, postgres: Postgres) -> "New":
        if engine == "sqlite":
            return cls(folder)
        return cls.at(folder, postgres, postgres.create_database().rpartition("/")[2])

    @classmethod
    def at(cls, folder: Path, postgres: Postgres, database: str) -> "New":
        new = cls(folder, postgres, database)
        new.environment["TOCSIN_DATABASE_URL"] = postgres.url(database)
        return new

    def run(self, *arguments: str) -> Said:
        """`tocsin import original …` to its end: in this process, which saves a second for each."""
        with self._inside(), redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = 0
            try:
                with patch.object(sys, "argv", ["tocsin", "import", "original", *arguments]):
                    main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Said(code, out.getvalue().strip(), err.getvalue())

    def imported(self, *arguments: str) -> str:
        """The same where it must go well: its last sentence."""
        done = self.run(*arguments)
        assert done.code == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """The same where it must not: the sentence that says why."""
        done = self.run(*arguments)
        assert done.code == 1, done.stdout
        assert done.stderr.startswith("tocsin: ")
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    def killed(self, *arguments: str) -> None:
        """The same, killed as soon as it says that some incidents came."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tocsin", "import", "original", *arguments],
            cwd=self.folder,
            env=self.environment,
            stderr=subprocess.PIPE,
        )
        says: IO[bytes] | None = process.stderr
        assert says is not None
        with closing(says):
            assert b"imported" in says.readline()
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL

    def file(self) -> int:
        """A new incident as the server would file it; its id."""
        with self._inside():
            settings = load()
            prepare_beside(settings)
            return asyncio.run(_filed(settings))

    def server(self) -> Server:
        port = free_port()
        environment = self.environment | {"TOCSIN_PORT": str(port)}
        return Server([sys.executable, "-m", "tocsin", "serve"], cwd=self.folder, environment=environment, port=port)

    def rows(self, statement: str) -> list[tuple[str, ...]]:
        """What the database answers, as text."""
        if self.postgres is not None:
            return [tuple(line.split("|")) for line in self.postgres.psql(statement, self.database).splitlines()]
        with closing(sqlite3.connect(self.folder / "data" / "tocsin.db")) as line:
            return [tuple("" if value is None else str(value) for value in row) for row in line.execute(statement)]

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """This process, as if it had been started in the folder with the environment."""
        with chdir(self.folder), patch.dict(os.environ, self.environment, clear=True):
            yield

    def microseconds(self, column: str) -> str:
        """SQL for a time as microseconds since 1970."""
        return column if self.postgres is None else f"(extract(epoch FROM {column}) * 1000000)::bigint"

    def number(self, statement: str) -> int:
        return int(self.rows(statement)[0][0])


async def _filed(settings: Settings) -> int:
    db = Database(settings, log=append)
    db.start()
    try:
        wish = File("new", "operator", "new", None, None, by=ENVIRONMENT)
        incident: Incident = await db.write(file, wish)
    finally:
        await db.close()
    return incident.id
