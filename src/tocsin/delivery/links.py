"""Signed links and buttons that acknowledge without a sign-in: who holds the message may press."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tocsin.delivery.model import ACKNOWLEDGED_BY_LINK
from tocsin.kit.clock import microseconds
from tocsin.kit.keyring import Keyring

PURPOSE = "acknowledge"
HOUR = timedelta(hours=1) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: acknowledge this incident, by this channel, until then."""

    incident_id: int
    channel_id: int
    expired: bool


def token(keyring: Keyring, incident_id: int, channel_id: int, now: datetime) -> str:
    """Good for seven days. Short, because Telegram gives a button 64 bytes: it counts hours."""
    until = microseconds(now + ACKNOWLEDGED_BY_LINK) // HOUR + 1
    return keyring.sign(PURPOSE, [incident_id, channel_id, until])


def read(keyring: Keyring, text: str, now: datetime) -> Link | None:
    """What a token says; None where it is not ours."""
    match keyring.signed(PURPOSE, text):
        case [int(incident_id), int(channel_id), int(until)]:
            return Link(incident_id, channel_id, microseconds(now) >= until * HOUR)
    return None


Outcome = Literal["acknowledged", "already", "over", "expired", "unknown"]
