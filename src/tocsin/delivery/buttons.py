"""Pressed buttons in Telegram: by its webhook, or by asking for updates where Tocsin cannot be reached from outside.

One process at a time asks for one bot's updates; the lease and the place stand in the database.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from tocsin.db.engine import Database
from tocsin.db.transaction import Writer
from tocsin.delivery import actions, links, store
from tocsin.delivery.actions import Press, Pressed
from tocsin.delivery.channels.telegram import called
from tocsin.delivery.model import Channel
from tocsin.delivery.transport import Way
from tocsin.kit.keyring import Keyring, Unsealable
from tocsin.settings import Settings

log = structlog.get_logger("tocsin.delivery")

ASKS_FOR = 10  # seconds that Telegram may wait for an update
LEASE = timedelta(seconds=30)
DEADLINE = 20.0
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
    row = store.bot(tx, wish.bot_id)
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

    async def once(self) -> None:
        """Loop: ask for every bot whose channels poll, at the same time."""
        bots: dict[int, Channel] = {}
        for channel in await self._db.read(store.channels):
            if channel.kind == "telegram" and channel.config["updates"] == "polling":
                bots.setdefault(channel.config["bot"], channel)
        await asyncio.gather(*(self._ask(bot, channel) for bot, channel in bots.items()))

    async def heard(self, channel: Channel, update: Any) -> None:
        """An update: if it is a pressed button of ours, acknowledge, say so, and take the button away."""
        query = update.get("callback_query") if isinstance(update, dict) else None
        if not isinstance(query, dict) or not isinstance(query.get("data"), str):
            return
        outcome = await self._pressed(query["data"])
        said = SAID[channel.config["language"]][outcome]
        await self._call(channel, "answerCallbackQuery", {"callback_query_id": query.get("id"), "text": said})
        message = query.get("message")
        if outcome in ("acknowledged", "already", "over") and isinstance(message, dict):
            chat = message.get("chat") if isinstance(message.get("chat"), dict) else {}
            place = {"chat_id": (chat or {}).get("id"), "message_id": message.get("message_id")}
            kept = _without_ours(message)
            await self._call(channel, "editMessageReplyMarkup", {**place, "reply_markup": {"inline_keyboard": kept}})

    async def _pressed(self, data: str) -> str:
        link = links.read(self._keyring, data, self._db.clock())
        if link is None or link.expired:
            return "unknown" if link is None else "expired"
        pressed: Pressed = await self._db.write(actions.press, Press(link.incident_id, link.channel_id))
        return pressed.outcome

    async def _ask(self, bot: int, channel: Channel) -> None:
        place = await self._db.write(lease_bot, Lease(bot, self._me))
        if place is None:
            return
        wanted = {"offset": place, "timeout": ASKS_FOR, "allowed_updates": ["callback_query"]}
        for update in await self._updates(channel, wanted):
            number = update.get("update_id") if isinstance(update, dict) else None
            if isinstance(number, int) and 0 <= number < 2**62:
                await self.heard(channel, update)
                place = number + 1
                await self._db.write(lease_bot, Lease(bot, self._me, place))

    async def _updates(self, channel: Channel, wanted: Mapping[str, Any]) -> list[Any]:
        body = await self._call(channel, "getUpdates", wanted)
        try:
            found = json.loads(body).get("result")
        except (ValueError, AttributeError, RecursionError):
            return []
        return found if isinstance(found, list) else []

    async def _call(self, channel: Channel, method: str, body: Mapping[str, Any]) -> bytes:
        """A call of the Bot API; what it refuses is logged without its address, which holds the token."""
        try:
            secret = self._keyring.unseal(channel.sealed or b"")
        except Unsealable:
            return b""
        answer, said = await self._way.send(called(method, body, {"api": self._api, **secret}), DEADLINE)
        if answer.status != 200:
            log.warning("Telegram refused", channel=channel.id, method=method, reason=answer.reason)
        return said


def _without_ours(message: Mapping[str, Any]) -> list[Any]:
    """The message's buttons that only lead somewhere."""
    markup = message.get("reply_markup")
    rows = markup.get("inline_keyboard") if isinstance(markup, dict) else None
    rows = rows if isinstance(rows, list) else []
    kept = [[each for each in row if isinstance(each, dict) and "url" in each] for row in rows if isinstance(row, list)]
    return [row for row in kept if row]
