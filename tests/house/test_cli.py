"""The command line reads well: every command and every option says what it is for, and stands in the docs."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tests.house.conftest import ROOT
from tocsin.cli import app

PAGES = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    else:
        for name, each in inner.items():
            yield from commands(each, *path, name)


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_there_are_commands() -> None:
    assert {"serve", "settings", "migrate", "keys create", "import original"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.help.strip().splitlines()[0].endswith("."), "a sentence"
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"`tocsin {name}`: what is {parameter.name} for?"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_docs(name: str) -> None:
    assert f"tocsin {name}" in PAGES
