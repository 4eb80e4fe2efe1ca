"""Who is who, in memory: every request asks here, and none of them asks the database.

Each process looks at the one-row key version twice a second, so a revoked key is dead everywhere within a second.
"""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta

from tocsin.access import actions, store
from tocsin.access.model import ENVIRONMENT, ENVIRONMENTS, Key, Principal, hashed, taken_apart
from tocsin.db.engine import Database
from tocsin.db.transaction import Reader
from tocsin.kit.shared import Shared

LAST_USED_EVERY = timedelta(minutes=1)


class Directory:
    """`admin_key` is the key from the environment, if one was given; it lives as long as this process."""

    def __init__(self, db: Database, admin_key: str | None) -> None:
        self._db = db
        self._admin_hash = hashed(admin_key) if admin_key else None
        self._keys: dict[int, tuple[Key, Principal]] = {}
        self._version = -1
        self._noted: dict[int, datetime] = {}
        self._used: dict[int, datetime] = {}
        self._look = Shared(self.refresh)

    @property
    def has_admin_key(self) -> bool:
        return self._admin_hash is not None

    def find(self, text: str) -> Principal | None:
        """Whose key this is, as far as this process knows; None for a wrong, revoked or expired one."""
        parts = taken_apart(text)
        if parts is None:
            return self._from_environment(text)
        key, principal = self._keys.get(parts[0], (None, None))
        now = self._db.clock()
        if key is None or not key.opens_with(parts[1], now):
            return self._from_environment(text)
        self._note(key.id, now)
        # A former secret is rare: a rotation's overlap.
        return principal if parts[1] == key.secret_hash else replace(key.principal, opened_with=parts[1])

    def still_good(self, who: Principal) -> bool:
        """Whether somebody who came in by a key may stay: a stream outlives its request, and may outlive its secret."""
        if who.key_id is None or who.opened_with is None:
            return self.by_id(who.key_id) is not None
        key, _ = self._keys.get(who.key_id, (None, None))
        return key is not None and key.opens_with(who.opened_with, self._db.clock())

    def by_id(self, key_id: int | None) -> Principal | None:
        """Whose key has this id, if it is good; None stands for the environment's key."""
        if key_id is None:
            return ENVIRONMENT if self._admin_hash is not None else None
        key, principal = self._keys.get(key_id, (None, None))
        return principal if key is not None and key.revoked_at is None else None

    def session_hash(self, secret: str) -> bytes:
        """What a session's secret is kept as. The environment's key is mixed in: with another, its sessions end."""
        mixed_in = self._admin_hash.hex() if secret.startswith(ENVIRONMENTS) and self._admin_hash else ""
        return hashed(secret + mixed_in)

    async def find_fresh(self, text: str) -> Principal | None:
        """The same after a look at the database: a key may have been made a moment ago, by another process."""
        await self._look()
        return self.find(text)

    async def refresh(self) -> None:
        """Loop: read the keys again if any has changed."""
        version = await self._db.read(store.version)
        if version != self._version:
            await self.reload()

    async def reload(self) -> None:
        """Read every key."""
        self._version, keys = await self._db.read(_all)
        self._keys = {key.id: (key, key.principal) for key in keys}

    async def write_last_used(self) -> None:
        """Loop: when which key was last used, at most once a minute for each."""
        used, self._used = self._used, {}
        if used:
            self._noted |= used
            await self._db.write(actions.note_use, used)

    def _from_environment(self, text: str) -> Principal | None:
        if self._admin_hash is not None and hmac.compare_digest(self._admin_hash, hashed(text)):
            return ENVIRONMENT
        return None

    def _note(self, key_id: int, now: datetime) -> None:
        noted = self._noted.get(key_id)
        if noted is None or now - noted >= LAST_USED_EVERY:
            self._used[key_id] = now


def _all(reader: Reader) -> tuple[int, list[Key]]:
    """The version first: a change in between is then seen at the next look."""
    return store.version(reader), store.keys(reader)
