"""Webhook: every event as JSON, signed as Standard Webhooks says. Pure but for making a secret."""

import base64
import secrets as random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tocsin.delivery import kind
from tocsin.delivery.kind import Prepared
from tocsin.delivery.model import Answer, Message, Request
from tocsin.kit.clock import rfc3339

SECRET_BYTES = 32
MOST_FORMER = 4  # secrets that are still good beside the newest: each makes every message's header longer


class Webhook:
    """For machines: they hear of everything, and of each thing by itself."""

    name = "webhook"
    title = "Webhook (Standard Webhooks)"

    def prepared(self, given: Mapping[str, Any]) -> Prepared:
        kind.only(given, "url")
        secret = new_secret()
        return Prepared({"url": kind.url(given, "url")}, {"secret": secret}, secret)

    def render(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Request:
        from standardwebhooks import Webhook as Signer

        what = "test" if message.event == "test" else f"incident.{message.event}"
        at = rfc3339(message.happened_at)
        text = f'{{"type":"{what}","timestamp":"{at}","data":{{"incident":{message.shown.decode()}}}}}'
        signed = [Signer(each).sign(message.message_id, message.at, text) for each in good_secrets(secrets, message.at)]
        headers = {
            "content-type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(int(message.at.timestamp())),
            "webhook-signature": " ".join(signed),
        }
        return Request(config["url"], text.encode(), headers)

    def answered(self, status: int, body: bytes) -> Answer:
        return kind.plain(status, body)


def new_secret() -> str:
    """A secret in the form that receivers' libraries take."""
    return "whsec_" + base64.b64encode(random.token_bytes(SECRET_BYTES)).decode()


def rotated(secrets: Mapping[str, Any], until: datetime) -> dict[str, Any]:
    """A new secret; until then each message is signed with the old one too, and with those that are still good."""
    former = [*_former(secrets), [secrets["secret"], until.timestamp()]]
    return {"secret": new_secret(), "former": former[-MOST_FORMER:]}


def good_secrets(secrets: Mapping[str, Any], at: datetime) -> list[str]:
    """The secrets that a message is signed with at this time."""
    return [secrets["secret"], *(each for each, until in reversed(_former(secrets)) if until > at.timestamp())]


def _former(secrets: Mapping[str, Any]) -> list[list[Any]]:
    """Secrets before this one, oldest first, and until when each is good."""
    former = secrets.get("former", [])
    # Written before a second rotation within the overlap kept the first.
    return [[former, secrets["former_until"]]] if isinstance(former, str) else former


WEBHOOK = Webhook()
