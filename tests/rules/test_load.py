"""What one process has in flight: a fair share for each channel, one probe for a silent one, room for the quiet."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tocsin.delivery.claiming import IN_FLIGHT, KEPT, OF_ONE, PROBES, Load

CHANNELS = range(1, 101)


def filled(silent: list[int], channels: range = CHANNELS) -> Counter[int]:
    """What is in flight when each of these channels has more to say than may go out."""
    busy: Counter[int] = Counter()
    while True:
        load = Load(busy, silent)
        open_ones = [each for each in sorted(channels, key=load.turn) if load.room(each)]
        if not open_ones:
            return busy
        busy[open_ones[0]] += 1


def test_a_channel_has_at_most_four_messages_in_flight() -> None:
    assert filled([], range(1, 2)) == {1: OF_ONE}


def test_a_silent_channel_has_one() -> None:
    assert filled([1], range(1, 3)) == {1: 1, 2: OF_ONE}


def test_busy_channels_leave_room_for_one_that_has_nothing_in_flight() -> None:
    busy = filled([], range(1, 17))
    assert busy.total() == IN_FLIGHT - KEPT
    assert Load(busy).room(99) == 1
    assert Load(busy).full == list(busy)


def test_silent_channels_leave_room_for_all_others() -> None:
    busy = filled(list(CHANNELS))
    assert busy.total() == PROBES
    assert Load(busy, list(CHANNELS)).room(101) == OF_ONE


def test_silent_channels_have_their_turns() -> None:
    load = Load({}, [3, 1, 2])
    assert sorted([1, 2, 3, 4], key=load.turn) == [4, 3, 1, 2]


@given(st.lists(st.integers(1, 100), unique=True))
def test_never_more_than_a_process_may_have(silent: list[int]) -> None:
    busy = filled(silent)
    assert busy.total() <= IN_FLIGHT
    assert all(busy[each] <= 1 for each in silent)
    assert max(busy.values(), default=0) <= OF_ONE
