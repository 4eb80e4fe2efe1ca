"""Idempotency: the answer to a request is kept in the same transaction as what it did, for 24 hours.

The same key with the same request gets the kept answer; with another request it is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select

from tocsin.db.among import among
from tocsin.db.schema import kept_answer
from tocsin.db.transaction import Writer
from tocsin.kit.errors import KeyReused

KEPT_FOR = timedelta(hours=24)
FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it went out: enough to say it again, byte for byte."""

    status: int
    body: bytes
    location: str | None = None
    etag: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Once:
    """One request that must be done once. `say` turns the results into the answer; None if it is no success.

    `scope` is the SHA-256 of the key's owner, method, path and the header's value; `fingerprint` that of the request.
    """

    scope: bytes
    fingerprint: bytes
    say: Callable[[Sequence[Any]], Kept | None]


def kept(tx: Writer, asked: Sequence[Once]) -> dict[bytes, Kept | KeyReused]:
    """What is already answered of these, by scope."""
    if not asked:
        return {}
    by_scope = {once.scope: once for once in asked}
    oldest = tx.now - KEPT_FOR
    found: dict[bytes, Kept | KeyReused] = {}
    for scope, fingerprint, created_at, status, body, location, etag in tx.tuples(KEPT, {"scopes": list(by_scope)}):
        if created_at <= oldest:
            # The loop that forgets has not come by yet; the key is free again.
            tx.run(FORGET_ONE, {"gone": scope})
        elif fingerprint != by_scope[scope].fingerprint:
            found[scope] = KeyReused()
        else:
            found[scope] = Kept(status, body, location, etag, replayed=True)
    return found


def keep(tx: Writer, answers: Sequence[tuple[Once, Kept]]) -> None:
    """Keep these answers; a second writer of the same scope fails here and is run again."""
    if answers:
        tx.add(
            kept_answer,
            [
                {
                    "scope": once.scope,
                    "fingerprint": once.fingerprint,
                    "status": answer.status,
                    "body": answer.body,
                    "location": answer.location,
                    "etag": answer.etag,
                    "created_at": tx.now,
                }
                # In one order everywhere: two processes that keep the same two must not block each other.
                for once, answer in sorted(answers, key=lambda each: each[0].scope)
            ],
        )


def forget(tx: Writer, wishes: Sequence[datetime]) -> list[int]:
    """Action: forget some answers that are older than each wish; gives how many went."""
    return [_forget_before(tx, before) for before in wishes]


def _forget_before(tx: Writer, before: datetime) -> int:
    old = [row.scope for row in tx.rows(OLD, {"before": before})]
    if old:
        tx.run(FORGET_ONE, [{"gone": scope} for scope in old])
    return len(old)


KEPT = select(
    kept_answer.c.scope,
    kept_answer.c.fingerprint,
    kept_answer.c.created_at,
    kept_answer.c.status,
    kept_answer.c.body,
    kept_answer.c.location,
    kept_answer.c.etag,
).where(among(kept_answer.c.scope, "scopes"))
OLD = select(kept_answer.c.scope).where(kept_answer.c.created_at <= bindparam("before")).limit(FORGOTTEN_AT_ONCE)
FORGET_ONE = delete(kept_answer).where(kept_answer.c.scope == bindparam("gone"))
