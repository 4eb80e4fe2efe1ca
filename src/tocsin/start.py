"""What happens before the first request: one process at a time, the schema, the first key, what is to be said.

`tocsin serve` does this once for all its workers; a bare `uvicorn tocsin.app:app` does it in the lifespan.
"""

import fcntl
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from tocsin.access import actions, store
from tocsin.access.model import NewKey, is_weak, new_secret
from tocsin.db import migrate
from tocsin.db.batcher import CANNOT_WRITE, DatabaseRefused
from tocsin.db.engine import try_to_write
from tocsin.db.migrate import SchemaState, UnusableSchema
from tocsin.db.transaction import CLOCK, Writer
from tocsin.delivery import reach
from tocsin.delivery import store as deliveries
from tocsin.kit.errors import Problem, Unavailable
from tocsin.settings import Settings, WrongSettings, unknown_names, without_password
from tocsin.timeline import log as timeline

log = structlog.get_logger("tocsin")

LOCK_FILE = "serve.lock"
FIRST_KEY_FILE = "first-key"

Found = tuple[NewKey | None, frozenset[str]]


class CannotStart(Exception):
    """The message says why, and what would help."""


@dataclass(frozen=True)
class Prepared:
    """A database that is ready. `first_key` is set at the very first start only; `release` gives up the data."""

    first_key: str | None
    originals: int | None
    release: Callable[[], None]
    channels: frozenset[str] = frozenset()  # the kinds of those that are in use


def prepare(settings: Settings) -> Prepared:
    """Everything that must be true before serving; raises `CannotStart`."""
    release = hold_data(settings)
    try:
        before, (first, channels) = _up_to_date(settings, lambda tx: _made_ready(tx, settings))
    except BaseException:
        release()
        raise
    return Prepared(first.text if first is not None else None, before.originals, release, channels)


def prepare_beside(settings: Settings) -> None:
    """For a short command that may run beside the server: the schema, but neither the lock nor a first key."""
    if settings.postgres_url is None:
        make_data_dir(settings)
    _up_to_date(settings, None)


def prepare_and_say(settings: Settings) -> Callable[[], None]:
    """The same for a start without a terminal of its own; what is to be said goes to the log."""
    prepared = prepare(settings)
    if prepared.first_key is not None:
        keep_first_key(settings, prepared.first_key)
    for note in notes(settings, prepared):
        log.warning(note)
    return prepared.release


def notes(settings: Settings, prepared: Prepared) -> list[str]:
    """What an administrator should hear at every start."""
    said = []
    if settings.api_key is not None and is_weak(settings.api_key.get_secret_value()):
        said.append("API_KEY is easy to guess: choose a longer, random one before anyone else can reach this server")
    if prepared.originals is not None:
        said.append(
            f"found {prepared.originals} incidents of the original service; `tocsin import original` brings them in"
        )
    if settings.postgres_url is None:
        said += library_warnings()
    said += reach.missing(settings, prepared.channels)
    said += [f"{name} is no setting of Tocsin's: `tocsin settings` lists them" for name in _strangers()]
    return said


def library_warnings() -> list[str]:
    """What is to be said of this machine's SQLite, if anything is."""
    from tocsin.db.sqlite import library_warning

    warning = library_warning()
    return [] if warning is None else [warning]


def keep_first_key(settings: Settings, key: str) -> Path:
    """Writes the first key where only its owner can read it; the log names the file and not the key."""
    make_data_dir(settings)
    file = settings.data_dir / FIRST_KEY_FILE
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(key + "\n")
    log.info("the first key was made", file=str(file))
    return file


def make_data_dir(settings: Settings) -> None:
    """The data directory, for its owner only; raises `CannotStart`."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise CannotStart(f"TOCSIN_DATA_DIR={settings.data_dir} cannot be made: {problem.strerror}") from None


def hold_data(settings: Settings) -> Callable[[], None]:
    """Keeps every other serving process off the SQLite file; raises `CannotStart` that names the one that has it."""
    if settings.postgres_url is not None:
        return lambda: None
    make_data_dir(settings)
    try:
        descriptor = os.open(settings.data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise CannotStart(f"TOCSIN_DATA_DIR={settings.data_dir} cannot be written: {problem.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise CannotStart(
            f"{settings.data_dir} is in use by another Tocsin, process {holder}. Stop that one first, "
            "or give this one a TOCSIN_DATA_DIR of its own."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
    return lambda: os.close(descriptor)


def _up_to_date(settings: Settings, then: Callable[[Writer], Found] | None) -> tuple[SchemaState, Found]:
    try:
        return migrate.bring_up_to_date(settings, timeline.append, then)
    except UnusableSchema as problem:
        raise CannotStart(str(problem)) from None
    except (Unavailable, DatabaseRefused) as problem:
        why = str(problem).removeprefix(CANNOT_WRITE)
        raise CannotStart(f"{_where(settings)} cannot be used: {why}") from None


def _made_ready(tx: Writer, settings: Settings) -> Found:
    """Writes even where there is nothing to be written: a read-only database should be heard of now."""
    try_to_write(tx, [None])
    return _first_key(tx, settings), frozenset(each.kind for each in deliveries.channels(tx))


def _first_key(tx: Writer, settings: Settings) -> NewKey | None:
    """The first admin key, inside the migration's lock: made once, whoever starts first."""
    if settings.api_key is not None or store.any_key(tx):
        return None
    (made,) = actions.create_key(tx, [actions.CreateKey("first key", "admin", None, new_secret(), CLOCK)])
    if isinstance(made, Problem):
        raise made
    return made


def _strangers() -> list[str]:
    try:
        return unknown_names(os.environ, Path(".env"))
    except WrongSettings:
        return []


def _where(settings: Settings) -> str:
    url = settings.postgres_url
    return str(settings.sqlite_file) if url is None else without_password(url)


def fail(problem: Exception) -> int:
    """Says on stderr why nothing was started; gives the exit code."""
    for line in str(problem).splitlines():
        print(f"tocsin: {line}", file=sys.stderr)
    return 1
