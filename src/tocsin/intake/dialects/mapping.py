"""A mapping: where each field stands in any JSON, by JSONPath. Pure.

A path is run by somebody else's code on whatever a sender likes to send: what it cannot do is nothing found.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tocsin.intake.dialects import reading
from tocsin.kit.errors import Invalid

# `$.level | 1=critical, 2=high`: a path, and what its values mean.
CHOICE = re.compile(r"^(?P<path>.*?)\s*\|\s*(?P<pairs>[^|]*=[^|]*)$")
# One `..` looks at every value of a body, each further one at every value below each of those.
MOST_DESCENTS = 2
# Regular expressions run as long as their writer's mistake lets them, and the types of values are not in RFC 9535.
REFUSED = ("match", "search", "isinstance", "is", "typeof", "type")
# What a filter may meet: it is tried on each at once.
KINDS: tuple[Any, ...] = ({"a": "b"}, ["a"], "a", 1, 1.5, True, None)


class Unfit(Exception):
    """This path cannot be followed; the message says why."""


def checked(name: str, rule: str) -> None:
    """Raises `Invalid` where a rule of the mapping cannot be followed."""
    if rule.startswith("="):
        return
    path = _path(rule)
    try:
        query = _compiled(path)
        query.findall(_fitting(query))
    except Exception as problem:  # the library's own errors, and whatever Python raises in it: re.error, ValueError…
        why = (str(problem) or type(problem).__name__).splitlines()[0]
        raise Invalid.field(f"settings.mapping.{name}", f"is no JSONPath such as $.alert.title: {why}") from None
    if not path.startswith("$"):
        raise Invalid.field(f"settings.mapping.{name}", "must begin with `$` (a JSONPath) or `=` (a fixed text)")


def mapped(rule: str, item: Any) -> str | None:
    """What a rule of the mapping says of an item: a constant, or what stands at a path, in our words if it has them."""
    if rule.startswith("="):
        return rule[1:] or None
    choice = CHOICE.match(rule)
    found = [words for words in map(reading.text, found_at(_path(rule), item)) if words]
    if not found:
        return None
    word = ", ".join(found)
    return _pairs(choice["pairs"]).get(word.strip().lower(), word) if choice else word


def found_at(path: str, item: Any) -> list[Any]:
    """Every value at a path; none where the path cannot be followed in this item."""
    if not isinstance(item, dict | list):
        return []
    try:
        found: list[Any] = _compiled(path).findall(item)
    except Exception:  # foreign code on foreign input: an alert is not lost for what a filter makes of it
        return []
    return found


def leads_to_a_list(path: str, item: Any) -> bool:
    """Whether what a path takes its values from is there, as a list: then none found means that it has none."""
    try:
        query = _compiled(path)
        *above, last = query.segments
        if _names(last):
            return False
        holders = type(query)(env=query.env, segments=above).findall(item)
    except Exception:  # as in `found_at`
        return False
    return any(isinstance(each, list) for each in holders)


def _path(rule: str) -> str:
    choice = CHOICE.match(rule)
    return choice["path"] if choice else rule


def _pairs(text: str) -> Mapping[str, str]:
    split = (each.partition("=") for each in text.split(","))
    return {said.strip().lower(): means.strip() for said, _, means in split}


@lru_cache(maxsize=1024)
def _compiled(path: str) -> Any:
    """A JSONPath, ready to use. The library is loaded when the first mapping is: most never need it."""
    from jsonpath.token import TOKEN_DDOT, TOKEN_RE

    environment = _environment()
    kinds = [token.kind for token in environment.lexer.tokenize(path)]
    if TOKEN_RE in kinds:
        raise Unfit("regular expressions are not taken in it")
    if kinds.count(TOKEN_DDOT) > MOST_DESCENTS:
        raise Unfit(f"it may hold `..` at most {MOST_DESCENTS} times")
    return environment.compile(path)


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jsonpath

    environment = jsonpath.JSONPathEnvironment()
    for name in REFUSED:
        environment.function_extensions.pop(name, None)
    return environment


def _fitting(query: Any) -> Any:
    """A body in which a path leads somewhere, so that its filters are tried at whatever depth they stand."""
    fitting: Any = list(KINDS)
    for segment in reversed(getattr(query, "segments", ())):
        names = _names(segment)
        fitting = dict.fromkeys(names, fitting) if names else [fitting, *KINDS]
    return fitting


def _names(segment: Any) -> list[str]:
    """The names that a step of a path goes down by; none where it takes whatever is there, or by number."""
    return [each.name for each in segment.selectors if isinstance(getattr(each, "name", None), str)]
