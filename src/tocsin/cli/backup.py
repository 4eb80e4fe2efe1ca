"""`tocsin backup` and `tocsin restore`. Neither says that it is done before what it wrote has been read back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

import typer

from tocsin import settings as chosen
from tocsin import start
from tocsin.cli import direct
from tocsin.cli.direct import on_database
from tocsin.cli.printing import plain, say
from tocsin.cli.progress import progress
from tocsin.db.contents import CannotCopy, Contents, backups, engine_of
from tocsin.db.engine import Database
from tocsin.db.migrate import known_revisions
from tocsin.delivery import store as deliveries
from tocsin.delivery.model import Channel
from tocsin.intake import store as doors
from tocsin.intake.model import Integration
from tocsin.kit import keyring
from tocsin.kit.clock import utc_now
from tocsin.kit.files import whole
from tocsin.settings import Settings
from tocsin.start import CannotStart

FOLDER = "backups"  # in the data directory
OWN_NAME = re.compile(r"tocsin-\d{8}T\d{6}Z\.(db|dump)")
KEY_END = ".secret-key"
STAMP = "%Y%m%dT%H%M%SZ"
OCCUPIED = (
    "a register or another secret-key is here already; with --replace they are set aside under another name, "
    "and nothing is deleted"
)


def backup(
    to: str | None = typer.Argument(
        None,
        help="A file that is not there yet, or a folder in which the backup gets a name of its own. "
        "Left out: `backups` in the data directory.",
        show_default=False,
    ),
    keep: int | None = typer.Option(
        None, min=1, help="Afterwards remove all but so many of the newest backups in that folder.", show_default=False
    ),
) -> None:
    """Back the register up, beside a running server, and read the backup back.

    The name of the backup is on stdout. Channel secrets are sealed: the key that opens them is copied beside it.
    """
    in_force = chosen.load()
    target = _target(in_force, None if to is None else Path(to), keep)
    with _said(f"backup to {target}"), progress("Backing up", None) as show:
        held = backups(in_force).back_up(in_force, target, show)
        key = _keep_key(in_force, target)
    print(target, flush=True)
    say(f"Read back whole and sound: {_sum(held)}.\n{_table(held)}")
    say(_about_key(in_force, key))
    if keep is not None:
        _remove_old(target.parent, keep)


def _target(settings: Settings, to: Path | None, keep: int | None) -> Path:
    if settings.postgres_url is None and not settings.sqlite_file.exists():
        raise CannotStart(f"there is no register in {settings.data_dir}; the first start makes one")
    folder = settings.data_dir / FOLDER if to is None else to
    if to is not None and not to.is_dir():
        if keep is not None:
            raise CannotStart(f"--keep goes with a folder, and {to} is none: make it first, or leave --keep out")
        folder = to.parent
    end = "db" if settings.postgres_url is None else "dump"
    own = f"tocsin-{utc_now():{STAMP}}.{end}"
    target = folder / own if to is None or to.is_dir() else to
    if target.exists():
        raise CannotStart(f"{target} is there already, and a backup is never written over: give another name")
    if to is None:
        start.make_data_dir(settings)
        folder.mkdir(mode=0o700, exist_ok=True)
    elif not folder.is_dir():
        raise CannotStart(f"there is no folder {folder}: make it first")
    return target


def _keep_key(settings: Settings, target: Path) -> Path | None:
    """The instance's own key beside the backup; None where the settings hold it, or where there is none yet."""
    key = settings.data_dir / keyring.FILE
    if settings.secret_key is not None or not key.exists():
        return None
    beside = _key_of(target)
    with whole(beside) as draft:
        draft.write_bytes(key.read_bytes())
    return beside


def _about_key(settings: Settings, key: Path | None) -> str:
    if key is not None:
        return f"The key that seals channel secrets lies beside it, for your eyes only: {key}"
    if settings.secret_key is not None:
        return "Channel secrets are sealed with TOCSIN_SECRET_KEY, which is not in the backup: keep it as well."
    return "There is no key beside it: no secret was ever sealed here."


def _remove_old(folder: Path, keep: int) -> None:
    """The name begins with the time, so the order of names is that of time."""
    own = sorted(file for file in folder.iterdir() if OWN_NAME.fullmatch(file.name))
    for old in own[:-keep]:
        old.unlink()
        _key_of(old).unlink(missing_ok=True)
        say(f"Removed {old}.")


