"""Signs of life for whoever watches Tocsin: while it can write, it asks `TOCSIN_HEARTBEAT_URL` again and again.

Silence is the alarm. So nothing leaves before a write has gone to the disk and back, and of several processes one
speaks, and only while all of them give signs: one that is well must not speak for another that hangs.
"""

import os
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog

from tocsin.db.engine import Database, try_to_write
from tocsin.delivery.addresses import Allowed
from tocsin.delivery.model import DEADLINE, Request
from tocsin.delivery.transport import Way
from tocsin.kit import metrics
from tocsin.kit.errors import Problem
from tocsin.settings import Settings

log = structlog.get_logger("tocsin.heartbeat")

LOOK = 1.0  # seconds between two looks whether a sign is due
AGAIN = timedelta(seconds=10)  # after one that could not be sent; most watchers forgive a minute
SLACK = timedelta(seconds=5)  # by which the others' signs may be late: their look, and a slow disk


class Heartbeat:
    """One for each process; the eldest of them speaks."""

    def __init__(self, db: Database, settings: Settings) -> None:
        url = settings.heartbeat_url
        self._db = db
        self._url = None if url is None else url.get_secret_value()
        self._every = timedelta(seconds=settings.heartbeat_every)
        # Behind another ASGI server the processes know nothing of each other: each speaks for itself.
        self._processes = settings.workers if metrics.shared() else 1
        # The administrator's own word allows this host, and no other.
        allow = Allowed(frozenset({urlsplit(self._url or "").hostname or ""}), (), None)
        self._way = Way(settings, db.clock, allow)
        self._due: datetime | None = None
        self._outcome = "withheld"  # what became of the last one; not yet sent is nothing to report at a start

    async def once(self) -> None:
        """Loop: a sign of life, where one is due."""
        if self._url is None or not self._is_due(self._db.clock()):
            return
        outcome, reason = await self._give()
        self._due = self._db.clock() + (self._every if outcome in ("sent", "left") else min(AGAIN, self._every))
        if outcome != "left":
            metrics.HEARTBEATS.labels(outcome).inc()
            self._say(outcome, reason)

    async def close(self) -> None:
        """Ends the connection."""
        await self._way.close()

    def _is_due(self, now: datetime) -> bool:
        """A clock that was set back must not silence us until it has caught up."""
        return self._due is None or not now < self._due <= now + self._every

    async def _give(self) -> tuple[str, str]:
        """What became of it, and why: `left` to another process, `withheld`, `failed` or `sent`."""
        try:
            await self._db.write(try_to_write, None)
        except Problem as problem:
            return "withheld", problem.detail
        now = self._db.clock()
        metrics.ALIVE_AT.set(now.timestamp())
        signs = metrics.signs_of_life()
        if min(signs) != os.getpid():
            return "left", ""
        oldest = (now - 2 * self._every - SLACK).timestamp()
        silent = self._processes - sum(at >= oldest for at in signs.values())
        if silent > 0 or min(signs.values()) < oldest:
            return "withheld", f"{max(1, silent)} of {self._processes} processes give no sign"
        answer, _ = await self._way.send(Request(self._url or "", b"", method="GET"), DEADLINE)
        return ("sent" if answer.status is not None and 200 <= answer.status < 300 else "failed"), answer.reason

    def _say(self, outcome: str, reason: str) -> None:
        """Once, when it changes. The address is a secret and stays out."""
        if outcome == self._outcome:
            return
        self._outcome = outcome
        if outcome == "sent":
            log.info("signs of life arrive")
        elif outcome == "failed":
            log.warning("a sign of life did not arrive", reason=reason)
        else:
            log.warning("signs of life are withheld", reason=reason)
