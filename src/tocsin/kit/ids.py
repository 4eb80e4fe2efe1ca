"""Ids as they come in from outside, and the short names that requests and batches get."""

import random
import re
from uuid import uuid4

from tocsin.kit.errors import Invalid

LARGEST = 2**63 - 1
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:\-]{1,64}")


def whole(text: str, field: str) -> int:
    """An id from a path or a query; anything but 1 … 2⁶³−1 in plain digits is `Invalid`."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= LARGEST:
        return int(text)
    raise Invalid.field(field, f"must be a whole number from 1 to {LARGEST}")


def in_range(number: int, field: str) -> int:
    """The same for an id that came in a body: msgspec's own bounds let a 64-bit overflow through."""
    if not 1 <= number <= LARGEST:
        raise Invalid.field(field, f"must be a whole number from 1 to {LARGEST}")
    return number


def uuid() -> str:
    """A random UUID (version 4) as text."""
    return str(uuid4())


def request_id(given: bytes | None) -> str:
    """The caller's own `x-request-id` where it is short and plain, else a new one."""
    if given is not None and REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{random.getrandbits(64):016x}"
