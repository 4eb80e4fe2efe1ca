"""The storm: many reports of few troubles from many senders at once, each sent until it is answered."""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tocsin.demo.throwaway import ADDRESS

SENDERS = 16
PLACES = ("Charging station", "Payment terminal", "Scooter hub", "Gate", "Edge router")
TROUBLES = ("has no power", "does not answer", "answers slowly", "reports a full disk", "lost its uplink")
SEVERITIES = ("critical", "high", "medium", "medium", "low")


@dataclass
class Storm:
    """`count` reports of `troubles` troubles; `accepted` are those that were answered with 2xx."""

    port: int
    key: str
    count: int
    troubles: int
    accepted: set[int] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    half_is_in: threading.Event = field(default_factory=threading.Event)
    again: int = 0  # attempts without an answer; each was made once more, under the same Idempotency-Key
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> Sequence[threading.Thread]:
        """Lets the senders go."""
        senders = [threading.Thread(target=self._send_all, daemon=True) for _ in range(SENDERS)]
        for each in senders:
            each.start()
        return senders

    def body(self, number: int) -> bytes:
        """One report: which trouble it is of, and its own number among the labels of the words."""
        trouble = number % self.troubles
        place, what = PLACES[trouble % len(PLACES)], TROUBLES[trouble // 2 % len(TROUBLES)]
        said = {
            "dedup_key": f"demo/{trouble}",
            "summary": f"{place} {trouble + 1} {what}",
            "description": f"Sample {number} of {self.count}.",
            "severity": SEVERITIES[trouble % len(SEVERITIES)],
            "asset": f"{place.lower().replace(' ', '-')}-{trouble + 1}",
            "labels": {"region": "west" if trouble % 2 else "east"},
            "source": "monitoring",
        }
        return json.dumps(said).encode()

    def _send_all(self) -> None:
        line: http.client.HTTPConnection | None = None
        while (number := self._take()) is not None:
            body = self.body(number)
            while True:
                try:
                    line = line or http.client.HTTPConnection(ADDRESS, self.port, timeout=30)
                    if self._sent(line, number, body):
                        break
                except (OSError, http.client.HTTPException):
                    if line is not None:
                        line.close()
                    line = None
                    self.again += 1
                    time.sleep(0.1)  # as a real sender would: the server is being killed

    def _sent(self, line: http.client.HTTPConnection, number: int, body: bytes) -> bool:
        """Whether it is done with: taken, or refused for good."""
        headers = {"x-api-key": self.key, "content-type": "application/json", "idempotency-key": f"demo-{number}"}
        line.request("POST", "/api/reports", body, headers)
        answer = line.getresponse()
        said = answer.read()
        if answer.status == 503:
            time.sleep(0.1)
            return False
        with self._lock:
            if answer.status < 300:
                self.accepted.add(json.loads(said)["report"]["id"])
                if len(self.accepted) >= self.count // 2:
                    self.half_is_in.set()
            else:
                self.refused.append(f"{answer.status} {said.decode(errors='replace')}")
        return True

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self.count:
                return None
            self._next += 1
            return self._next - 1
