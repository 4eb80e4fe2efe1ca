"""Bodies out of their compression: never more than the path takes, whatever is packed in them."""

import zlib

from tocsin.kit.errors import Malformed, TooLarge, WrongContentType

PLAIN = (b"", b"identity")
ANY_HEADER = zlib.MAX_WBITS | 32  # gzip or zlib, whichever it is
NO_HEADER = -zlib.MAX_WBITS  # what some clients call deflate
WINDOWS = {b"gzip": (ANY_HEADER,), b"x-gzip": (ANY_HEADER,), b"deflate": (ANY_HEADER, NO_HEADER)}
MOST_MEMBERS = 64  # gzip streams behind one another; each costs a copy of what comes after it


def unpacked(raw: bytes, encoding: bytes, most: int) -> bytes:
    """The body of at most `most` bytes; a bomb is noticed before it is unpacked."""
    if not raw or encoding in PLAIN:
        return raw
    if encoding not in WINDOWS:
        raise WrongContentType("Send the body as it is, or with `content-encoding: gzip` or `deflate`.")
    pieces: list[bytes] = []
    room = most
    while raw:
        if len(pieces) == MOST_MEMBERS:
            raise Malformed(f"The body consists of more than {MOST_MEMBERS} compressed parts.")
        piece, raw = _member(raw, WINDOWS[encoding], room)
        if len(piece) > room:
            raise TooLarge(f"The body may have at most {most:,} bytes here, unpacked; nothing was stored.")
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)


def _member(raw: bytes, windows: tuple[int, ...], room: int) -> tuple[bytes, bytes]:
    """The first stream, one byte more than there is room for at most, and what comes after it."""
    for window in windows:
        opener = zlib.decompressobj(window)
        try:
            piece = opener.decompress(raw, room + 1)
        except zlib.error:
            continue
        if not opener.eof and len(piece) <= room:
            raise Malformed("The body's compressed form breaks off.")
        return piece, opener.unused_data.lstrip(b"\0")
    raise Malformed("The body is not what its `content-encoding` says.")
