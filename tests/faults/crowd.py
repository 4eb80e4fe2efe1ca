"""A crowd of clients that write without pause, and the ledger of what they were told.

Each asks again under the same Idempotency-Key until it is answered, so at the end the database must hold exactly what
the ledger says: nothing less (lost), nothing more (double).
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from tests.faults.client import Client

ROUND = ("open", "in_progress", "on_hold", "resolved", "in_progress", "closed")


@dataclass
class Told:
    """One incident as its client was told of it: every status that it went through, in order."""

    id: int
    description: str
    statuses: list[str] = field(default_factory=lambda: ["new"])


class Writer(threading.Thread):
    """One client: files incidents and moves its own on, one request after another."""

    def __init__(self, name: str, client: Client, stop: threading.Event, chance: random.Random, padding: int) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.told: list[Told] = []
        self.writes = 0
        self.replays = 0
        self.problem: BaseException | None = None
        self._stop_asked = stop
        self._chance = chance
        self._padding = "x" * padding

    def run(self) -> None:
        try:
            with self.client:
                while not self._stop_asked.is_set():
                    self._write()
        except BaseException as problem:
            self.problem = problem

    def _write(self) -> None:
        once = f"{self.name}-{self.writes}"
        if not self.told or self._chance.random() < 0.4:
            body = {"description": once + self._padding, "source": "operator"}
            answer = self.client.insist("POST", "/api/incidents", body, once)
            assert answer.status == 201, answer
            self.told.append(Told(answer.incident["id"], body["description"]))
        else:
            mine = self._chance.choice(self.told[-5:])
            status = ROUND[(len(mine.statuses) - 1) % len(ROUND)]
            move = {"incident_id": mine.id, "status": status}
            answer = self.client.insist("PATCH", "/api/incidents/status", move, once)
            assert answer.status == 200, answer
            mine.statuses.append(status)
        self.replays += "idempotency-replayed" in answer.headers
        self.writes += 1


class Crowd:
    """`with Crowd(port) as crowd: …` writes until the block ends; then `told` is whole.

    `timeout`: seconds that a client waits for an answer before it asks again; `padding` makes descriptions longer.
    """

    def __init__(self, port: int, clients: int = 8, *, timeout: float = 30, padding: int = 0) -> None:
        self._stop = threading.Event()
        seed = random.randrange(10**6)
        self.writers = [
            Writer(f"w{n}-{seed}", Client(port, timeout=timeout), self._stop, random.Random(seed + n), padding)
            for n in range(clients)
        ]

    def __enter__(self) -> Self:
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        for writer in self.writers:
            writer.join(70)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raises what went wrong in any of the threads."""
        for writer in self.writers:
            if writer.problem is not None:
                raise AssertionError(f"{writer.name} failed") from writer.problem
            assert not (self._stop.is_set() and writer.is_alive()), f"{writer.name} hangs"

    @property
    def writes(self) -> int:
        """How many writes have been answered."""
        return sum(writer.writes for writer in self.writers)

    @property
    def repeats(self) -> int:
        """How often somebody had to ask again."""
        return sum(writer.client.repeats for writer in self.writers)

    def wait_for(self, more: int, within: float = 40) -> float:
        """Until so many more writes have been answered; the seconds that it took."""
        began = time.monotonic()
        goal, deadline = self.writes + more, began + within
        while self.writes < goal:
            self.check()
            assert time.monotonic() < deadline, f"only {self.writes} of {goal} writes after {within} s"
            time.sleep(0.005)
        return time.monotonic() - began

    def wait_until_refused(self, within: float = 40) -> float:
        """Until somebody had to ask again, and again; the seconds that it took."""
        began = time.monotonic()
        goal = self.repeats + 2
        while self.repeats < goal:
            self.check()
            assert time.monotonic() < began + within, f"nobody was refused within {within} s"
            time.sleep(0.005)
        return time.monotonic() - began

    @property
    def told(self) -> list[Told]:
        """Every incident that was filed, each writer's in the order in which it heard of them."""
        return [each for writer in self.writers for each in writer.told]

    def figures(self) -> str:
        """One line: what was written, and how often it was asked again."""
        replays = sum(writer.replays for writer in self.writers)
        return (
            f"{len(self.writers)} clients, {self.writes:,} writes answered ({len(self.told):,} filed), "
            f"{self.repeats:,} asked again, {replays:,} answered from what was kept"
        )
