"""Keys go out of a request before anything of it is read, kept or shown. Pure.

The one rule: whatever spelling a key stands in, escaped, percent-encoded or in UTF-16, it is not kept.
"""

import json
import re

import msgspec
from msgspec.structs import replace

from tocsin.intake.dialect import Received

HIDDEN = "redacted"
# What a dialect may see of a request's headers, and what is kept: never one that carries a key.
SAFE = frozenset({"user-agent", "content-type", "content-encoding", "x-request-id", "from", "accept"})
# Parameters of a query that are keys, whether they open a door here or not.
QUERIES = frozenset({"key", "api_key", "apikey", "api-key", "token", "routing_key", "x-api-key", "authorization"})
# Digits and the letters a to f, escaped: what our keys are made of. Others, such as \u003c, are in every second body.
ESCAPED = re.compile(r"(?i)\\u00(?:3[0-9]|[46][1-6])|%(?:3[0-9]|[46][1-6])|\0")


def without_key(request: Received, key: str) -> Received:
    """The request as it may be read, kept and shown; a body in UTF-16 or UTF-32 is UTF-8 from here on."""
    query = {
        hidden(name, key): [HIDDEN if name.lower() in QUERIES else hidden(value, key) for value in values]
        for name, values in request.query.items()
    }
    headers = {name: hidden(value, key) for name, value in request.headers.items() if name in SAFE}
    body = _body(request.body, key)
    value = request.value if body is request.body else msgspec.UNSET
    return replace(request, path=hidden(request.path, key), query=query, headers=headers, body=body, value=value)


def hidden(text: str, key: str) -> str:
    """The text without the key."""
    text = text.replace(key, HIDDEN)
    if "\\" not in text and "%" not in text and "\0" not in text:  # whatever spells it otherwise has one of these
        return text
    return _spelled(key).sub(HIDDEN, text) if ESCAPED.search(text) else text


def _body(body: bytes, key: str) -> bytes:
    """The body without the key: the same object where there is none in it."""
    if key.encode() not in body and b"\\" not in body and b"%" not in body and b"\0" not in body:
        return body
    text, errors = _text(body)
    clean = hidden(text, key).encode("utf-8", errors)
    return body if clean == body else clean


def _text(body: bytes) -> tuple[str, str]:
    """The body as the JSON reader would decode it, and how it becomes bytes again. What is no text stays as it is."""
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding, "surrogatepass"), "surrogatepass"
    except UnicodeDecodeError:
        return body.decode("utf-8", "surrogateescape"), "surrogateescape"


def _spelled(key: str) -> re.Pattern[str]:
    """The key with any of its characters written as `\\u0061` or `%61`, or as UTF-16 in what is no UTF-16."""
    each = (rf"(?:{re.escape(char)}|(?i:\\u{ord(char):04x}|%{ord(char):02x}))" for char in key)
    return re.compile("\0*".join(each))
