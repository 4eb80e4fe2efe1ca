"""The kit's rules: time, ids, pages, limits."""

import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from tocsin.kit import clock, errors, ids, limits, metrics, paging
from tocsin.kit.errors import Invalid

aware = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    # Fixed offsets: where a named zone turns its clocks, Python itself holds one moment to differ from itself.
    timezones=st.builds(timezone, st.integers(-14 * 60, 14 * 60).map(lambda minutes: timedelta(minutes=minutes))),
)
numbers = st.integers(-ids.LARGEST, ids.LARGEST)


@given(aware)
def test_a_time_is_said_in_utc_with_milliseconds_and_z(at: datetime) -> None:
    said = clock.rfc3339(at)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said)
    assert timedelta(0) <= at - clock.parsed(said) < timedelta(milliseconds=1)


@given(aware)
def test_microseconds_there_and_back(at: datetime) -> None:
    assert clock.from_microseconds(clock.microseconds(at)) == at


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T08:15:30Z", datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)),
        ("2026-11-23T08:15:30.167912Z", datetime(2026, 11, 23, 8, 15, 30, 167_912, tzinfo=UTC)),
        ("2026-11-23T11:15:30+03:00", datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)),
        ("2026-11-23 11:15:30+03:00", datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)),
    ],
)
def test_times_that_are_understood(text: str, at: datetime) -> None:
    assert clock.parsed(text) == at
    assert clock.parsed(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-23T08:15:30", "2026-02-30", "24:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59-14:00"],
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        clock.parsed(text)


def test_a_uuid_is_one_in_form_and_every_time_another() -> None:
    made = [ids.uuid() for _ in range(1000)]
    assert len(set(made)) == len(made)
    assert all(str(uuid.UUID(each)) == each for each in made)
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in made} == {(7, uuid.RFC_4122)}
    assert {each[19] for each in made} == set("89ab")


@pytest.mark.parametrize("made", [ids.uuid, lambda: ids.request_id(None)])
def test_names_of_requests_are_in_the_order_of_their_times(
    made: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for milliseconds in range(1_763_900_000_000, 1_763_900_000_300, 7):
        monkeypatch.setattr(ids, "_milliseconds", lambda at=milliseconds: at)
        names += [made()]
    assert names == sorted(names)
    assert len({len(name) for name in names}) == 1


def test_a_time_without_a_value_has_no_words() -> None:
    assert clock.rfc3339_or_none(None) is None
    assert (
        clock.rfc3339_or_none(datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3))))
        == "2026-01-01T00:00:00.000Z"
    )


@given(st.integers(1, ids.LARGEST))
def test_every_whole_number_up_to_the_largest_is_an_id(number: int) -> None:
    assert ids.whole(str(number), "id") == ids.in_range(number, "id") == number


@given(st.text(max_size=30).filter(lambda text: not re.fullmatch(r"0*[1-9][0-9]*", text, re.ASCII)))
def test_any_other_text_is_no_id(text: str) -> None:
    with pytest.raises(Invalid):
        ids.whole(text, "id")


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**40, -(10**40)])
def test_numbers_that_are_no_id(number: int) -> None:
    with pytest.raises(Invalid, match="`id`"):
        ids.whole(str(number), "id")
    with pytest.raises(Invalid, match="`id`"):
        ids.in_range(number, "id")


@given(st.binary(max_size=80))
def test_a_request_id_is_always_short_and_plain(given_: bytes) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._:\-]{1,64}", ids.request_id(given_))


@given(st.lists(numbers, min_size=1, max_size=4))
def test_a_cursor_comes_back_as_it_was_packed(parts: list[int]) -> None:
    packed = paging.cursor(*parts)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", packed)
    assert paging.place(packed, len(parts)) == tuple(parts)


@given(st.text(min_size=1, max_size=60))
def test_no_text_breaks_the_reading_of_a_cursor(text: str) -> None:
    with suppress(Invalid):
        place = paging.place(text, 2)
        assert place is not None
        assert all(abs(number) <= ids.LARGEST for number in place)


def test_a_cursor_of_another_list_is_none_of_this() -> None:
    with pytest.raises(Invalid):
        paging.place(paging.cursor(1), 2)
    with pytest.raises(Invalid):
        paging.place(paging.cursor(2**63, 1), 2)


@pytest.mark.parametrize(("text", "limit"), [(None, 200), ("", 200), ("1", 1), ("007", 7), ("1000", 1000)])
def test_good_limits(text: str | None, limit: int) -> None:
    assert paging.limit(text) == limit


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.0", " 1", "١", "1e3", "00001", "all"])
def test_wrong_limits(text: str) -> None:
    with pytest.raises(Invalid):
        paging.limit(text)


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(limits, "time", hand)
    return hand


def test_a_bucket_holds_one_seconds_worth_and_fills_evenly(hand: Hand) -> None:
    limiter = limits.Limiter(4)
    assert [limiter.take("ada") >= 0 for _ in range(6)] == [True] * 4 + [False] * 2
    hand.now += 0.5
    assert [limiter.take("ada") >= 0 for _ in range(3)] == [True, True, False]
    hand.now += 60
    assert [limiter.take("ada") >= 0 for _ in range(5)] == [True] * 4 + [False]


def test_each_caller_has_a_bucket_of_its_own(hand: Hand) -> None:
    limiter = limits.Limiter(1)
    assert [limiter.take(who) >= 0 for who in ("ada", "bob", "ada")] == [True, True, False]


def test_less_than_one_a_second_is_still_one_now_and_then(hand: Hand) -> None:
    limiter = limits.Limiter(0.25)  # a limit of 1 for four workers
    assert limiter.take("ada") >= 0
    left = limiter.take("ada")
    assert left < 0
    assert limiter.seconds_until_free(left) == 4
    hand.now += 4
    assert limiter.take("ada") >= 0


@given(st.lists(st.floats(0, 3), max_size=40), st.integers(1, 50))
def test_nobody_gets_more_than_the_limit_and_one_seconds_worth(pauses: list[float], limit: int) -> None:
    hand = Hand()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "time", hand)
        limiter = limits.Limiter(limit)
        begun, granted = hand.now, 0
        for pause in pauses:
            hand.now += pause
            granted += sum(limiter.take("ada") >= 0 for _ in range(limit + 1))
        assert granted <= limit * (hand.now - begun + 1) + 1e-6


def test_many_addresses_do_not_eat_the_memory(hand: Hand) -> None:
    limiter = limits.Limiter(20)
    for number in range(3 * limits.MOST_BUCKETS):
        limiter.take(number)
    assert len(limiter._buckets) <= limits.MOST_BUCKETS


def test_every_problem_has_a_name_a_title_and_a_meaning_of_its_own() -> None:
    kinds = list(errors.every_problem())
    assert len(kinds) == len({kind.slug for kind in kinds}) == len({kind.title for kind in kinds})
    for kind in kinds:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug)
        assert kind.meaning.endswith(".")
        assert 400 <= kind.status <= 503
        assert f"{kind.__name__} {kind.status}" in (errors.__doc__ or "")


def test_a_worker_that_has_just_begun_does_not_spoil_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is there before its first figure is; one that asks meanwhile hears what the others have counted."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    busy = MmapedDict(str(tmp_path / "counter_1.db"))  # type: ignore[no-untyped-call]
    busy.write_value(mmap_key("tocsin_wishes", "tocsin_wishes_total", [], [], "Writes."), 3.0, 0.0)  # type: ignore[no-untyped-call]
    (tmp_path / "histogram_2.db").touch()
    assert b"\ntocsin_wishes_total 3.0\n" in metrics.exposition()
