"""`tocsin channels`: what a person at a terminal is told, before the first message and after it."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from tests.phones import BOT
from tests.world import World
from tocsin.cli import app
from tocsin.start import CannotStart, Prepared, notes

Tocsin = Callable[..., Result]


@pytest.fixture
def tocsin(world: World, monkeypatch: pytest.MonkeyPatch) -> Tocsin:
    """A command beside the running server, with the same settings."""

    def run(*words: str) -> Result:
        monkeypatch.setattr("tocsin.settings.load", lambda: world.service.settings)
        return CliRunner().invoke(app, list(words), env={"TELEGRAM_TOKEN": BOT})

    return run


def refusal(result: Result) -> str:
    """The sentence in which a command says that it cannot."""
    assert isinstance(result.exception, CannotStart), result.exception
    return str(result.exception)


def test_whoever_makes_a_channel_hears_what_its_messages_lack(world: World, tocsin: Tocsin) -> None:
    telegram = tocsin("channels", "add", "telegram", "--name", "Field", "--chat", "-1")
    assert "http://127.0.0.1:8000, which no phone can reach: set TOCSIN_PUBLIC_URL" in one_line(telegram)
    mail = tocsin("channels", "add", "email", "--name", "Boss", "--to", "ada@example.com")
    assert "mail cannot go out: set TOCSIN_SMTP_URL and TOCSIN_MAIL_FROM" in one_line(mail)
    webhook = tocsin("channels", "add", "webhook", "--name", "Billing", "--url", "https://hooks.example.com/")
    assert "!" not in webhook.stderr
    world.restarts(public_url="https://tocsin.example.com", smtp_url="smtp://mail", mail_from="t@example.com")
    assert "!" not in tocsin("channels", "add", "email", "--name", "Ada", "--to", "ada@example.com").stderr


def test_a_start_says_so_too_once_there_is_a_channel(world: World) -> None:
    settings = world.service.settings
    nobody, people = (Prepared(None, None, lambda: None, frozenset(kinds)) for kinds in (["webhook"], ["telegram"]))
    assert not [note for note in notes(settings, nobody) if "TOCSIN_PUBLIC_URL" in note]
    assert [note for note in notes(settings, people) if "TOCSIN_PUBLIC_URL" in note]


def one_line(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.stderr.split())
