"""The short commands beside a running server: what users and senders wrote is shown, and never obeyed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.senders import PagerDuty
from tests.world import World
from tocsin.cli import app
from tocsin.start import CannotStart

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m [/red] [bold]POS[/bold]\r\nis down"
CONTROL = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f]")
NAMES = ("Team [/red] x", "[prod] Zab", "a\x1b[2Jb\x9bc")

Tocsin = Callable[..., Result]


@pytest.fixture
def tocsin(world: World, monkeypatch: pytest.MonkeyPatch) -> Tocsin:
    """A command of `tocsin` on this world's database, at 80 columns."""
    monkeypatch.setattr("tocsin.settings.load", lambda: world.service.settings)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*command: str, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(app, list(command), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit | CannotStart):
            raise result.exception
        return result

    return run


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_and_no_markup_and_the_key_comes_first(tocsin: Tocsin, name: str) -> None:
    shown = re.sub("[\x1b\x9b]", "\ufffd", name)
    made = tocsin("integrations", "create", "--dialect", "pagerduty", "--name", name)
    assert made.output.splitlines()[0] == made.stdout.strip()
    assert len(made.stdout.strip()) == 32
    key = tocsin("keys", "create", "--name", name)
    assert key.output.startswith("tcs_")
    hook = tocsin("channels", "add", "webhook", "--name", name, "--url", "https://example.com")
    assert hook.output.startswith("whsec_")
    assert tocsin("subscriptions", "add", "--channel", name).exit_code == 0
    for result in (made, key, hook):
        assert shown in result.stderr
    for thing in ("integrations", "keys", "channels", "subscriptions"):
        listed = tocsin(thing, "list")
        assert shown in " ".join(listed.stdout.split()), thing
        assert not CONTROL.search(listed.output)
    for result in (
        tocsin("integrations", "rotate", name),
        tocsin("integrations", "remove", name),
        tocsin("channels", "remove", name),
    ):
        assert result.exit_code == 0
        assert not CONTROL.search(result.output)


def test_what_a_sender_says_does_not_command_the_terminal(world: World, tocsin: Tocsin) -> None:
    world.pagerduty.triggers(summary=EVIL)
    world.pagerduty.sends({"routing_key": world.pagerduty.key, "event_action": EVIL}, "/v2/enqueue")
    shown = tocsin("integrations", "log", "pagerduty").stdout
    assert not CONTROL.search(shown)
    assert "[/red]" in "".join(shown.split())


def test_the_log_shows_the_day_and_the_time_at_eighty_columns(world: World, tocsin: Tocsin) -> None:
    world.pagerduty.triggers(summary="POS 12 does not answer, and its router neither " * 3)
    shown = tocsin("integrations", "log", "pagerduty").stdout
    assert "11-23 08:15:30" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_log_of_a_removed_integration_is_shown(world: World, tocsin: Tocsin) -> None:
    world.pagerduty.triggers()
    tocsin("integrations", "remove", "pagerduty")
    assert "opened" in tocsin("integrations", "log", "pagerduty").stdout
    assert isinstance(tocsin("integrations", "rotate", "pagerduty").exception, CannotStart)
    PagerDuty(world.admin, "pagerduty")
    assert "opened" not in tocsin("integrations", "log", "pagerduty").stdout


@pytest.mark.parametrize("hours", ["nan", "inf", "-inf", "-1", "1e300", "721"])
def test_an_overlap_that_means_nothing_is_a_sentence(world: World, tocsin: Tocsin, hours: str) -> None:
    id = world.pagerduty.id
    for thing in ("integrations", "channels", "keys"):
        refused = tocsin(thing, "rotate", str(id), f"--overlap-hours={hours}").exception
        assert str(refused) == "--overlap-hours must be from 0 to 720 (30 days)"


def test_a_report_is_replayed(world: World, tocsin: Tocsin) -> None:
    world.pagerduty.triggers()
    id = world.ada.log_of(world.pagerduty.id).reports[0]["id"]
    assert "joined" in tocsin("integrations", "replay", str(id)).stdout
    assert world.ada.log_of(world.pagerduty.id).reports[0]["replay_of"] == id
    assert str(tocsin("integrations", "replay", "999").exception) == "there is no report 999"


def test_a_body_is_tried_and_nothing_is_stored(world: World, tocsin: Tocsin, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"id": "pos/12", "title": "POS 12 [/red] is down", "severity": "high", "site": "Kazan"}')
    which = world.generic.integration["name"]
    shown = tocsin("integrations", "try", which, "--body", str(body)).stdout
    for words in ("pos/12", "POS 12 [/red] is down", "high", "label.site", "Kazan"):
        assert words in shown
    assert tocsin("integrations", "try", which, "--body", "-", stdin=body.read_bytes()).stdout == shown
    assert "it would be refused: " in str(tocsin("integrations", "try", which, "--body", "-", stdin=b"{").exception)
    assert "cannot be read" in str(tocsin("integrations", "try", which, "--body", str(tmp_path / "no")).exception)
    assert world.ada.log_of(world.generic.id).reports == []
