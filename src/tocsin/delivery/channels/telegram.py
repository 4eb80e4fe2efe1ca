"""Telegram: a message from a bot, with a button that acknowledges. Pure but for making a secret.

Taken from the Bot API's public reference: `sendMessage`, inline keyboards, callback queries.
"""

import json
import re
import secrets as random
from collections.abc import Mapping
from html import escape
from typing import Any

from tocsin.delivery import kind, words
from tocsin.delivery.kind import Prepared
from tocsin.delivery.model import Answer, Message, Request
from tocsin.incidents.model import cut
from tocsin.kit.errors import Invalid

TOKEN = re.compile(r"([0-9]{1,18}):[A-Za-z0-9_-]{30,60}")
CHAT = re.compile(r"-?[0-9]{1,18}|@[A-Za-z0-9_]{4,64}")
UPDATES = ("polling", "webhook", "off")
LONGEST_TEXT = 3500  # Telegram takes 4,096 after its own counting of entities
LONGEST_WAIT = 10**9  # seconds: a number of any length is JSON
LONGEST_BUTTON = 64  # bytes of a button's data


class Telegram:
    """A chat that a bot of yours writes to."""

    name = "telegram"
    title = "Telegram"

    def prepared(self, given: Mapping[str, Any]) -> Prepared:
        kind.only(given, "token", "chat", "updates", "language")
        token, chat = kind.needed(given, "token"), given.get("chat")
        found = TOKEN.fullmatch(token)
        if found is None:
            raise Invalid.field("config.token", "must be a bot's token as @BotFather gives it")
        if not CHAT.fullmatch(str(chat)):
            raise Invalid.field("config.chat", "must be a chat's number, or the @name of a public channel")
        updates = kind.text(given, "updates", needed=False) or "polling"
        if updates not in UPDATES:
            raise Invalid.field("config.updates", f"must be one of {', '.join(UPDATES)}")
        config = {"chat": str(chat), "bot": int(found[1]), "updates": updates, "language": kind.language(given)}
        hook = random.token_urlsafe(24) if updates == "webhook" else None
        return Prepared(config, {"token": token} | ({"hook": hook} if hook else {}), hook)

    def render(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Request:
        language = config["language"]
        title, rest = words.headline(message, language), "\n".join(words.lines(message, language))
        body: dict[str, Any] = {
            "chat_id": config["chat"],
            "text": f"<b>{escape(title, quote=False)}</b>\n{escape(cut(rest, LONGEST_TEXT - len(title)), quote=False)}",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        if buttons := _buttons(message, config, language):
            body["reply_markup"] = {"inline_keyboard": [buttons]}
        return called("sendMessage", body, secrets)

    def answered(self, status: int, body: bytes) -> Answer:
        """Telegram says in the body why, and how long to wait."""
        try:
            said = json.loads(body)
            why, parameters = str(said.get("description") or ""), said.get("parameters") or {}
            wait, moved = parameters.get("retry_after"), parameters.get("migrate_to_chat_id")
        except (ValueError, AttributeError, RecursionError):
            return kind.plain(status, body)
        reason = f"it answered {status}: {cut(why, 150)}" if why else f"it answered {status}"
        seconds = float(min(wait, LONGEST_WAIT)) if isinstance(wait, int) and wait > 0 else None
        # A group that became a supergroup has another number from then on.
        chat = str(moved) if isinstance(moved, int) and CHAT.fullmatch(str(moved)) else None
        return Answer(status, f"{reason} (now {chat})" if chat else reason, seconds, moved_to=chat)


def called(method: str, body: Mapping[str, Any], secrets: Mapping[str, Any]) -> Request:
    """A call of the Bot API."""
    url = f"{secrets['api']}/bot{secrets['token']}/{method}"
    return Request(url, json.dumps(body, ensure_ascii=False).encode(), {"content-type": "application/json"})


def _buttons(message: Message, config: Mapping[str, Any], language: str) -> list[dict[str, str]]:
    buttons = []
    name = words.word("acknowledge", language)
    if message.acknowledge and message.token:
        if config["updates"] != "off" and len(message.token.encode()) <= LONGEST_BUTTON:
            buttons.append({"text": name, "callback_data": message.token})
        elif _reachable(message.acknowledge):
            buttons.append({"text": name, "url": message.acknowledge})
    if _reachable(message.page):
        buttons.append({"text": words.word("open", language), "url": message.page})
    return buttons


def _reachable(link: str) -> bool:
    """Telegram refuses a whole message for a button that leads to a bare name such as `localhost`."""
    host = re.sub(r"^https?://(\[[^\]]*\]|[^/:?#]*).*$", r"\1", link)
    return "." in host or ":" in host


TELEGRAM = Telegram()
