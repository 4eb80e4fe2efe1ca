"""Streams through reconnections and a restart: every reader has every entry once, in the one order."""

import http.client
import json
import random
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

from tests.faults.client import ADDRESS, KEY
from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.faults.ground import Ground
from tests.faults.server import Server, wait_until

WRITERS = 8
READERS = size(2, 8)
EACH = size(40, 600)  # incidents of each writer, each filed and moved


class Reader:
    """Follows the stream from its beginning, and hangs up whenever its dice say so."""

    def __init__(self, server: Server, number: int) -> None:
        self.seen: list[int] = []
        self.lives = 0
        self.done = threading.Event()
        self._server = server
        self._dice = random.Random(number)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def last(self) -> int:
        return self.seen[-1] if self.seen else 0

    def stop(self) -> None:
        self.done.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _follow(self) -> None:
        while not self.done.is_set():
            self.lives += 1
            most = self._dice.randrange(1, 120)
            with suppress(OSError, http.client.HTTPException):
                for number, id in enumerate(self._entries(), 1):
                    self.seen.append(id)
                    if number >= most or self.done.is_set():
                        break
            self.done.wait(0.02)

    def _entries(self) -> Iterator[int]:
        """The ids of one connection's entries, until it breaks."""
        with closing(http.client.HTTPConnection(ADDRESS, self._server.port, timeout=2)) as line:
            line.request("GET", "/api/stream?after=0", headers={"x-api-key": KEY, "last-event-id": str(self.last)})
            answer = line.getresponse()
            event = ""
            while text := answer.readline().decode():
                name, _, value = text.rstrip("\n").partition(": ")
                if name == "event":
                    event = value
                if name == "data" and event == "entry":
                    yield json.loads(value)["id"]


def write(server: Server, writer: int) -> None:
    """Files and moves, each until it is answered."""
    for number in range(EACH):
        with server.client as client:
            draft = {"description": f"{writer}/{number}", "source": "operator"}
            filed = client.insist("POST", "/api/incidents", draft, once=f"file-{writer}-{number}")
            move = {"incident_id": filed.incident["id"], "status": "in_progress"}
            client.insist("PATCH", "/api/incidents/status", move, once=f"move-{writer}-{number}")


def test_every_reader_has_every_entry_once_in_the_one_order(ground: Ground, figures: Figures) -> None:
    with ground.server() as server:
        readers = [Reader(server, number) for number in range(READERS)]
        writers = [threading.Thread(target=write, args=(server, number), daemon=True) for number in range(WRITERS)]
        for each in writers:
            each.start()
        half = WRITERS * EACH
        wait_until(lambda: readers[0].last >= half, 60 + EACH, what="half of it was read")
        server.kill_all()
        server.start()
        for each in writers:
            each.join(60 + EACH)
            assert not each.is_alive()
        written = entries(server)
        wait_until(lambda: all(each.last >= written[-1] for each in readers), 60, what="all was read")
        for reader in readers:
            reader.stop()
            assert reader.seen == written
        lives = sum(reader.lives for reader in readers)
    assert len(written) >= 2 * WRITERS * EACH
    told = f"{len(written):,} entries to each of {READERS} readers, {lives:,} connections, one kill -9"
    figures("streams that break", f"{told}; each entry once, in order")


def entries(server: Server) -> list[int]:
    """Every entry in the log, as the timeline has them."""
    found: list[int] = []
    with server.client as client:
        while page := client.ask("GET", f"/api/timeline?limit=1000&after={found[-1] if found else 0}").body["entries"]:
            found += [each["id"] for each in page]
    return found
