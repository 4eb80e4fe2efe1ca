"""Who knocks: whose key it is, and how often one may come."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from tocsin.access.call import Call
from tocsin.access.model import Principal
from tocsin.kit import errors
from tocsin.kit.limits import Limiter

Found = TypeVar("Found")


async def caller(call: Call, seen: Mapping[bytes, bytes]) -> Principal:
    """Whose key it is; raises `NoKey` or `WrongKey`, and `TooMany` for an address that has tried too often."""
    directory = call.service.directory
    given = seen.get(b"x-api-key")
    if given is not None:
        text = given.decode("latin-1")
        principal = directory.find(text)
        if principal is not None:
            return principal
    if given is None or not given.strip():
        strange(call)
        raise errors.NoKey(headers={"WWW-Authenticate": 'ApiKey realm="tocsin", header="x-api-key"'})
    principal = await looked_up(call, directory.find_fresh, text)
    if principal is None:
        raise errors.WrongKey
    return principal


async def looked_up(call: Call, look: Callable[[str], Awaitable[Found | None]], key: str) -> Found | None:
    """What a look at the database finds for a key that is not known here; raises `TooMany`, as `strange` does.

    Only who has no good key is counted: of many who come at once with one that another process has just made, none is
    a stranger.
    """
    limits = call.service.address_limits
    if limits.limit:
        _not_too_often(limits, limits.would_leave(_address(call)))
    found = await look(key)
    if found is None:
        strange(call)
    return found


def strange(call: Call) -> None:
    """One request without a good key against its address's limit; raises `TooMany`."""
    limits = call.service.address_limits
    if limits.limit:
        _not_too_often(limits, limits.take(_address(call)))


def _address(call: Call) -> str:
    client = call.scope.get("client")
    return client[0] if client else "unknown"


def _not_too_often(limits: Limiter, left: float) -> None:
    if left < 0:
        wait = str(limits.seconds_until_free(left))
        raise errors.TooMany("Too many requests without a valid key from this address.", headers={"Retry-After": wait})


def count(call: Call, owner: str) -> None:
    """One request against its owner's limit; what is left stands in every answer."""
    limits = call.service.key_limits
    if not limits.limit:
        return
    left = limits.take(owner)
    call.scope["limit_headers"] = [
        (b"ratelimit-policy", limits.policy),
        (b"ratelimit", b'"key";r=%d;t=1' % max(0, int(left))),
    ]
    if left < 0:
        raise errors.TooMany(headers={"Retry-After": str(limits.seconds_until_free(left))})
