"""Pages of a list: how many, from where on. A cursor is opaque to callers and names the last row seen."""

import base64
import binascii

from tocsin.kit.errors import Invalid
from tocsin.kit.ids import LARGEST

USUAL = 200
MOST = 1000


def limit(text: str | None) -> int:
    """`limit=` from a query: 200 unless given, at most 1,000."""
    if text is None or text == "":
        return USUAL
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST:
        return int(text)
    raise Invalid.field("limit", f"must be a whole number from 1 to {MOST}")


def cursor(*numbers: int) -> str:
    """The place after a row, for the next page."""
    raw = ".".join(str(number) for number in numbers).encode("ascii")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def place(text: str | None, parts: int) -> tuple[int, ...] | None:
    """What `cursor` packed; None where the caller starts at the beginning."""
    if text is None or text == "":
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        numbers = tuple(int(part) for part in raw.decode("ascii").split("."))
    except (ValueError, binascii.Error):
        numbers = ()
    # A cursor that was not ours could hold numbers that no database takes.
    if len(numbers) != parts or any(abs(number) > LARGEST for number in numbers):
        raise Invalid.field("cursor", "is not a cursor of this list; take `next` from the answer before")
    return numbers
