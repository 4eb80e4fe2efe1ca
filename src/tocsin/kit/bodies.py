"""JSON from outside: the one place where it is parsed, and where every odd form of it gets its answer.

Text that is no JSON is `Malformed` (400). JSON that we do not take (NaN, NUL, a lone surrogate, a name
twice, too deep, a wrong type, an unknown field) is `Invalid` (422) and names the field.
"""

import json
import re
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from tocsin.kit.errors import Invalid, Malformed

T = TypeVar("T")

AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>\$.*)`)?$", re.DOTALL)
NAMED = re.compile(r"Object (?P<how>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
SURROGATE = re.compile("[\ud800-\udfff]")
DEEPEST = 512  # nobody means more, and what goes through values below does it by recursion
TOO_DEEP = "is nested too deeply"
CONTAINERS = frozenset({dict, list})


class Shape(Generic[T]):
    """How one kind of body must look; `kind` is a msgspec Struct that forbids unknown fields.

    `nested` says that the same names may rightly stand several times in the text.
    """

    def __init__(self, kind: type[T], *, nested: bool = False) -> None:
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._names = [f'"{field.encode_name}"'.encode() for field in msgspec.structs.fields(kind)]  # type: ignore[arg-type]
        self._nested = nested

    def read(self, raw: bytes) -> T:
        """The body as `kind`; raises `Malformed` or `Invalid`."""
        plain = not self._nested and b"\\u" not in raw and raw.count(b"{") == 1
        if plain and not any(raw.count(name) > 1 for name in self._names):
            # msgspec is ten times faster than the strict way, but takes the last of two equal names and a NUL.
            try:
                return self._decoder.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
        return as_kind(strictly(raw), self.kind)


def strictly(raw: bytes) -> Any:
    """JSON text as Python values, with everything refused that Tocsin does not take."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Malformed(f"The body is not UTF-8: byte {problem.start} fits nothing.") from None
    try:
        value = STRICT.decode(text)
    except json.JSONDecodeError as problem:
        raise Malformed(
            f"The body is not JSON: {problem.msg} (line {problem.lineno}, column {problem.colno})."
        ) from None
    except RecursionError:
        raise Invalid.field("body", TOO_DEEP) from None
    except ValueError:
        # CPython refuses to read numbers of more than 4,300 digits.
        raise Invalid.field("body", "holds a number with too many digits") from None
    if deeper(value, DEEPEST):
        raise Invalid.field("body", TOO_DEEP)
    # In UTF-8 text neither NUL nor half a surrogate pair can stand but escaped: to go through every text of a thousand
    # drafts took longer than to parse them.
    if "\\u" in text:
        _no_odd_text(value)
    return value


def as_kind(value: Any, kind: type[T]) -> T:
    """Parsed JSON as a msgspec Struct; raises `Invalid` that names the field."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        raise _named(str(problem)) from None
    except RecursionError:
        raise Invalid.field("body", TOO_DEEP) from None


def deeper(value: Any, most: int) -> bool:
    """Whether lists and objects of parsed JSON stand within each other more than `most` deep; without recursion."""
    level = [value] if type(value) in CONTAINERS else []
    for _ in range(most):
        if not level:
            return False
        level = [
            below
            for each in level
            for below in (each.values() if type(each) is dict else each)
            if type(below) in CONTAINERS
        ]
    return bool(level)


def _named(message: str) -> Invalid:
    """msgspec's sentence, taken apart: which field, and what is wrong with it."""
    found = AT.match(message)
    what, where = (found["what"], found["where"] or "$") if found else (message, "$")
    path = where.removeprefix("$").removeprefix(".")
    about = NAMED.fullmatch(what)
    if about is None:
        return Invalid.field(path or "body", f"{what[0].lower()}{what[1:]}")
    field = f"{path}.{about['name']}" if path else about["name"]
    return Invalid.field(
        field, "is missing" if about["how"].startswith("missing") else "is not a field of this request"
    )


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid.field(_printable(twice), "stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Invalid.field("body", f"holds {name}, which is no JSON number")


def _no_odd_text(value: Any, path: str = "") -> None:
    """Refuses what PostgreSQL cannot store and UTF-8 cannot say; deep values were refused before."""
    if isinstance(value, str):
        if "\0" in value:
            raise Invalid.field(path or "body", "holds a NUL character (\\u0000)")
        if SURROGATE.search(value):
            raise Invalid.field(path or "body", "holds half of a surrogate pair")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _no_odd_text(name, "body")
            _no_odd_text(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _no_odd_text(inner, f"{path}[{place}]")


def _printable(name: str) -> str:
    return SURROGATE.sub("\ufffd", name).replace("\0", "\ufffd")


# Made once: `json.loads` with an option makes one for every body.
STRICT = json.JSONDecoder(object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
