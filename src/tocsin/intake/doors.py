"""Which door a key opens, in memory: every report asks here. What was refused at it, and the room for payloads."""

import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from tocsin.access.model import hashed
from tocsin.access.store import version
from tocsin.db.engine import Database
from tocsin.db.transaction import Reader
from tocsin.intake import actions, store
from tocsin.intake.actions import Take
from tocsin.intake.dialect import Received
from tocsin.intake.model import LONGEST_SENDER, Integration, Said, tidy
from tocsin.kit.errors import Problem
from tocsin.kit.shared import Shared
from tocsin.settings import Settings

log = structlog.get_logger("tocsin.intake")

MIB = 1024 * 1024
SECOND = timedelta(seconds=1)


class Doors:
    """Every open integration, by the hash of its key; fresh within a second, as keys are."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._by_hash: dict[bytes, Integration] = {}
        self._version = -1
        self._look = Shared(self.refresh)

    def find(self, key: str) -> Integration | None:
        """Whose key this is, as far as this process knows."""
        wanted = hashed(key)
        found = self._by_hash.get(wanted)
        if found is None or found.secret_hash == wanted:
            return found
        good = found.former_until is not None and self._db.clock() < found.former_until
        return found if good else None

    async def find_fresh(self, key: str) -> Integration | None:
        """The same after a look at the database: a door may have been made a moment ago."""
        await self._look()
        return self.find(key)

    async def hear(self) -> None:
        """A door was made or changed here: what it was told holds at once. The loop makes up for failure."""
        with suppress(Problem):
            await self.refresh()

    async def refresh(self) -> None:
        """Loop: read the integrations again if any has changed."""
        if await self._db.read(version) != self._version:
            await self.reload()

    async def reload(self) -> None:
        """Read every integration."""
        self._version, found = await self._db.read(_all)
        self._by_hash = {
            secret: each
            for each in found
            if each.removed_at is None
            for secret in (each.former_hash, each.secret_hash)
            if secret is not None
        }


class Refusals:
    """Requests that were refused before they were read, in their integration's log: why a good key does not help.

    One a second for each integration and process. Lossy by intent: a sender that goes wrong in a loop fills no disk.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._last: dict[int, datetime] = {}

    async def note(self, integration: Integration, why: str, request: Received, request_id: str) -> None:
        """A refused report with its reason; there is no payload, because nothing was read."""
        now = self._db.clock()
        last = self._last.get(integration.id)
        if last is not None and timedelta(0) <= now - last < SECOND:
            return
        self._last[integration.id] = now
        agent = tidy(request.headers.get("user-agent", "")[:LONGEST_SENDER]) or None
        said, target = Said("trigger", b""), f"{request.method} {request.path}"
        with suppress(Problem):  # the sender hears of its own mistake, whatever the database is doing
            await self._db.write(
                actions.take, Take(integration.sender, said, target, agent, request_id, tidy(why), keep=-1)
            )


class Payloads:
    """Raw payloads go after `TOCSIN_KEEP_RAW` days, and before anything else when the disk fills up."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._days = settings.keep_raw
        self._floor = settings.free_space_floor * MIB if settings.postgres_url is None else 0
        self._folder: Path = settings.data_dir
        self._cap = settings.raw_cap
        self.full = False
        self._looked: datetime | None = None

    @property
    def keep(self) -> int:
        """Bytes of a payload that are kept now; less than 0 means none."""
        self._look_at_the_disk(SECOND)  # a storm fills a small disk between two rounds of the loop
        return -1 if self.full or self._days == 0 else self._cap

    async def forget(self) -> None:
        """Loop: a few at a time, so that nobody behind it waits noticeably, and a nearly full disk has room for it."""
        self._look_at_the_disk()
        while await self._some_go(self._db.clock()):
            self._look_at_the_disk()

    async def _some_go(self, now: datetime) -> bool:
        before = now + timedelta(seconds=1) if self.full else now - timedelta(days=self._days)
        if not await self._db.read(store.payloads_before, before, 1):
            return False
        gone: int = await self._db.write(actions.forget_payloads, before)
        return gone == actions.FORGET_AT_ONCE

    def _look_at_the_disk(self, seldom: timedelta = timedelta(0)) -> None:
        """Whether it is full, unless it was looked at within `seldom`."""
        now = self._db.clock()
        if not self._floor or (self._looked is not None and timedelta(0) <= now - self._looked < seldom):
            return
        self._looked = now
        full = shutil.disk_usage(self._folder).free < self._floor
        if full and not self.full:
            log.warning("the disk is nearly full: raw payloads are not kept, and the old ones go; reports stay")
        self.full = full


def _all(reader: Reader) -> tuple[int, list[Integration]]:
    return version(reader), store.integrations(reader)
