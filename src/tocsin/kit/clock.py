"""Time as Tocsin keeps and says it: aware UTC inside, RFC 3339 with milliseconds and `Z` outside.

Rules never call the clock: they are handed `tx.now`, which comes from the one clock of the process.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
AT_ONCE = 64  # times that are remembered: a transaction says its one time once for every row


def utc_now() -> datetime:
    """The clock that a running Tocsin uses; tests bring their own."""
    return datetime.now(UTC)


@lru_cache(AT_ONCE)
def rfc3339(at: datetime) -> str:
    """`2026-11-23T08:15:30.167Z`; `at` must be aware."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def rfc3339_or_none(at: datetime | None) -> str | None:
    """The same for a time that may not have come yet."""
    return None if at is None else rfc3339(at)


def parsed(text: str) -> datetime:
    """A time that a person or program wrote; raises ValueError unless it has a zone or is a plain date (UTC)."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        if len(text) > len("2026-11-23"):
            raise ValueError("no time zone")
        at = at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


@lru_cache(AT_ONCE)
def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970: how SQLite keeps a time."""
    return (at - EPOCH) // MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The other way."""
    return EPOCH + timedelta(microseconds=count)


def microseconds_or_none(at: datetime | None) -> int | None:
    """For a column that may be empty."""
    return None if at is None else microseconds(at)


def from_microseconds_or_none(count: int | None) -> datetime | None:
    """The other way."""
    return None if count is None else from_microseconds(count)
