"""`tocsin move`: the register goes from SQLite to PostgreSQL, and is compared there before anybody may use it."""

import asyncio

import typer
from pydantic import SecretStr

from tocsin import settings as chosen
from tocsin import start
from tocsin.cli.printing import plain, say
from tocsin.cli.progress import progress
from tocsin.db.contents import CannotCopy
from tocsin.kit import keyring
from tocsin.settings import POSTGRES_SCHEMES, Settings, without_password
from tocsin.start import CannotStart

EXAMPLE = "tocsin move postgresql://user:password@host:5432/database"


def move(
    to_url: str = typer.Argument(
        ...,
        help="An empty database, postgresql://user:password@host:port/name; PGPASSWORD may hold the password.",
        show_default=False,
    ),
) -> None:
    """Move the register from SQLite to PostgreSQL. Stop Tocsin first; the SQLite file is only read.

    After an interruption the same command goes on where it was. At the end both sides are compared, row by row.
    """
    in_force = chosen.load()
    target = _target(in_force, to_url)
    release = start.hold_data(in_force)
    try:
        rows, tables = asyncio.run(_moved(in_force, target))
    except CannotCopy as problem:
        raise CannotStart(plain(str(problem))) from None
    except KeyboardInterrupt:
        raise CannotStart("stopped; the same command goes on where it was") from None
    finally:
        release()
    print(f"Moved {rows:,} rows of {tables} tables. Counts and checksums are the same on both sides.", flush=True)
    _say_what_next(in_force, to_url)


def _target(settings: Settings, url: str) -> Settings:
    if settings.postgres_url is not None:
        raise CannotStart(
            "the settings name PostgreSQL already: take TOCSIN_DATABASE_URL (or DB_*) out for the time of the move, "
            "or there is nothing to move"
        )
    if not url.startswith(tuple(f"{scheme}://" for scheme in POSTGRES_SCHEMES)):
        raise CannotStart(f"the new database is named by a URL that begins with postgresql://: {EXAMPLE}")
    if not settings.sqlite_file.exists():
        raise CannotStart(f"there is no register in {settings.data_dir}: there is nothing to move")
    return settings.model_copy(update={"database_url": SecretStr(url)})


async def _moved(settings: Settings, target: Settings) -> tuple[int, int]:
    # Imported here: every other command would wait for SQLAlchemy's async half.
    from tocsin.db.move_source import TABLES, held
    from tocsin.db.moving import Move

    with held(settings) as source:
        move = Move(source, target)
        try:
            if before := await move.begin():
                say(f"Going on: {before:,} of {source.rows:,} rows came before.")
            with progress("Moving", "moved") as show:
                await move.copy(show)
            with progress("Comparing both sides", "compared") as show:
                await move.compare(show)
            await move.finish()
        finally:
            await move.close()
        return source.rows, len(TABLES)


def _say_what_next(settings: Settings, url: str) -> None:
    shown = without_password(url)
    secret = ", with the password in place of ***" if "***" in shown else ""
    say(f"Now put this into .env{secret}, and start:")
    say(f"TOCSIN_DATABASE_URL={shown}", "bold")
    if settings.secret_key is None and (settings.data_dir / keyring.FILE).exists():
        say(f"{settings.data_dir / keyring.FILE} still opens the channels' secrets: it must stay, or come along.")
    say(f"{settings.sqlite_file} is as it was. Never start on both.")
