"""What the worlds of one test run share: an event loop in a thread of its own, the engines, a template for each.

A world is cheap because its database is a copy of a migrated one in which the cast already has its keys.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self, TypeVar

import asyncpg
import pytest
from pydantic import SecretStr
from uvicorn.loops.auto import auto_loop_factory

from tests.postgres import NoPostgres, Postgres
from tocsin import start
from tocsin.access import actions
from tocsin.access.model import new_secret
from tocsin.db.engine import Database, forget_writers
from tocsin.db.schema import metadata
from tocsin.db.transaction import CLOCK
from tocsin.settings import Settings
from tocsin.timeline import log as timeline

T = TypeVar("T")

ENGINES = ("sqlite", "postgresql")
NOT_TESTED = "NOT TESTED on PostgreSQL"
BEGINNING = datetime(2026, 11, 23, 8, 15, 30, 167_912, tzinfo=UTC)

# Who is in every world: name, role, partner. The administrator has the first key.
CAST = (
    ("ada", "operator", None),
    ("bob", "operator", None),
    ("vera", "viewer", None),
    ("probe", "monitoring", None),
    ("acme", "partner", "acme"),
    ("globex", "partner", "globex"),
)


class Engine(Protocol):
    """Where worlds get their databases."""

    def blank(self) -> dict[str, Any]:
        """The settings of the template, still empty."""
        ...

    def copy(self, folder: Path) -> dict[str, Any]:
        """The settings of a database of one's own; `folder` is the world's."""
        ...


@dataclass(frozen=True)
class Template:
    """A prepared database, and the keys of everybody who is in it."""

    engine: Engine
    keys: Mapping[str, str]


class Stage:
    """`run` takes a coroutine to the loop in which every server of this test run lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = auto_loop_factory()()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._postgres: Postgres | None = None
        self._templates: dict[str, Template] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._postgres is not None:
            self._postgres.close()

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.begin(coroutine).result(60)

    def template(self, name: str) -> Template:
        """The template of one engine, made when it is first asked for."""
        if name not in self._templates:
            engine: Engine = InFiles(self._folder) if name == "sqlite" else OnServer(self, self._server())
            where = engine.blank()
            keys = make_ready(self, Settings(**where))
            self._templates[name] = Template(engine, keys)
        return self._templates[name]

    def _server(self) -> Postgres:
        # Started by the test's own thread, which lives as long as the run: the server ends with it.
        if self._postgres is None:
            try:
                self._postgres = Postgres(durable=False)
            except NoPostgres as problem:
                miss(str(problem))
            self._postgres.start()
        return self._postgres


def miss(reason: str) -> NoReturn:
    """Loud where a person looks (see `conftest.py`), red where nobody does."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{NOT_TESTED}: {reason}")
    pytest.skip(f"{NOT_TESTED}: {reason}")


class InFiles:
    """SQLite: a database is a directory."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template"

    def blank(self) -> dict[str, Any]:
        return {"data_dir": self._template}

    def copy(self, folder: Path) -> dict[str, Any]:
        shutil.copytree(self._template, folder / "data")
        return {"data_dir": folder / "data"}


class OnServer:
    """PostgreSQL: one database for one world after the other, brought back to its beginning in between.

    That takes a hundredth of a second; `CREATE DATABASE … TEMPLATE` took a third of one.
    """

    def __init__(self, stage: Stage, postgres: Postgres) -> None:
        self._stage = stage
        self._where = {"database_url": SecretStr(postgres.create_database())}
        self._line: asyncpg.Connection | None = None

    def blank(self) -> dict[str, Any]:
        return self._where

    def copy(self, folder: Path) -> dict[str, Any]:
        self._stage.run(self._as_it_was())
        return self._where

    async def _as_it_was(self) -> None:
        if self._line is None:
            self._line = await asyncpg.connect(self._where["database_url"].get_secret_value())
            # Each deleted row would be looked for in every table that may refer to it: 30 s after a test of thousands.
            await self._line.execute("SET session_replication_role = replica")
            await self._line.execute("CREATE SCHEMA beginning")
            for table in TABLES:
                await self._line.execute(f"CREATE TABLE beginning.{table} AS TABLE public.{table}")
        else:
            await self._line.execute(BACK_TO_THE_BEGINNING)


TABLES = [table.name for table in metadata.sorted_tables]
WITH_SEQUENCE = [table.name for table in metadata.sorted_tables if table.dialect_options["sqlite"]["autoincrement"]]
BACK_TO_THE_BEGINNING = ";".join(
    [f"DELETE FROM {table}" for table in reversed(TABLES)]
    + [f"INSERT INTO {table} SELECT * FROM beginning.{table}" for table in TABLES]
    + [
        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
        for table in WITH_SEQUENCE
    ]
)


def make_ready(stage: Stage, settings: Settings) -> dict[str, str]:
    """Migrates an empty database and gives the cast their keys."""
    prepared = start.prepare(settings)
    prepared.release()
    assert prepared.first_key is not None
    wishes = [actions.CreateKey(name, role, partner, new_secret(), CLOCK) for name, role, partner in CAST]

    async def fill() -> list[Any]:
        db = Database(settings, log=timeline.append, clock=lambda: BEGINNING)
        db.start()
        try:
            # The migration wrote by the real clock, which is later than this one.
            await db.write(forget_writers, datetime.max.replace(tzinfo=UTC))
            return await db.write_many(actions.create_key, wishes)
        finally:
            await db.close()

    made = stage.run(fill())
    return {"admin": prepared.first_key} | {wish.name: key.text for wish, key in zip(wishes, made, strict=True)}
