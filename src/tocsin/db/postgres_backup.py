"""PostgreSQL's register as one archive: made by `pg_dump`, read back to its end, and put back in one transaction.

Only Tocsin's own tables: others, the original service's among them, may stand beside them and are nobody's here.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import ARRAY, Connection, Text, bindparam, text

from tocsin.db.archive import Archive, Reading
from tocsin.db.contents import CannotCopy, Contents, Restored, Show, contents
from tocsin.db.dialect import MIGRATION_LOCK
from tocsin.db.migrate import VERSION_TABLE, UnusableSchema, known_revisions
from tocsin.db.neighbours import refuse_neighbours
from tocsin.db.postgres import make_engine
from tocsin.db.postgres_errors import TROUBLE, in_a_line
from tocsin.db.postgres_tools import Program, Tools, tools_for, way_to
from tocsin.db.schema import metadata
from tocsin.kit.files import whole
from tocsin.settings import Settings

T = TypeVar("T")

LOCK_WAIT = 60_000  # milliseconds that a backup waits for a migration which holds a table
OURS = (VERSION_TABLE, *metadata.tables)
LINES = 20_000  # between two looks at the bar


@dataclass(frozen=True)
class Place:
    """Where in a database the register is, or is to be."""

    major: int
    schema: str
    ours: Sequence[str]


def back_up(settings: Settings, target: Path, show: Show) -> Contents:
    """What is committed now, in an archive that has been read back; raises `CannotCopy` and then leaves nothing."""
    return _on(settings, lambda connection: _back_up(connection, settings, target, show))


def put_back(settings: Settings, source: Path, stamp: str, show: Show) -> Restored:
    """The archive's register; what is there goes to a schema of its own. Raises `CannotCopy`."""
    place = _on(settings, _place_alone)
    able, found = read_archive(tools_for(place.major), source, show)
    _check(found, place)
    aside = f"tocsin_before_{stamp.lower()}" if place.ours else None
    _run(settings, able, source, [] if aside is None else _set_aside(place, aside))
    back = _on(settings, contents)
    if back is None or back != found.contents:
        raise CannotCopy("what was read back from the database is not what the backup holds")
    return Restored(back, None if aside is None else f"the schema {aside}")


def holds_register(settings: Settings) -> bool:
    """Whether any of our tables is there; raises `CannotCopy`."""
    return bool(_on(settings, _place).ours)


def read_archive(tools: Sequence[Tools], file: Path, show: Show, of: int = 0) -> tuple[Tools, Archive]:
    """Everything in an archive, read to its end, and by which programs; raises `CannotCopy`."""
    complaint = ""
    for each in tools:  # an archive of a newer version than the server's needs a newer program
        reading = Reading()
        script = Program([each.program("pg_restore"), "--data-only", "--file=-", str(file)])
        with script as lines:
            for number, line in enumerate(lines):
                reading.take(line)
                if number % LINES == 0:
                    show(reading.in_all, of)
        if script.code == 0:
            return each, reading.archive()
        complaint = complaint or script.complaint
    raise CannotCopy(f"it is damaged, or no archive of pg_dump's: {complaint}")


def _back_up(connection: Connection, settings: Settings, target: Path, show: Show) -> Contents:
    held = contents(connection)
    if held is None:
        raise CannotCopy("it holds no register; the first start makes one")
    place = _place(connection)
    tools = tools_for(place.major)
    url, environment = way_to(_url(settings))
    with whole(target) as draft:
        command = [tools[0].program("pg_dump"), "--format=custom", f"--file={draft}", "--no-password"]
        # This transaction's view: what is read back can be compared row by row, however much is written meanwhile.
        command += [f"--snapshot={connection.scalar(SNAPSHOT)}", f"--lock-wait-timeout={LOCK_WAIT}"]
        command += [f"--table={_quoted(place.schema)}.{_quoted(name)}" for name in place.ours]
        dump = Program([*command, f"--dbname={url}"], environment=environment)
        with dump as silence:
            silence.read()
        if dump.code:
            raise CannotCopy(f"pg_dump failed: {dump.complaint}")
        _, found = read_archive(tools, draft, show, held.in_all)
        if found.contents != held:
            raise CannotCopy("what was read back is not what the database holds")
    return held


def _check(found: Archive, place: Place) -> None:
    newest = known_revisions()[-1]
    if found.contents.revision not in known_revisions():
        raise CannotCopy(f"it is of a newer Tocsin: its schema is {found.contents.revision}, this program's {newest}")
    if found.schema != place.schema:
        raise CannotCopy(
            f"its tables belong into the schema {found.schema}, but this role's search_path begins with {place.schema}"
        )


def _set_aside(place: Place, aside: str) -> list[str]:
    """Indexes and sequences go with their tables."""
    old, schema = _quoted(aside), _quoted(place.schema)
    return [
        f"CREATE SCHEMA {old};",
        *(f"ALTER TABLE {schema}.{_quoted(name)} SET SCHEMA {old};" for name in place.ours),
    ]


def _run(settings: Settings, tools: Tools, file: Path, before: Sequence[str]) -> None:
    """One transaction: the old tables or the new ones. Only a script that came to its end is committed."""
    url, environment = way_to(_url(settings))
    command = [tools.program("psql"), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
    psql = Program([*command, f"--dbname={url}"], fed=True, environment=environment)
    script = [tools.program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file)]
    # A server that starts in this moment waits for the lock, and then finds everything.
    begin = ["BEGIN;", f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK});", *before, ""]
    came = False
    with psql as into, suppress(BrokenPipeError):
        into.write("\n".join(begin).encode())
        with (source := Program(script)) as lines:
            shutil.copyfileobj(lines, into)
        # At the end of what it is fed psql goes, and what was not committed goes with it.
        if came := source.code == 0:
            into.write(b"COMMIT;\n")
    if psql.code:
        raise CannotCopy(f"the database refused it and is as it was: {psql.complaint}")
    if not came:
        raise CannotCopy(f"pg_restore failed: {source.complaint}")


def _place(connection: Connection) -> Place:
    row = connection.execute(PLACE, {"names": list(OURS)}).one()
    if row.schema is None:
        raise CannotCopy("this role's search_path names no schema that is there")
    return Place(row.version // 10_000, row.schema, [name for name in OURS if name in (row.ours or ())])


def _place_alone(connection: Connection) -> Place:
    """The same, where nobody else is connected."""
    refuse_neighbours(connection)
    return _place(connection)


def _on(settings: Settings, work: Callable[[Connection], T]) -> T:
    """One look at the database, in one transaction that sees one moment; its troubles become `CannotCopy`."""

    async def run() -> T:
        engine = make_engine(settings, pool_size=1, isolation_level="REPEATABLE READ")
        try:
            async with engine.connect() as connection:
                await connection.execute(PATIENT)
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(run())
    except UnusableSchema as problem:
        raise CannotCopy(str(problem)) from None
    except TROUBLE as problem:
        raise CannotCopy(in_a_line(problem)) from None


def _url(settings: Settings) -> str:
    assert settings.postgres_url is not None
    return settings.postgres_url


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


# A backup of a large register takes longer than a request may, and waits for its program meanwhile.
PATIENT = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"
)
SNAPSHOT = text("SELECT pg_export_snapshot()")
PLACE = text(
    "SELECT current_setting('server_version_num')::int AS version, current_schema() AS schema,"
    " (SELECT array_agg(tablename::text) FROM pg_tables"
    " WHERE schemaname = current_schema() AND tablename = ANY(:names)) AS ours"
).bindparams(bindparam("names", type_=ARRAY(Text)))
