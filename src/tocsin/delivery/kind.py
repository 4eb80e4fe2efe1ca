"""What a kind of channel is: one file in `channels/` that knows its settings and how a message looks there. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from tocsin.delivery.model import Answer, Mail, Message, Request
from tocsin.delivery.words import LANGUAGES
from tocsin.kit.errors import Invalid

LONGEST_URL = 2000
ODD = re.compile(r"[\s\x00-\x1f\x7f]")
SAFE = "".join(map(chr, range(0x21, 0x7F)))  # ASCII stays as it was written
TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A channel's settings in good order: what may be shown, what must be sealed, what its owner needs to see once."""

    config: Mapping[str, Any]
    secrets: Mapping[str, Any]
    shown: str | None = None


class Kind(Protocol):
    """One kind of channel."""

    name: str
    title: str

    def prepared(self, given: Mapping[str, Any]) -> Prepared:
        """Settings as a user gives them, checked; raises `Invalid`."""
        ...

    def render(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Request | Mail:
        """The message as it goes out. `secrets["api"]` is Telegram's address."""
        ...

    def answered(self, status: int, body: bytes) -> Answer:
        """What the other side's answer means, beyond its status."""
        ...


def only(given: Mapping[str, Any], *known: str) -> None:
    """Refuses settings that the kind does not have: a slip must not be kept as if it did something."""
    for name in given:
        if name not in known:
            raise Invalid.field(f"config.{name}", f"is not a setting of this kind; these are: {', '.join(known)}")


def text(given: Mapping[str, Any], name: str, *, needed: bool = True) -> str | None:
    """A setting that is one line of text."""
    value = given.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_URL or "\n" in value or "\0" in value:
        raise Invalid.field(f"config.{name}", "is needed: one line of text" if value is None else "must be one line")
    return value.strip()


def needed(given: Mapping[str, Any], name: str) -> str:
    """A setting that must be there."""
    value = text(given, name)
    assert value is not None
    return value


def token(given: Mapping[str, Any], name: str) -> str | None:
    """A secret that goes out in a header, which takes nothing but visible ASCII."""
    value = text(given, name, needed=False)
    if value is not None and not TOKEN.fullmatch(value):
        raise Invalid.field(f"config.{name}", "must be visible ASCII characters, as the other side gave it")
    return value


def language(given: Mapping[str, Any]) -> str:
    """In which language it is told."""
    value = text(given, "language", needed=False) or "en"
    if value not in LANGUAGES:
        raise Invalid.field("config.language", f"must be one of {', '.join(LANGUAGES)}")
    return value


def url(given: Mapping[str, Any], name: str, usual: str | None = None) -> str:
    """An address that may be sent to: http or https, a host, no user and password in it. As it goes out: in ASCII."""
    value = text(given, name, needed=usual is None) or usual or ""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise Invalid.field(f"config.{name}", "is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or ODD.search(value) or port == 0:
        raise Invalid.field(f"config.{name}", "must be a URL that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise Invalid.field(f"config.{name}", "must not hold a user or password: they would be shown")
    try:
        return _ascii(value, parts)
    except UnicodeError:
        raise Invalid.field(f"config.{name}", "must name a host: labels of 1 to 63 characters") from None


def _ascii(value: str, parts: SplitResult) -> str:
    """The same address with its host as IDNA and everything else percent-encoded; raises `UnicodeError`."""
    host = parts.hostname or ""
    known = host if ":" in host else host.encode("idna").decode()
    if value.isascii():
        return value
    at = f"[{known}]" if ":" in known else known
    at += "" if parts.port is None else f":{parts.port}"
    return quote(parts._replace(netloc=at).geturl(), safe=SAFE)


def plain(status: int, body: bytes) -> Answer:
    """What an answer means where its status says it all."""
    return Answer(status, f"it answered {status}")
