"""Files that are there whole or not at all: written under another name, brought to the disk, then given their own.

What a killed process leaves is known by its lock, which the kernel took away, and goes when somebody comes next.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DRAFT = ".tocsin-part"


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to write to, for its owner only; it takes the place of `target` when the block ends well, else it goes."""
    draft = target.with_name(f".{target.name}{DRAFT}")
    sweep(target.parent)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with suppress(OSError):  # some network disks have no locks: there a draft is swept by nobody
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield draft
        os.fsync(descriptor)
        draft.replace(target)
        keep_names(target.parent)
    finally:
        os.close(descriptor)
        _remove(draft)


def keep_names(folder: Path) -> None:
    """Brings a folder's names to the disk, after something in it was given another one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Removes the drafts of processes that are gone."""
    for draft in folder.glob(f".*{DRAFT}"):
        with suppress(OSError):
            descriptor = os.open(draft, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(draft)
            finally:
                os.close(descriptor)


def _remove(draft: Path) -> None:
    """With what SQLite may have put beside it."""
    for each in (draft, *(draft.with_name(draft.name + end) for end in ("-journal", "-wal", "-shm"))):
        each.unlink(missing_ok=True)
