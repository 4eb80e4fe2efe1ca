"""The hub: one reader of the log for everybody who listens in this process.

It reads each new entry once, writes it out once, and hands the same bytes to each listener. A listener first
catches up from the database to the hub's place, then lives on what the hub hands it; between the two there is
no gap and no double.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

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

AT_ONCE = 500  # entries in one look
BREATH = 0.5  # seconds after which a quiet hub looks whether its listeners still may listen
PEOPLE = Principal(None, "admin", "")
PARTNERS = Principal(None, "partner", "")


class Listener:
    """Somebody who listens; `frames` wait for it. `over` says why it hears no more, if so."""

    def __init__(self, who: Principal, filters: Filters, after: int) -> None:
        self.who = who
        self.filters = filters
        self.last = after  # the last entry that it was handed, or that was not for it
        self.frames: deque[Frame] = deque()
        self.over: str | None = None
        self._came = asyncio.Event()

    def wants(self, entry: Entry, about: About | None) -> bool:
        """Whether an entry is for this listener, and new to it."""
        return entry.id > self.last and model.may_see(self.who, entry, about) and self.filters.want(entry, about)

    def hand(self, frame: Frame) -> None:
        """A frame that is for it; one too many, and it is dropped."""
        if self.over is None:
            if len(self.frames) >= model.MOST_BEHIND:
                self.end("dropped")
            else:
                self.frames.append(frame)
                self._came.set()

    def end(self, why: str) -> None:
        """It hears no more; what waits for it is not sent."""
        self.over = self.over or why
        self._came.set()

    async def came(self, seconds: float) -> bool:
        """Until there is something to say, at most so long."""
        if not self._came.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._came.wait()
            except TimeoutError:
                return False
        self._came.clear()
        return True


class Hub:
    """Runs while somebody listens; without listeners it asks the database nothing."""

    def __init__(self, db: Database, bell: Bell, directory: Directory) -> None:
        self._db = db
        self._bell = bell
        self._directory = directory
        self._place = 0
        self._listeners: set[Listener] = set()
        self._first = asyncio.Event()
        self._joining = asyncio.Lock()

    async def join(self, who: Principal, filters: Filters, after: int | None) -> Listener:
        """A new listener, from after an entry on; None: from now on. `leave` must follow."""
        async with self._joining:
            if not self._listeners:
                self._place = await self._db.read(timeline.newest)
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

    async def past(self, listener: Listener, until: int) -> AsyncIterator[list[Frame]]:
        """What the listener missed, page by page, up to and with an entry."""
        while listener.last < until:
            rows = await self._db.read(store.since, listener.last, AT_ONCE)
            rows = [(entry, about) for entry, about in rows if entry.id <= until]
            frames = [framed(entry, about) for entry, about in rows if listener.wants(entry, about)]
            listener.last = rows[-1][0].id if len(rows) == AT_ONCE else until
            yield frames

    async def frames(self, listener: Listener, heartbeat: float) -> AsyncIterator[list[Frame]]:
        """Everything for the listener in order, first what it missed; an empty list after a quiet while.

        Ends when the listener is over: `listener.over` says why.
        """
        async for missed in self.past(listener, self._place_of(listener)):
            if missed:
                yield missed
        while listener.over is None:
            heard = await listener.came(heartbeat)
            frames = [] if listener.over is not None else list(listener.frames)
            listener.frames.clear()
            if frames:
                listener.last = frames[-1].entry.id
            if frames or not heard:
                yield frames

    def _place_of(self, listener: Listener) -> int:
        """Up to where the hub had come when this one joined: what waits for it already comes from after that."""
        return listener.frames[0].entry.id - 1 if listener.frames else self._place

    async def once(self) -> None:
        """Loop: wait for somebody to listen, then for the log to grow, and hand out what is new."""
        if not self._listeners:
            self._first.clear()
            await self._first.wait()
        await self._bell.rung(self._place, BREATH)
        while self._listeners and (rows := await self._db.read(store.since, self._place, AT_ONCE)):
            self._place = rows[-1][0].id
            for entry, about in rows:
                self._hand_out(entry, about)
        self._see_who_may()

    def end_all(self, why: str) -> None:
        """The server stops: everybody is told."""
        for listener in self._listeners:
            listener.end(why)

    def _hand_out(self, entry: Entry, about: About | None) -> None:
        frame = None
        for listener in self._listeners:
            if listener.wants(entry, about):
                frame = frame or framed(entry, about)
                listener.hand(frame)

    def _see_who_may(self) -> None:
        for listener in self._listeners:
            if not self._directory.still_good(listener.who):
                listener.end("the key is no longer good")


def framed(entry: Entry, about: About | None) -> Frame:
    """An entry, written out."""
    inside = model.event("entry", view(entry, PEOPLE), entry.id)
    outside = model.event("entry", view(entry, PARTNERS), entry.id) if about and about.partner_id else b""
    return Frame(entry, about, inside, outside)
