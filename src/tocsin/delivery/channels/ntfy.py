"""ntfy: a notification on the phone, with a button that acknowledges. Pure.

Taken from ntfy's public reference for publishing as JSON.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tocsin.delivery import kind, words
from tocsin.delivery.kind import Prepared
from tocsin.delivery.model import Answer, Message, Request
from tocsin.incidents.model import cut
from tocsin.kit.errors import Invalid

USUAL = "https://ntfy.sh"
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
PRIORITIES = {"critical": 5, "high": 4, "medium": 3, "low": 2, "info": 1}
TAGS = {
    "opened": "rotating_light",
    "raised": "rotating_light",
    "reopened": "rotating_light",
    "resolved": "white_check_mark",
}
LONGEST_TITLE = 250
LONGEST_TEXT = 3500  # bytes: ntfy turns a text of more than 4,096 into an attachment


class Ntfy:
    """A topic on ntfy.sh or on a server of your own."""

    name = "ntfy"
    title = "ntfy"

    def prepared(self, given: Mapping[str, Any]) -> Prepared:
        kind.only(given, "topic", "url", "token", "language")
        topic = kind.needed(given, "topic")
        if not TOPIC.fullmatch(topic):
            raise Invalid.field("config.topic", "must be 1 to 64 letters, digits, `_` or `-`")
        config = {"topic": topic, "url": kind.url(given, "url", USUAL).rstrip("/"), "language": kind.language(given)}
        token = kind.token(given, "token")
        return Prepared(config, {} if token is None else {"token": token})

    def render(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Request:
        language = config["language"]
        worst = message.incidents[0].severity if message.incidents else "medium"
        over = message.event == "resolved"
        body: dict[str, Any] = {
            "topic": config["topic"],
            "title": cut(words.headline(message, language), LONGEST_TITLE),
            "message": _within("\n".join(words.lines(message, language)), LONGEST_TEXT),
            "priority": 2 if over else PRIORITIES[worst],
            "tags": [TAGS[message.event]] if message.event in TAGS else [],
        }
        if message.page:
            body["click"] = message.page
        if message.acknowledge:
            press = {"action": "http", "method": "POST", "url": message.acknowledge, "clear": True}
            body["actions"] = [{**press, "label": words.word("acknowledge", language)}]
        headers = {"content-type": "application/json"}
        if "token" in secrets:
            headers["authorization"] = f"Bearer {secrets['token']}"
        return Request(config["url"], json.dumps(body, ensure_ascii=False).encode(), headers)

    def answered(self, status: int, body: bytes) -> Answer:
        return kind.plain(status, body)


def _within(text: str, most: int) -> str:
    """At most so many bytes; a cut is seen."""
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - len("…".encode())].decode(errors="ignore") + "…"


NTFY = Ntfy()
