"""JSON from outside, as no recorded sample would send it: `kit/bodies.py`."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.kit.bodies import DEEPEST, Shape, deeper, strictly
from tocsin.kit.errors import Invalid, Malformed


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    number: int = 0
    anything: Any = None


SHAPE = Shape(Sample)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_whatever_is_good_json_comes_through_unchanged(value: Any, escaped: bool) -> None:
    assert strictly(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(texts, st.integers(-(2**63), 2**63 - 1), st.booleans())
def test_the_fast_way_and_the_strict_way_agree(text: str, number: int, escaped: bool) -> None:
    raw = json.dumps({"text": text, "number": number}, ensure_ascii=escaped).encode()
    assert SHAPE.read(raw) == Sample(text, number)
    assert msgspec.convert(strictly(raw), Sample) == Sample(text, number)


@given(st.binary(max_size=200))
@example(b"\xff")
@example(b"[" * 100_000)
@example(b'{"text":' * 50_000)
@example(b"9" * 5000)
@example(b"-")
@example(b'"\\ud800"')
def test_no_bytes_break_it(raw: bytes) -> None:
    with suppress(Malformed, Invalid):
        SHAPE.read(raw)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_it_inside_a_good_frame(before: str, after: str) -> None:
    raw = f'{{"text": "x"{before}, "anything": {after}}}'.encode("utf-8", "surrogatepass")
    with suppress(Malformed, Invalid):
        assert SHAPE.read(raw).text.startswith("x")


@given(values)
def test_a_name_twice_is_refused_wherever_it_stands(value: Any) -> None:
    inner = json.dumps(value)
    for raw in (
        f'{{"text": "x", "text": {inner}}}',
        f'{{"text": "x", "anything": {{"a": 1, "a": {inner}}}}}',
        f'{{"text": "x", "anything": [[{{"a": {inner}, "\\u0061": 2}}]]}}',
    ):
        with pytest.raises(Invalid):
            SHAPE.read(raw.encode())


odd_texts = st.builds("".join, st.tuples(texts, st.sampled_from("\0\ud800\udbff\udc00\udfff"), texts))
steps = st.lists(st.sampled_from(["below", "beside", "name"]), max_size=8)


def buried(text: str, way: list[str], inner: Any) -> Any:
    """A text somewhere in a body, as a value or a name, as deep as the way is long."""
    value: Any = text
    for step in way:
        value = {"below": {"a": "x", "b": value}, "beside": [inner, value], "name": {text: value}}[step]
    return value


@given(odd_texts, steps, values)
@example("\ud83d", ["name"], "\ud83d\udd25")
def test_odd_text_is_refused_wherever_it_is_hidden(text: str, way: list[str], inner: Any) -> None:
    raw = json.dumps(buried(text, way, inner))
    for spelled in (raw, raw.replace("\\ud", "\\uD").replace("\\u0000", "\\u0000\\u0041")):
        with pytest.raises(Invalid) as problem:
            strictly(spelled.encode())
        assert problem.value.detail.endswith(("holds half of a surrogate pair", "holds a NUL character (\\u0000)"))
    for unescaped in (raw, json.dumps(buried(text, way, inner), ensure_ascii=False)):
        with pytest.raises((Malformed, Invalid)):  # in the body's own bytes it is no UTF-8, or no JSON
            strictly(unescaped.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\\\u0000", "u0000", "\ud83d\udd25", "\ufffd"])
def test_text_that_only_looks_odd_is_taken(text: str) -> None:
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert strictly(json.dumps([{text: text}]).encode()) == [{text: text}]


@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_how_deep_a_body_may_go(before: bytes, after: bytes) -> None:
    levels = DEEPEST // len(after)
    within = before * levels + b"1" + after * levels
    assert deeper(strictly(within), DEEPEST - 1)
    with pytest.raises(Invalid, match="nested too deeply"):
        strictly(before * (levels + 1) + b"1" + after * (levels + 1))
    with pytest.raises(Invalid, match="nested too deeply"):
        strictly(b"[1," + within + b"]")


# the body, and what is named
NAMED: list[tuple[str, str]] = [
    ('{"number": 1}', "text"),
    ('{"text": 1}', "text"),
    ('{"text": null}', "text"),
    ('{"text": "x", "number": "1"}', "number"),
    ('{"text": "x", "number": 1.5}', "number"),
    ('{"text": "x", "numbre": 1}', "numbre"),
    ('{"text": "x", "": 1}', ""),
    ('{"text": "a\\u0000"}', "text"),
    ('{"text": "x", "anything": {"a": [1, "\\u0000"]}}', "anything.a[1]"),
    ('{"text": "x", "anything": NaN}', "body"),
    ('{"text": "x", "anything": Infinity}', "body"),
    ("[]", "body"),
    ("null", "body"),
    ("1", "body"),
]


@pytest.mark.parametrize(("raw", "field"), NAMED)
def test_the_field_is_named(raw: str, field: str) -> None:
    with pytest.raises(Invalid) as problem:
        SHAPE.read(raw.encode())
    assert [each["field"] for each in problem.value.more["errors"]] == [field]


@pytest.mark.parametrize(
    "raw", [b"", b" ", b"{", b"{}}", b"{'a': 1}", b"\xff", b"\xef\xbb\xbf{}", b'{"text": "\n"}', b"01", b"nan"]
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        SHAPE.read(raw)
