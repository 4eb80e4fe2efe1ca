"""One HTTP connection to a server that may die at any moment, and the way to ask again until there is an answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

KEY = "an-admin-key-for-the-tests-of-faults"
ADDRESS = "127.0.0.1"


class Unreachable(Exception):
    """No answer: the connection could not be made, or broke."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def incident(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["incident"]
        return found


def check_refusal(answer: Answer) -> None:
    """A 503 as it is promised: when to come back, and a problem that says that it may pass."""
    assert answer.status == 503, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.body["type"] == "/errors/unavailable"


class Client:
    """For one thread; connects when it first asks, and again after it broke."""

    def __init__(self, port: int, *, key: str = KEY, timeout: float = 30) -> None:
        self._connection = http.client.HTTPConnection(ADDRESS, port, timeout=timeout)
        self._key = key
        self.repeats = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, body: Any = None, once: str | None = None, version: int | None = None
    ) -> Answer:
        """One request; `once` is its Idempotency-Key, `version` goes into `If-Match`. Raises `Unreachable`."""
        headers = {"x-api-key": self._key}
        headers |= {"content-type": "application/json"} if body is not None else {}
        headers |= {"idempotency-key": once} if once is not None else {}
        headers |= {"if-match": f'"{version}"'} if version is not None else {}
        raw = json.dumps(body) if body is not None else None
        try:
            self._connection.request(method, path, raw, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as problem:
            self._connection.close()
            raise Unreachable(repr(problem)) from None
        kind = response.headers.get("content-type", "")
        parsed = json.loads(content) if "json" in kind else content.decode()
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, parsed)

    def insist(
        self, method: str, path: str, body: Any, once: str, within: float = 60, version: int | None = None
    ) -> Answer:
        """The same request under the same Idempotency-Key until it is answered with anything but 503."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            with contextlib.suppress(Unreachable):
                answer = self.ask(method, path, body, once, version)
                if answer.status != 503:
                    return answer
                check_refusal(answer)
            self.repeats += 1
            time.sleep(0.02)
        raise AssertionError(f"{method} {path} found no answer within {within} s")

    def file(self, description: str, once: str | None = None) -> Answer:
        """Asks once to file an incident."""
        return self.ask("POST", "/api/incidents", {"description": description, "source": "operator"}, once)

    def move(self, incident_id: int, status: str, once: str | None = None) -> Answer:
        """Asks once to change an incident's status."""
        return self.ask("PATCH", "/api/incidents/status", {"incident_id": incident_id, "status": status}, once)
