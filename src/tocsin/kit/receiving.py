"""Taking in a request's body: never more than the path takes, never longer than the deadlines allow."""

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive, Scope

from tocsin.kit.answers import DIRECT, Direct
from tocsin.kit.errors import Malformed, Problem, TooLarge, TooSlow, WrongContentType

CLOSE = {"Connection": "close"}  # whatever is still to come must not be taken for the next request


class CallerGone(Exception):
    """The connection closed before the request was whole; there is nobody to answer."""


async def body(
    scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], *, most: int, chunk: float, whole: float
) -> bytes:
    """The body as bytes. `most` is in bytes, `chunk` and `whole` are deadlines in seconds."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    direct: Direct | None = scope.get(DIRECT)
    raw = direct.body() if direct is not None else None
    if raw is None:
        first = await _next(receive, chunk)
        if first.get("more_body"):
            return await _rest(receive, first.get("body", b""), most, chunk, whole)
        raw = first.get("body", b"")
    if len(raw) > most:
        raise _too_large(most)
    return raw


def must_be_json(headers: Mapping[bytes, bytes]) -> None:
    """Raises `WrongContentType` for a body that says it is something else. Saying nothing is fine."""
    kind = headers.get(b"content-type")
    if kind is not None:
        name = kind.split(b";", 1)[0].strip().lower()
        if name != b"application/json" and not (name.startswith(b"application/") and name.endswith(b"+json")):
            shown = name.decode("ascii", "replace")
            raise WrongContentType(f"The body is said to be `{shown}`; send `content-type: application/json`.")
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.strip().lower() != b"identity":
        raise WrongContentType("Send the body as it is, without `content-encoding`.")


async def _rest(receive: Receive, start: bytes, most: int, chunk: float, whole: float) -> bytes:
    pieces, size = [start], len(start)
    try:
        async with asyncio.timeout(whole):
            more = True
            while more:
                message = await _next(receive, chunk)
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > most:
                    raise _too_large(most)
                more = message.get("more_body", False)
    except TimeoutError:
        raise TooSlow(headers=CLOSE) from None
    return b"".join(pieces)


async def _next(receive: Receive, chunk: float) -> Message:
    try:
        async with asyncio.timeout(chunk):
            message = await receive()
    except TimeoutError:
        raise TooSlow(headers=CLOSE) from None
    except Problem:
        raise
    except Exception as problem:
        # Servers differ in what they raise for a body that breaks off.
        raise Malformed(f"The body could not be received: {type(problem).__name__}.", headers=CLOSE) from problem
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body may have at most {most:,} bytes here; nothing was stored.", headers=CLOSE)
