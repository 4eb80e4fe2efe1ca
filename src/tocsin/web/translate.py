"""Which language a visitor reads, and the words of that language.

English stands in the templates themselves; the Russian catalog is kept as text and compiled in memory when it is
first needed, so no binary is committed.
"""

import gettext
from functools import cache
from importlib import resources
from io import BytesIO
from typing import NamedTuple

ENGLISH = "en"
LANGUAGES = (ENGLISH, "ru")
CATALOG = "locale/{}/LC_MESSAGES/tocsin.po"


class _Wish(NamedTuple):
    """How much one language is wanted; compares by weight, then named before "any", then first in the header."""

    weight: float
    named: bool
    place: int


def preferred(languages: str) -> str:
    """The language of ours that an Accept-Language value asks for most; English when it asks for none of them."""
    asked = [wish for place, item in enumerate(languages.split(",")) if (wish := _read(item, place))]
    wishes = {language: _wish_for(language, asked) for language in LANGUAGES}
    best = max(LANGUAGES, key=lambda language: wishes[language])
    return best if wishes[best].weight > 0 else ENGLISH


def _read(item: str, place: int) -> tuple[str, _Wish] | None:
    """One element of the header, `ru-RU;q=0.8`; None when it is malformed."""
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    weight = _weight(parameters)
    if not name or weight is None:
        return None
    return name.partition("-")[0], _Wish(weight, name != "*", -place)


def _weight(parameters: list[str]) -> float | None:
    if not parameters:
        return 1.0
    name, _, value = parameters[0].partition("=")
    # `float` also reads "nan", "1_0" and "1e-3", which are no q-values.
    digits = value.strip().replace(".", "", 1)
    if len(parameters) > 1 or name.strip() != "q" or not (digits.isascii() and digits.isdigit()):
        return None
    weight = float(value)
    return weight if weight <= 1 else None


def _wish_for(language: str, asked: list[tuple[str, _Wish]]) -> _Wish:
    unasked = _Wish(0.0, False, 0)
    named = [wish for name, wish in asked if name == language]
    if named or language != ENGLISH:
        # "*" is no sign that the visitor reads Russian, so it speaks for English only.
        return max(named, default=unasked)
    return max((wish for name, wish in asked if name == "*"), default=unasked)


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The catalog of a language of `LANGUAGES`."""
    if language == ENGLISH:
        return gettext.NullTranslations()
    # Imported here because it costs a start of the program 60 ms that only a Russian page needs.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    text = resources.files("tocsin.web").joinpath(CATALOG.format(language)).read_bytes()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(text), locale=language, abort_invalid=True))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
