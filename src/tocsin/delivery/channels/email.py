"""E-mail: text and HTML, one thread for one incident. Pure."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tocsin.delivery import kind, words
from tocsin.delivery.kind import Prepared
from tocsin.delivery.model import Answer, Mail, Message
from tocsin.kit.errors import Invalid

ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
MOST_ADDRESSES = 50


class Email:
    """To one or more addresses; the server's own way of mail is in its settings."""

    name = "email"
    title = "E-mail"

    def prepared(self, given: Mapping[str, Any]) -> Prepared:
        kind.only(given, "to", "language")
        return Prepared({"to": _addresses(given.get("to")), "language": kind.language(given)}, {})

    def render(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Mail:
        language = config["language"]
        subject, lines = words.headline(message, language), words.lines(message, language)
        links = [(words.word("acknowledge", language), message.acknowledge)] if message.acknowledge else []
        links += [(words.word("open", language), message.page)] if message.page else []
        text = "\n".join([subject, "", *lines, "", *(f"{name}: {link}" for name, link in links)])
        thread = None if message.incident is None else f"incident-{message.incident.id}"
        return Mail(config["to"], subject, text, _html(subject, lines, links), message.message_id, thread)

    def answered(self, status: int, body: bytes) -> Answer:
        return kind.plain(status, body)


def _addresses(given: Any) -> list[str]:
    each = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    found = [address.strip() for address in each if isinstance(address, str)]
    if not 1 <= len(found) <= MOST_ADDRESSES or not all(ADDRESS.fullmatch(address) for address in found):
        raise Invalid.field("config.to", f"must be 1 to {MOST_ADDRESSES} addresses such as ada@example.com")
    return found


def _html(subject: str, lines: Sequence[str], links: Sequence[tuple[str, str]]) -> str:
    said = "".join(f"<p>{escape(line).replace(chr(10), '<br>')}</p>" for line in lines)
    buttons = " &nbsp; ".join(f'<a href="{escape(link)}">{escape(name)}</a>' for name, link in links)
    return f"<!doctype html><html><body><h3>{escape(subject)}</h3>{said}<p>{buttons}</p></body></html>"


EMAIL = Email()
