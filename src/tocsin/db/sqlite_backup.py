"""SQLite's register as one file: copied from beside the server, checked, and put back in its place.

The copy is read inside one read transaction. Without it SQLite begins a copy anew whenever somebody writes between two
steps, and beside a busy server it would never end. In WAL mode readers hold no writer up.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from tocsin.db.contents import CannotCopy, Contents, Restored, Show, contents
from tocsin.db.migrate import UnusableSchema
from tocsin.db.sqlite import BUSY_SECONDS, driver, make_engine
from tocsin.kit.files import keep_names, whole
from tocsin.settings import Settings

STEP = 1024  # pages, 4 MiB, between two looks at the bar
HEAD = 100  # bytes, in which the size of a page and the count of pages stand
LOGS = ("-wal", "-shm")


def back_up(settings: Settings, target: Path, show: Show) -> Contents:
    """A copy of what is committed now, read back; raises `CannotCopy` and then leaves nothing."""
    with _sentences(), whole(target) as draft:
        _copy(settings.sqlite_file, "rw", draft, show)
        return read_back(draft)


def holds_register(settings: Settings) -> bool:
    """Whether any file of one is there: a log alone would be played into whatever comes beside it."""
    file = settings.sqlite_file
    return any(_beside(file, end).exists() for end in ("", *LOGS))


def put_back(settings: Settings, source: Path, stamp: str, show: Show) -> Restored:
    """The backup in the register's place, checked before; what is there gets another name. Raises `CannotCopy`."""
    file = settings.sqlite_file
    aside = file.with_name(f"{file.name}.before-{stamp}") if holds_register(settings) else None
    with _sentences(), whole(file) as draft:
        _refuse_cut_off(source)
        # A file that has no log beside it, perhaps on a disk for reading only, is read as it lies there.
        _copy(source, "rw" if _beside(source, "-wal").exists() else "ro&immutable=1", draft, show)
        read_back(draft)
        if aside is not None:
            _set_aside(file, aside)
    with _sentences():
        return Restored(read_back(file), None if aside is None else str(aside))


def read_back(file: Path) -> Contents:
    """Checks a file that nobody has open, and counts what is in it; raises `CannotCopy`."""
    engine = make_engine(file, "ro&immutable=1")
    try:
        with engine.connect() as connection:
            wrong = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
            if wrong != "ok":
                raise CannotCopy(f"it is damaged ({wrong})")
            if (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()) is not None:
                raise CannotCopy(f"it is damaged: the table {broken[0]} refers to rows that are not there")
            found = contents(connection)
    finally:
        engine.dispose()
    if found is None:
        raise CannotCopy("it is no register of Tocsin's")
    return found


def _refuse_cut_off(file: Path) -> None:
    """SQLite reads what is missing of its last page as zeros, and finds nothing wrong in those."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    page = int.from_bytes(head[16:18])
    should, has = (65536 if page == 1 else page) * int.from_bytes(head[28:32]), file.stat().st_size
    if len(head) < HEAD or has < should:
        raise CannotCopy(f"it is cut off: {has:,} bytes are there of {max(should, HEAD):,}")


def _copy(source: Path, mode: str, target: Path, show: Show) -> None:
    with closing(_open(source, mode)) as old, closing(_open(target, "rw")) as new:
        new.execute("PRAGMA synchronous=OFF")  # `whole` brings it to the disk in the end
        old.execute("BEGIN")
        old.execute("SELECT 1 FROM sqlite_schema").fetchall()  # from here on it is one moment's register

        def step(status: int, remaining: int, pages: int) -> None:
            show(pages - remaining, pages)

        old.backup(new, pages=STEP, progress=step)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, without companions


def _open(file: Path, mode: str) -> sqlite3.Connection:
    where = f"{file.absolute().as_uri()}?mode={mode}"
    opened: sqlite3.Connection = driver.connect(where, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    return opened


def _set_aside(file: Path, aside: Path) -> None:
    """Gives the old register a second name, so that at no moment there is none; the new one then takes the first."""
    old = [end for end in (*LOGS, "") if _beside(file, end).exists()]
    for end in old:
        # Its logs first: whoever opens a file that is no database any more takes them away.
        _beside(aside, end).hardlink_to(_beside(file, end))
    if _folded(file):
        for end in LOGS:
            _beside(aside, end).unlink(missing_ok=True)
        if _beside(file, "-wal").exists():
            # The last to close a sound file takes its log away: one that stays is somebody's.
            aside.unlink()
            raise CannotCopy(f"another program has {file} open: end it first")
    elif any(end in LOGS for end in old):
        # They belong to the old file, and beside the new one they would be played into it.
        for end in ("", *LOGS):
            _beside(file, end).unlink(missing_ok=True)
    keep_names(file.parent)


def _folded(file: Path) -> bool:
    """Brings the log into the file; not where the file is damaged, which may be why a backup is wanted."""
    try:
        with closing(_open(file, "rw")) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except driver.DatabaseError:
        return False
    return True


def _beside(file: Path, end: str) -> Path:
    return file.with_name(f"{file.name}{end}")


@contextmanager
def _sentences() -> Iterator[None]:
    """Whatever goes wrong with a file, as a sentence."""
    try:
        with _unwrapped():
            yield
    except UnusableSchema as problem:
        raise CannotCopy(str(problem)) from None
    except OSError as problem:
        raise CannotCopy(problem.strerror or str(problem)) from None
    except driver.Error as problem:
        raise CannotCopy(str(problem)) from None


@contextmanager
def _unwrapped() -> Iterator[None]:
    try:
        yield
    except DBAPIError as problem:
        raise problem.orig or problem from None
