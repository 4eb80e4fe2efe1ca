"""The hub: one reader of the log for everybody who listens in this process.

It reads each new entry once, writes it out once, keeps the newest of them and wakes whoever wants one. Each listener
takes them from there at its own pace, and who is further behind reads its past from the database: nobody is dropped
for a storm, and between the two there is no gap and no double.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence

from tocsin.access.directory import Directory
from tocsin.access.model import Principal
from tocsin.db.engine import Database
from tocsin.kit import metrics
from tocsin.live import model, store
from tocsin.live.model import About, Filters, Frame
from tocsin.timeline import store as timeline
from tocsin.timeline.bell import Bell
from tocsin.timeline.http import view
from tocsin.timeline.model import Entry

AT_ONCE = 100  # entries in one look: on SQLite it is made in the loop, and takes 2 ms
WAKES = 100  # listeners that are woken before the loop goes on with whatever else there is
KEPT = 5000  # newest entries that are kept written out, about 6 MB; half as many again before the oldest are let go
BREATH = 0.5  # seconds after which a quiet hub looks whether its listeners still may listen
PEOPLE = Principal(None, "admin", "")
PARTNERS = Principal(None, "partner", "")


class Listener:
    """Somebody who listens. `over` says why it hears no more, if so."""

    def __init__(self, who: Principal, filters: Filters, after: int) -> None:
        self.who = who
        self.filters = filters
        self.last = after  # the last entry that it took, or that was not for it
        self.over: str | None = None
        self._woken = asyncio.Event()

    def wants(self, frame: Frame) -> bool:
        """Whether an entry is for this listener, and new to it."""
        entry, about = frame.entry, frame.about
        return entry.id > self.last and model.may_see(self.who, entry, about) and self.filters.want(entry, about)

    def wake(self) -> None:
        """There is something for it."""
        self._woken.set()

    def end(self, why: str) -> None:
        """It hears no more; what waits for it is not sent."""
        self.over = self.over or why
        self._woken.set()

    async def woken(self, seconds: float) -> bool:
        """Until it is woken, at most so long."""
        if not self._woken.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                return False
        self._woken.clear()
        return True


class Hub:
    """Runs while somebody listens; without listeners it asks the database nothing."""

    def __init__(self, db: Database, bell: Bell, directory: Directory) -> None:
        self._db = db
        self._bell = bell
        self._directory = directory
        self._place = 0
        self._recent: list[Frame] = []
        self._since = 0  # every entry after this one, up to the place, is among the recent ones
        self._listeners: set[Listener] = set()
        self._first = asyncio.Event()
        self._joining = asyncio.Lock()
        self._looking_back = asyncio.Lock()

    async def join(self, who: Principal, filters: Filters, after: int | None) -> Listener:
        """A new listener, from after an entry on; None: from now on. `leave` must follow."""
        async with self._joining:
            if not self._listeners:
                self._begin_at(await self._db.read(timeline.newest))
            if after is not None and after > self._place:
                # Another process may be ahead of this one; beyond the log's end there is nothing to wait for.
                after = min(after, await self._db.read(timeline.newest))
            listener = Listener(who, filters, self._place if after is None else after)
            self._listeners.add(listener)
        metrics.LISTENERS.set(len(self._listeners))
        self._first.set()
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        metrics.LISTENERS.set(len(self._listeners))

    async def frames(self, listener: Listener, heartbeat: float) -> AsyncIterator[list[Frame]]:
        """Everything for the listener in order, first what it missed; an empty list after a quiet while.

        Ends when the listener is over: `listener.over` says why.
        """
        while listener.over is None:
            if listener.last < self._place:
                if frames := await self._next(listener):
                    yield frames
                # Its socket may take everything at once, and then nothing above has let others have their turn.
                await asyncio.sleep(0)
            elif not await listener.woken(heartbeat):
                yield []

    async def once(self) -> None:
        """Loop: wait for somebody to listen, then for the log to grow, and bring out what is new."""
        if not self._listeners:
            self._first.clear()
            await self._first.wait()
        if await self._bell.rung(self._place, BREATH):
            await self._read_on()
        self._see_who_may()

    def end_all(self, why: str) -> None:
        """The server stops: everybody is told."""
        for listener in self._listeners:
            listener.end(why)

    async def _next(self, listener: Listener) -> list[Frame]:
        """The next page of what it has not seen, as far as it is for it: from memory, else from the database."""
        until = self._place  # it rises while the database is asked, and by entries that were not read then
        if listener.last >= self._since:
            start = bisect_right(self._recent, listener.last, key=_id)
            page = self._recent[start : start + AT_ONCE]
        else:
            page = await self._past(listener.last, until)
        frames = [frame for frame in page if listener.wants(frame)]
        listener.last = page[-1].entry.id if page else until
        return frames

    async def _past(self, after: int, until: int) -> list[Frame]:
        # One at a time: many who are behind at once would hold up the loop page after page.
        async with self._looking_back:
            await asyncio.sleep(0)
            rows = await self._db.read(store.since, after, AT_ONCE)
        return [framed(*row) for row in rows if row[0].id <= until]

    async def _read_on(self) -> None:
        rows = await self._db.read(store.since, self._place, AT_ONCE)
        page = [framed(*row) for row in rows if row[0].id > self._place]
        if page:
            before, self._place = self._place, page[-1].entry.id
            self._keep(page)
            await self._wake(before, page)

    def _keep(self, page: Sequence[Frame]) -> None:
        self._recent += page
        if len(self._recent) > KEPT * 3 // 2:
            self._since = self._recent[-KEPT - 1].entry.id
            del self._recent[:-KEPT]

    async def _wake(self, before: int, page: Sequence[Frame]) -> None:
        """Wakes those who want some of the page. Whom none of it concerns, and who had seen all before, sleeps on."""
        for number, listener in enumerate(tuple(self._listeners), 1):
            if listener.last != before or any(listener.wants(frame) for frame in page):
                listener.wake()
            else:
                listener.last = page[-1].entry.id
            if number % WAKES == 0:
                await asyncio.sleep(0)

    def _begin_at(self, place: int) -> None:
        self._place = self._since = place
        self._recent.clear()

    def _see_who_may(self) -> None:
        for listener in self._listeners:
            if not self._directory.still_good(listener.who):
                listener.end("the key is no longer good")


def framed(entry: Entry, about: About | None) -> Frame:
    """An entry, written out."""
    inside = model.event("entry", view(entry, PEOPLE), entry.id)
    outside = model.event("entry", view(entry, PARTNERS), entry.id) if about and about.partner_id else b""
    return Frame(entry, about, inside, outside)


def _id(frame: Frame) -> int:
    return frame.entry.id
