"""Pressed buttons in Telegram: by its webhook, or by asking for updates where Tocsin cannot be reached from outside.

One process at a time asks for one bot's updates; the lease and the place stand in the database.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from tocsin.db.engine import Database
from tocsin.db.transaction import Writer
from tocsin.delivery import actions, links, store
from tocsin.delivery.actions import Press, Pressed
from tocsin.delivery.channels.telegram import called
from tocsin.delivery.model import Answer, Channel
from tocsin.delivery.transport import Way
from tocsin.kit.keyring import Keyring, Unsealable
from tocsin.settings import Settings

log = structlog.get_logger("tocsin.delivery")

ASKS_FOR = 10  # seconds that Telegram may wait for an update
LEASE = timedelta(seconds=30)
DEADLINE = 20.0
# Telegram would send a hundred, with all messages' buttons: cut off, they are no JSON, and none would ever be read.
MOST_UPDATES, MOST_READ = 10, 1024 * 1024
# How long a bot is left alone that was refused (a wrong token, a webhook that is set), or that nobody answered for.
REFUSED_FOR, UNHEARD_FOR = timedelta(minutes=1), timedelta(seconds=5)
SAID = {
    "en": {
        "acknowledged": "Acknowledged.",
        "already": "Somebody has acknowledged it already.",
        "over": "It is over already.",
        "expired": "This button is too old.",
        "unknown": "This button belongs to another Tocsin.",
    },
    "ru": {
        "acknowledged": "Принято.",
        "already": "Уже кто-то принял.",
        "over": "Уже закончился.",
        "expired": "Кнопка слишком старая.",
        "unknown": "Кнопка от другого Tocsin.",
    },
}


@dataclass(frozen=True, slots=True)
class Lease:
    """A process wants to ask for a bot's updates, or (`next_update`) has read up to there."""

    bot_id: int
    by: str
    next_update: int | None = None


def lease_bot(tx: Writer, wishes: Sequence[Lease]) -> list[int | None]:
    """From which update on to ask; None where another process does."""
    return [_lease(tx, wish) for wish in wishes]


def _lease(tx: Writer, wish: Lease) -> int | None:
    row = store.hold_bot(tx, wish.bot_id)
    if row is not None and row.leased_by != wish.by and row.leased_until is not None and row.leased_until > tx.now:
        return None
    place = row.next_update if row is not None else 0
    if wish.next_update is not None:
        place = max(place, wish.next_update)
    values = {"next_update": place, "leased_by": wish.by, "leased_until": tx.now + LEASE}
    store.save_bot(tx, wish.bot_id, values, new=row is None)
    return place


