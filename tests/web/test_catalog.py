"""The Russian catalog holds every string of the templates, and nothing else."""

import re
from importlib import resources
from io import BytesIO
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

WEB = resources.files("tocsin.web")
TRIMMED = {"**.html": {"trimmed": "true", "silent": "false"}}


def strings_in_templates() -> set[str]:
    with resources.as_file(WEB / "templates") as folder:
        found = extract_from_dir(folder, method_map=[("**.html", "jinja2")], options_map=TRIMMED)
        return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def russian() -> Catalog:
    return read_po(
        BytesIO((WEB / "locale/ru/LC_MESSAGES/tocsin.po").read_bytes()),
        locale="ru",
        abort_invalid=True,
    )


def words(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def test_every_string_of_the_templates_is_in_the_russian_catalog_and_no_other() -> None:
    strings = strings_in_templates()
    assert len(strings) > 20, "the extractor found the templates"
    assert {first(message.id) for message in words(russian())} == strings
    assert not russian().obsolete


def test_no_russian_string_is_empty_or_fuzzy() -> None:
    assert [message.id for message in words(russian()) if not message.string or message.fuzzy] == []


def test_a_translation_keeps_the_marks_of_its_original() -> None:
    for message in words(russian()):
        original = first(message.id)
        for translated in forms(message.string):
            assert re.findall(r"<[^>]*>|%\(\w+\)s", original) == re.findall(r"<[^>]*>|%\(\w+\)s", translated), original


def test_russian_strings_are_russian() -> None:
    for message in words(russian()):
        for translated in forms(message.string):
            assert re.search("[А-Яа-яё]", translated), message.id
            assert "\u0020—" not in translated, "a no-break space stands before a dash"


def first(id: Any) -> str:
    return id if isinstance(id, str) else str(id[0])


def forms(string: Any) -> list[str]:
    """All forms of a number, or the one of a plain sentence."""
    return [string] if isinstance(string, str) else list(string)