def restore(
    backup_file: str = typer.Argument(..., metavar="FROM", help="The backup, as `tocsin backup` named it."),
    replace: bool = typer.Option(
        False, "--replace", help="Where a register is already: set it aside, and its key with it. Nothing is deleted."
    ),
) -> None:
    """Put a backup in the register's place, checked before and read back after. Stop Tocsin first."""
    in_force, source = chosen.load(), Path(backup_file)
    _check_kind(in_force, source)
    stamp = f"{utc_now():{STAMP}}"
    release = start.hold_data(in_force)
    try:
        with _said(f"restore of {source}"), progress("Restoring", None) as show:
            engine = backups(in_force)
            if not replace and (engine.holds_register(in_force) or _other_key(in_force, source)):
                raise CannotStart(OCCUPIED)
            done = engine.put_back(in_force, source, stamp, show)
            old_key = _restore_key(in_force, source, stamp)
    finally:
        release()
    print(f"Restored: {_sum(done.contents)}.", flush=True)
    say(_table(done.contents))
    for old in filter(None, (done.aside, old_key)):
        say(f"What was there before is now {old}; remove it when you are content.")
    say(*_about_secrets(in_force, done.contents))


def _check_kind(settings: Settings, source: Path) -> None:
    try:
        kind = engine_of(source)
    except OSError as problem:
        raise CannotStart(f"{source} cannot be read: {problem.strerror}") from None
    if kind is None:
        raise CannotStart(f"{source} is no backup, neither a file of SQLite's nor an archive of pg_dump's")
    wanted = "SQLite" if settings.postgres_url is None else "PostgreSQL"
    if kind != wanted:
        hint = "set TOCSIN_DATABASE_URL" if kind == "PostgreSQL" else "restore it without that, then `tocsin move` it"
        raise CannotStart(f"{source} is a backup of {kind}, and the settings name {wanted}: {hint}")
    if settings.postgres_url is None and settings.sqlite_file.exists() and source.samefile(settings.sqlite_file):
        raise CannotStart(f"{source} is the register itself")


def _other_key(settings: Settings, source: Path) -> bool:
    """Whether a key lies in the data directory that is not the one beside the backup."""
    mine, kept = settings.data_dir / keyring.FILE, _key_of(source)
    return mine.exists() and kept.exists() and mine.read_bytes() != kept.read_bytes()


def _restore_key(settings: Settings, source: Path, stamp: str) -> Path | None:
    """The key beside the backup into its place; gives the name of another one that was there."""
    mine, aside = settings.data_dir / keyring.FILE, None
    if not _key_of(source).exists():
        return None
    if _other_key(settings, source):
        aside = mine.with_name(f"{mine.name}.before-{stamp}")
        aside.hardlink_to(mine)
    start.make_data_dir(settings)
    with whole(mine) as draft:
        draft.write_bytes(_key_of(source).read_bytes())
    return aside


def _about_secrets(settings: Settings, held: Contents) -> tuple[str, str]:
    """Whether the key in force opens what is sealed. Of an older schema the next start will say."""
    if held.revision != known_revisions()[-1]:
        return "Its schema is older: the next start, or `tocsin migrate`, brings it up to date.", "dim"
    sealed = [each.sealed for each in on_database(_with_secrets, settings) if each.sealed is not None]
    if not sealed:
        return "It holds no channel secrets.", "dim"
    try:
        for each in sealed:
            direct.keyring(settings).unseal(each)
    except keyring.Unsealable as problem:
        return f"The channels' secrets cannot be opened: {problem}.", "bold red"
    return "The channels' secrets can be opened.", "dim"


async def _with_secrets(db: Database) -> list[Channel | Integration]:
    return [*await db.read(deliveries.channels), *await db.read(doors.integrations)]


def _key_of(target: Path) -> Path:
    return target.with_name(f"{target.name}{KEY_END}")


@contextmanager
def _said(what: str) -> Iterator[None]:
    """What goes wrong, as a sentence."""
    try:
        yield
    except CannotCopy as problem:
        raise CannotStart(f"{what}: {plain(str(problem))}") from None
    except OSError as problem:
        raise CannotStart(f"{what}: {problem.filename}: {problem.strerror}") from None
    except KeyboardInterrupt:
        raise CannotStart(f"{what}: stopped; everything is as it was") from None


def _sum(held: Contents) -> str:
    newest = "there is no entry yet"
    if held.newest is not None:
        id, at = held.newest
        newest = f"the newest entry is {id:,} of {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"schema {held.revision}, {held.in_all:,} rows, {newest}"


def _table(held: Contents) -> str:
    return "\n".join(f"    {name:<20} {count:>12,}" for name, count in sorted(held.rows.items()) if count)