class Buttons:
    """What this process does about buttons."""

    def __init__(self, db: Database, keyring: Keyring, way: Way, settings: Settings) -> None:
        self._db = db
        self._keyring = keyring
        self._way = way
        self._api = settings.telegram_api
        self._me = secrets.token_hex(8)
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._calm: dict[tuple[int, bytes | None], datetime] = {}  # by bot and token: not to be asked until then

    async def once(self) -> None:
        """Loop: ask for every bot whose channels poll, each by itself: one that hangs keeps no other waiting."""
        bots: dict[int, Channel] = {}
        for channel in await self._db.read(store.channels):
            if channel.kind == "telegram" and channel.config["updates"] == "polling":
                bots.setdefault(channel.config["bot"], channel)
        for bot, channel in bots.items():
            calm = self._calm.get((bot, channel.sealed))
            if bot not in self._asking and (calm is None or calm <= self._db.clock()):
                self._asking[bot] = asyncio.create_task(self._ask(bot, channel), name="ask a bot")
        if self._asking:
            await asyncio.wait(self._asking.values(), return_when=asyncio.FIRST_COMPLETED)
        for bot, task in [each for each in self._asking.items() if each[1].done()]:
            del self._asking[bot]
            if not task.cancelled() and (problem := task.exception()) is not None:
                log.warning("a bot could not be asked", bot=bot, problem=f"{type(problem).__name__}: {problem}")

    async def close(self) -> None:
        """Nobody is asked any more."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def heard(self, channel: Channel, update: Any) -> None:
        """An update: if it is a pressed button of ours, acknowledge, say so, and take the button away."""
        query = update.get("callback_query") if isinstance(update, dict) else None
        if not isinstance(query, dict) or not isinstance(query.get("data"), str):
            return
        outcome, language = await self._pressed(query["data"])
        said = SAID[language or channel.config["language"]][outcome]
        await self._call(channel, "answerCallbackQuery", {"callback_query_id": query.get("id"), "text": said})
        message = query.get("message")
        if outcome in ("acknowledged", "already", "over") and isinstance(message, dict):
            chat = message.get("chat") if isinstance(message.get("chat"), dict) else {}
            place = {"chat_id": (chat or {}).get("id"), "message_id": message.get("message_id")}
            kept = _without_ours(message)
            await self._call(channel, "editMessageReplyMarkup", {**place, "reply_markup": {"inline_keyboard": kept}})

    async def _pressed(self, data: str) -> tuple[str, str | None]:
        """What came of it, and the language of the chat where it was pressed: a bot may serve several."""
        link = links.read(self._keyring, data, self._db.clock())
        if link is None:
            return "unknown", None
        channel = await self._db.read(store.one_channel, link.channel_id)
        language = channel.config.get("language") if channel is not None else None
        if link.expired:
            return "expired", language
        pressed: Pressed = await self._db.write(actions.press, Press(link.incident_id, link.channel_id))
        return pressed.outcome, language

    async def _ask(self, bot: int, channel: Channel) -> None:
        place = await self._db.write(lease_bot, Lease(bot, self._me))
        if place is None:
            return
        wanted = {"offset": place, "limit": MOST_UPDATES, "timeout": ASKS_FOR, "allowed_updates": ["callback_query"]}
        answer, body = await self._call(channel, "getUpdates", wanted)
        if answer.status != 200:
            refused = answer.status is not None and answer.status < 500
            self._calm = {each: until for each, until in self._calm.items() if until > self._db.clock()}
            self._calm[bot, channel.sealed] = self._db.clock() + (REFUSED_FOR if refused else UNHEARD_FOR)
            return
        for update in _updates(channel, body):
            number = update.get("update_id") if isinstance(update, dict) else None
            if isinstance(number, int) and 0 <= number < 2**62:
                await self.heard(channel, update)
                place = number + 1
                await self._db.write(lease_bot, Lease(bot, self._me, place))

    async def _call(self, channel: Channel, method: str, body: Mapping[str, Any]) -> tuple[Answer, bytes]:
        """A call of the Bot API; what it refuses is logged without its address, which holds the token."""
        try:
            secret = self._keyring.unseal(channel.sealed or b"")
        except Unsealable as problem:
            return Answer(None, f"its secrets are {problem}"), b""
        answer, said = await self._way.send(called(method, body, {"api": self._api, **secret}), DEADLINE, MOST_READ)
        if answer.status != 200:
            log.warning("Telegram refused", channel=channel.id, method=method, reason=answer.reason)
        return answer, said


def _updates(channel: Channel, body: bytes) -> list[Any]:
    try:
        found = json.loads(body)["result"]
        return list(found) if isinstance(found, list) else []
    except (ValueError, TypeError, KeyError, RecursionError) as problem:
        log.warning("Telegram's updates cannot be read", channel=channel.id, bytes=len(body), problem=str(problem))
        return []


def _without_ours(message: Mapping[str, Any]) -> list[Any]:
    """The message's buttons that only lead somewhere."""
    markup = message.get("reply_markup")
    rows = markup.get("inline_keyboard") if isinstance(markup, dict) else None
    rows = rows if isinstance(rows, list) else []
    kept = [[each for each in row if isinstance(each, dict) and "url" in each] for row in rows if isinstance(row, list)]
    return [row for row in kept if row]
