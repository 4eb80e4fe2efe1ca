"""Ids as they come in from outside, and the names that requests get.

Those begin with the time: each report is found by its request, and random names touched a page of that index for each
report, half of all pages that a commit had to write.
"""

import random
import re
import time

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
    """A UUID as text: version 7 of RFC 9562, the time in milliseconds and then chance. Python has its own from 3.14."""
    number = _milliseconds() << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def request_id(given: bytes | None) -> str:
    """The caller's own `x-request-id` where it is short and plain, else a new one."""
    if given is not None and REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_milliseconds():012x}{random.getrandbits(32):08x}"


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
