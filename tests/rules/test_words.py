"""What a message says, word by word: it is read at night, on a locked screen."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from tocsin.delivery import words
from tocsin.delivery.channels import KINDS
from tocsin.delivery.model import EVENTS, MACHINES, Mail, Message, Request
from tocsin.incidents.model import SEVERITIES, Incident

BEGAN = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)


def incident(id: int = 17, description: str = "POS 12 is down", **more: Any) -> Incident:
    known: dict[str, Any] = dict.fromkeys(Incident._fields[:17])
    known |= {"id": id, "description": description, "status": "new", "source": "monitoring", "created_at": BEGAN}
    return Incident(**known | {"severity": "critical", **more})


def message(event: str, *about: Incident, after: timedelta = timedelta(0), **more: Any) -> Message:
    at = BEGAN + after
    return Message(event, "msg_1", at, at, about, max(1, len(about)), **more)


def said(told: Message, language: str = "en") -> list[str]:
    return [words.headline(told, language), *words.lines(told, language)]


def test_how_bad_it_is_comes_first_and_the_description_last_and_only_once() -> None:
    down = incident(asset="pos-12", description="POS 12 is down\n\nNo answer since the update.", reports_count=3)
    assert said(message("opened", down, after=timedelta(minutes=42))) == [
        "CRITICAL: POS 12 is down",
        "#17 · pos-12 · monitoring",
        "Since 08:15 UTC, 42 min ago",
        "Reports: 3",
        "No answer since the update.",
    ]
    assert said(message("opened", down), "ru") == [
        "КРИТИЧНО: POS 12 is down",
        "#17 · pos-12 · мониторинг",
        "С 08:15 UTC, только что",
        "Обращений: 3",
        "No answer since the update.",
    ]


def test_the_end_says_how_long_it_lasted_and_no_description() -> None:
    over = incident(
        description="POS 12 is down\nRunbook: http://x", status="resolved", resolved_at=BEGAN.replace(day=24)
    )
    told = message("resolved", over, after=timedelta(days=1, hours=2))
    assert said(told) == [
        "Resolved after 1 d 0 h: POS 12 is down",
        "#17 · monitoring · critical",
        "From 2026-11-23 08:15 to 08:15 UTC",
    ]
    assert said(told, "ru")[0] == "Решён за 1 дн 0 ч: POS 12 is down"


def test_worse_says_from_what_to_what() -> None:
    assert said(message("raised", incident(), was="medium"))[0] == "CRITICAL (was medium): POS 12 is down"
    assert said(message("raised", incident(), was="info"), "ru")[0] == "КРИТИЧНО (раньше сведения): POS 12 is down"
    assert said(message("raised", incident(), was="critical"))[0] == "CRITICAL: POS 12 is down"


def test_what_has_become_of_it_since_stands_above_the_rest() -> None:
    over, taken = incident(status="closed"), incident(acknowledged_at=BEGAN)
    assert said(message("opened", over))[1] == "Already over."
    assert said(message("opened", taken))[1] == "Already acknowledged."
    assert said(message("reopened", taken), "ru")[:2] == ["КРИТИЧНО, снова открыт: POS 12 is down", "Уже принят."]
    assert said(message("resolved", incident()))[1] == "Open again by now."


def test_a_folded_message_says_which_are_over_or_acknowledged() -> None:
    about = [
        incident(1, "the first", status="resolved"),
        incident(2, "the second", acknowledged_at=BEGAN, severity="high"),
        incident(3, "the third", severity="low"),
    ]
    assert said(message("opened", *about)) == [
        "3 new incidents, worst: HIGH",
        "• CRITICAL: the first (#1, over)",
        "• HIGH: the second (#2, acknowledged)",
        "• LOW: the third (#3)",
    ]
    assert said(message("opened", *about), "ru")[:3] == [
        "Новых инцидентов: 3, худшая серьёзность: ВЫСОКАЯ",
        "• КРИТИЧНО: the first (#1, закончился)",
        "• ВЫСОКАЯ: the second (#2, принят)",
    ]
    over = [each._replace(status="resolved", resolved_at=BEGAN + timedelta(minutes=5)) for each in about]
    assert said(message("resolved", *over))[:2] == ["3 incidents resolved", "• the first (#1, 5 min)"]
    assert said(message("opened", *over))[0] == "3 new incidents"


def test_a_long_first_line_is_told_whole_below() -> None:
    long = "x" * 200
    assert said(message("opened", incident(description=long)))[-1] == long


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("event", sorted(set(EVENTS) - {"acknowledged", "unacknowledged"}))
@pytest.mark.parametrize("count", [1, 12])
def test_every_message_can_be_said_on_every_channel_within_its_limits(language: str, event: str, count: int) -> None:
    worst = "🔥" * 140 + "\n" + "<&{}\u202e🔥" * 2000
    about = [incident(2**62 + n, worst, severity=SEVERITIES[n % 5], asset="🔥" * 200) for n in range(count)]
    told = message(event, *(() if event == "test" else about))
    config = {"language": language, "chat": "1", "updates": "off", "topic": "t", "url": "http://x", "to": ["a@b.c"]}
    for kind in KINDS.values():
        if kind.name in MACHINES:
            continue
        out = kind.render(told, config, {"api": "http://x", "token": "t"})
        if isinstance(out, Mail):
            assert "<&" not in out.html
            continue
        assert isinstance(out, Request)
        body = json.loads(out.body)
        if kind.name == "ntfy":
            assert len(body["message"].encode()) <= 4096
            assert len(out.body) <= 2 * 4096
        else:
            shown = unescape(body["text"].removeprefix("<b>").replace("</b>\n", "\n"))  # as Telegram counts
            assert len(shown.encode("utf-16-le")) // 2 <= 4096
