"""What dialects make of a body's JSON, by whatever way it is read: `intake/dialects/reading.py`."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.rules.test_bodies import odd_texts, values
from tocsin.intake.dialect import NotUnderstood, Received
from tocsin.intake.dialects import reading


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
