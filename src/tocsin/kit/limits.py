"""How many requests a second a caller may make: one bucket for each key or address, held per process.

A bucket holds one second's worth; it fills evenly. A limit of 0 means none.
"""

import time
from dataclasses import dataclass

MOST_BUCKETS = 10_000


@dataclass(slots=True)
class Bucket:
    left: float
    since: float


class Limiter:
    """`limit` is in requests a second for this process; `take` says what is left, below zero is too many."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.policy = b'"key";q=%d;w=1' % max(1, round(limit))  # as the draft of RateLimit headers says it
        self._most = max(1.0, limit)
        self._buckets: dict[object, Bucket] = {}

    def take(self, who: object) -> float:
        """Take one from the bucket of `who`; a refused request costs nothing."""
        now = time.monotonic()
        bucket = self._buckets.get(who)
        if bucket is None:
            self._make_room(now)
            self._buckets[who] = Bucket(self._most - 1, now)
            return self._most - 1
        left = self._filled(bucket, now)
        bucket.since = now
        bucket.left = left - 1 if left >= 1 else left
        return left - 1

    def would_leave(self, who: object) -> float:
        """What `take` would say, without taking."""
        bucket = self._buckets.get(who)
        return (self._most if bucket is None else self._filled(bucket, time.monotonic())) - 1

    def seconds_until_free(self, left: float) -> int:
        """Whole seconds after which one more request fits, for `Retry-After`."""
        return max(1, round(-left / self.limit)) if self.limit else 1

    def _filled(self, bucket: Bucket, now: float) -> float:
        return min(self._most, bucket.left + (now - bucket.since) * self.limit)

    def _make_room(self, now: float) -> None:
        """Full buckets need not be remembered: many addresses must not eat the memory."""
        if len(self._buckets) < MOST_BUCKETS:
            return
        full = [who for who, bucket in self._buckets.items() if (now - bucket.since) * self.limit >= self._most]
        for who in full or list(self._buckets)[: MOST_BUCKETS // 2]:
            del self._buckets[who]
