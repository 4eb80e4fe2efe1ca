"""`tocsin channels`: what a person at a terminal is told, before the first message and after it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

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


def ready(world: World, **config: str) -> str:
    """A channel in a world whose clock is the one that commands go by."""
    world.clock.now = datetime.now(UTC) + timedelta(minutes=1)
    draft = {"name": "hook", "kind": "webhook", "config": {"url": world.receiver.url, **config}}
    assert world.admin.post("/api/channels", draft).status == 201
    return "hook"


def test_a_test_says_what_came_of_it_and_what_was_given_up_is_tried_again(world: World, tocsin: Tocsin) -> None:
    name = ready(world)
    assert tocsin("channels", "test", name).stdout == "Notification 1 is sent: it answered 200.\n"
    world.receiver.says = lambda came: (404, {}, b"")
    assert refusal(tocsin("channels", "test", name)) == "notification 2 is given up: it answered 404"
    assert refusal(tocsin("channels", "retry", "2")) == "notification 2 is given up: it answered 404"
    world.receiver.says = lambda came: (503, {}, b"")
    again = "did not get through and is tried again: it answered 503"
    assert refusal(tocsin("channels", "test", name)) == f"notification 3 {again}"
    world.receiver.says = lambda came: (200, {}, b"")
    assert tocsin("channels", "retry", "2").stdout == "Notification 2 is sent: it answered 200.\n"
    assert "one that was given up" in refusal(tocsin("channels", "retry", "2"))


def test_a_test_without_a_server_says_that_it_waits(
    world: World, tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.cli.channels.LONGEST_LOOK", 0.1)
    name = ready(world)
    world.without_loop("send what is due")
    assert "is one running?" in refusal(tocsin("channels", "test", name))


def test_the_log_is_read_at_eighty_columns(world: World, tocsin: Tocsin) -> None:
    name = ready(world)
    world.admin.post("/api/subscriptions", {"channel_id": 1})
    world.receiver.says = lambda came: (404, {}, b"")
    world.ada.acknowledges(world.ada.filed())
    world.tells()
    lines = tocsin("channels", "log", name).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    at = world.clock.now.strftime("%m-%d %H:%M:%S")
    assert lines[1].split() == ["2", *at.split(), "acknowledged", "#1", "dead", "it", "answered", "404"]


@pytest.mark.parametrize("hours", ["-1", "nan", "inf", "721"])
def test_an_odd_overlap_is_a_sentence(world: World, tocsin: Tocsin, hours: str) -> None:
    refused = tocsin("channels", "rotate", ready(world), "--overlap-hours", hours)
    assert refusal(refused) == "--overlap-hours must be from 0 to 720 (30 days)"


def one_line(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.stderr.split())
