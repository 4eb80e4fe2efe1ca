"""Packed bodies: every form that senders use, and no more than there is room for."""

import gzip
import zlib

import pytest

from tocsin.kit.errors import Malformed, TooLarge, WrongContentType
from tocsin.kit.unpacking import MOST_MEMBERS, unpacked

BODY = b'{"id": "pos/12", "title": "POS 12 is down"}' * 20


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        (b"", BODY),
        (b"identity", BODY),
        (b"gzip", gzip.compress(BODY, mtime=0)),
        (b"x-gzip", gzip.compress(BODY, mtime=0)),
        (b"gzip", gzip.compress(BODY[:99], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(BODY[99:], mtime=0)),
        (b"gzip", gzip.compress(BODY, mtime=0) + b"\0" * 512),
        (b"deflate", zlib.compress(BODY)),
        (b"deflate", bare_deflate(BODY)),
    ],
)
def test_it_comes_out_whole(encoding: bytes, raw: bytes) -> None:
    assert unpacked(raw, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(
    "raw", [gzip.compress(BODY, mtime=0), gzip.compress(BODY[:99], mtime=0) + gzip.compress(BODY[99:], mtime=0)]
)
def test_more_than_there_is_room_for_is_refused(raw: bytes) -> None:
    with pytest.raises(TooLarge):
        unpacked(raw, b"gzip", len(BODY) - 1)


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        (b"gzip", gzip.compress(BODY, mtime=0)[:-3]),
        (b"gzip", gzip.compress(BODY, mtime=0) + b"and more"),
        (b"gzip", BODY),
        (b"gzip", bare_deflate(BODY)),
        (b"deflate", BODY),
        (b"deflate", bare_deflate(BODY)[:-3]),
        (b"gzip", gzip.compress(b"", mtime=0) * (MOST_MEMBERS + 1)),
    ],
)
def test_what_is_broken_is_refused(encoding: bytes, raw: bytes) -> None:
    with pytest.raises(Malformed):
        unpacked(raw, encoding, 2 * len(BODY))


def test_an_unknown_form_says_which_are_known() -> None:
    with pytest.raises(WrongContentType, match="gzip` or `deflate"):
        unpacked(BODY, b"br", len(BODY))


def test_nothing_is_nothing_however_it_is_packed() -> None:
    assert unpacked(b"", b"gzip", 10) == b""
