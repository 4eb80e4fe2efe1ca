"""What dialects make of a body's JSON, by whatever way it is read: `intake/dialects/reading.py`."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.rules.test_bodies import odd_texts, texts, values
from tocsin.incidents.model import LONGEST_LABEL
from tocsin.intake.dialect import NotUnderstood, Received
from tocsin.intake.dialects import reading
from tocsin.intake.model import LONGEST_LABEL_NAME, ODD, good_label, tidy


def read_leniently(raw: bytes) -> Any:
    """As a dialect reads it: the value, or that it cannot be read."""
    with suppress(NotUnderstood):
        return reading.parsed(Received("POST", "/in/generic", {}, {}, raw))
    return NotUnderstood


def as_python_reads_it(raw: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return reading.LENIENT.decode(raw.decode(json.detect_encoding(raw), "surrogatepass"))
    return NotUnderstood


numbers = st.from_regex(r"-?[0-9]{1,400}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16", "surrogatepass")))
@example(b'{"a": 1, "a": 2}')
@example(b"\xef\xbb\xbf1")
@example(b'"\xed\xa0\x80"')
@example(b'"\\ud800 \\udc00\\u0000"')
@example(b"[NaN, -Infinity]")
@example(b'"\x00"')
@example(b"9" * 5000)
@example(b"[" * 100_000)
def test_a_dialect_reads_a_body_as_python_does(raw: bytes) -> None:
    assert read_leniently(raw) == as_python_reads_it(raw)


@given(values | odd_texts, numbers, st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-32-le", "utf-8-sig"]))
@example(None, "1e400", False, "utf-8")
@example(None, "-0", False, "utf-8")
@example(None, "1180591620717411303424", False, "utf-8")
@example(None, "9007199254740993.0", False, "utf-8")
def test_whatever_a_sender_means_is_read_as_python_reads_it(
    value: Any, number: Any, escaped: bool, encoding: str
) -> None:
    text = f'{{"a": [{json.dumps(value, ensure_ascii=escaped)}, {number}], "b": {number}}}'
    raw = text.encode(encoding, "surrogatepass")
    assert repr(read_leniently(raw)) == repr(as_python_reads_it(raw))


@given(values | odd_texts, st.integers() | st.floats())
def test_what_is_written_again_says_the_same(value: Any, number: float) -> None:
    said = as_python_reads_it(json.dumps({"a": value, "b": number}).encode())
    assert read_leniently(reading.written(said)) == said


any_text = st.text(st.characters(exclude_categories=[]), max_size=40)
long_text = st.builds(lambda text, times: text * times, any_text, st.sampled_from([1, 1, 7, 40]))


@given(long_text, long_text)
@example("", "")
@example("a" * LONGEST_LABEL_NAME, "b" * LONGEST_LABEL)
@example("\0", "")
@example("a", "\ud800")
def test_a_label_fits_every_store_and_says_what_it_said(name: str, value: str) -> None:
    short, cut = good_label(name, value)
    assert not ODD.search(short + cut)
    assert len(short.encode()) <= LONGEST_LABEL_NAME
    assert len((short + cut).encode()) <= LONGEST_LABEL
    for kept, whole, most in (
        (short, tidy(name), LONGEST_LABEL_NAME),
        (cut, tidy(value), LONGEST_LABEL - len(short.encode())),
    ):
        assert whole is not None
        assert kept == whole if len(whole.encode()) <= most else whole.startswith(kept.removesuffix("…"))


@given(any_text)
def test_text_is_tidied_as_the_pattern_says(text: str) -> None:
    assert tidy(text) == ODD.sub("\ufffd", text)


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(texts, inner, max_size=12),
    max_leaves=100,
)


def laid_flat(value: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Every label that a nested object has, in its order, however many they are."""
    for name, each in value.items() if isinstance(value, dict) else ():
        path = f"{above}.{name}" if above else name
        if isinstance(each, dict):
            yield from laid_flat(each, path)
        elif path and (words := reading.text(each)) is not None:
            yield path, words


@given(nested)
@example({str(n): {str(m): m for m in range(10)} for n in range(10)})
def test_a_nested_object_becomes_labels_in_its_order_and_not_too_many(value: Any) -> None:
    every = list(laid_flat(value))
    found = reading.flat(value)
    assert len(found) <= reading.MOST_FLAT
    if len(every) <= reading.MOST_FLAT:
        assert found == dict(every)
    assert list(found) == list(dict(every))[: len(found)]
