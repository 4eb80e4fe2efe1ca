"""When something of a burst is told, and until when the burst lasts then: seconds from now."""

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.delivery.model import burst

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "due", "until"),
    [
        (None, 0, 10),  # the first of its kind goes out at once
        (0, 0, 10),
        (-5, 0, 10),
        (4, 4, 14),  # the next waits for the end of the ten seconds, and opens ten more
        (10, 10, 20),
        (14, 4, 14),  # whatever comes meanwhile goes out with it
        (20, 10, 20),
        (21, 0, 10),  # no burst lasts so long: the clock went back
        (3600, 0, 10),
    ],
)
def test_what_is_due_when(known: float | None, due: float, until: float) -> None:
    end = None if known is None else NOW + timedelta(seconds=known)
    assert burst(end, NOW) == (NOW + timedelta(seconds=due), NOW + timedelta(seconds=until))
