"""Where a server under fire keeps its register, so that a test need not know the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.ledger import Register
from tests.faults.server import Server, wait_until

HEALS = 5.0  # seconds after which nothing of a fault may be felt any more


@dataclass(frozen=True)
class Ground:
    """`with ground.server() as server: …`; `register` is what the database itself holds."""

    engine: str
    home: Path
    register: Register
    settings: Mapping[str, object]

    def server(self, **more: object) -> Server:
        """Not started yet."""
        return Server(self.home, **{**self.settings, **more})

    def served(self, server: Server) -> None:
        """Waits until every worker is there."""
        if self.engine == "postgresql":
            wait_until(lambda: len(server.workers) == 2, what="two workers")
