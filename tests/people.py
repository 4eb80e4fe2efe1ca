"""Who speaks to Tocsin in a test, and what comes back: `ada.files("Scooter 875643 is offline").incident`.

An answer insists on being what it is asked for: `incident` of a refusal fails the test and shows the answer.
"""

import http.client
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, Protocol
from urllib.parse import urlencode

Incident = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back. `incident` and its likes insist that the answer is one."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        assert "json" in self.headers["content-type"], self
        return json.loads(self.body)

    @property
    def incident(self) -> dict[str, Any]:
        assert self.status in (200, 201), self
        found: dict[str, Any] = self.json["incident"]
        return found

    @property
    def incidents(self) -> list[dict[str, Any]]:
        assert self.status == 200, self
        found: list[dict[str, Any]] = self.json["incidents"]
        return found

    @property
    def ids(self) -> list[int]:
        return [incident["id"] for incident in self.incidents]

    @property
    def entries(self) -> list[dict[str, Any]]:
        assert self.status == 200, self
        found: list[dict[str, Any]] = self.json["entries"]
        return found

    @property
    def kinds(self) -> list[str]:
        return [entry["kind"] for entry in self.entries]

    @property
    def report(self) -> dict[str, Any]:
        assert self.status in (200, 201), self
        found: dict[str, Any] = self.json["report"]
        return found

    @property
    def reports(self) -> list[dict[str, Any]]:
        assert self.status == 200, self
        found: list[dict[str, Any]] = self.json["reports"]
        return found

    @property
    def notifications(self) -> list[dict[str, Any]]:
        assert self.status == 200, self
        found: list[dict[str, Any]] = self.json["notifications"]
        return found

    @property
    def next(self) -> str | None:
        assert self.status == 200, self
        found: str | None = self.json["next"]
        return found

    @property
    def problem(self) -> str:
        """The problem's stable name, such as `no-key`; its shape is checked on the way."""
        assert self.status >= 400, self
        assert self.headers["content-type"] == "application/problem+json", self
        said = self.json
        assert said["status"] == self.status, self
        assert said["title"], self
        assert said["detail"], self
        assert said["request_id"] == self.headers["x-request-id"], self
        name: str = said["type"].removeprefix("/errors/")
        assert said["type"] == f"/errors/{name}", self
        return name

    @property
    def detail(self) -> str:
        assert self.problem
        text: str = self.json["detail"]
        return text

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        assert self.problem
        return [each["field"] for each in self.json.get("errors", [])]


def id_of(incident: Incident | int | str) -> int | str:
    return incident["id"] if isinstance(incident, Mapping) else incident


class Reachable(Protocol):
    """What people speak to; after a restart its port is another."""

    @property
    def port(self) -> int: ...

    def connection(self) -> http.client.HTTPConnection: ...


class Person:
    """Somebody with a key, or without one. Each thread has a connection of its own."""

    def __init__(self, server: Reachable, name: str, key: str | None, source: str = "operator") -> None:
        self._server = server
        self.name = name
        self.key = key
        self.source = source
        self._mine = threading.local()

    def __repr__(self) -> str:
        return self.name

    def with_key(self, key: str | None) -> "Person":
        """The same person, with another key in hand."""
        return Person(self._server, self.name, key, self.source)

    # Incidents

    def files(self, description: str = "Scooter 875643 is offline", *, once: str | None = None, **more: Any) -> Answer:
        draft = {"description": description, "source": self.source} | more
        return self.post("/api/incidents", draft, once=once)

    def filed(self, description: str = "Scooter 875643 is offline", **more: Any) -> dict[str, Any]:
        """Files and insists that it went well."""
        return self.files(description, **more).incident

    def files_many(self, drafts: Sequence[Any], *, once: str | None = None) -> Answer:
        return self.post("/api/incidents/batch", {"incidents": list(drafts)}, once=once)

    def lists(self, query: str | None = None, **asked: Any) -> Answer:
        """`lists(status="active")`, or the query as it is to be sent."""
        return self.get("/api/incidents", query, **asked)

    def sees(self, incident: Incident | int | str) -> Answer:
        return self.get(f"/api/incidents/{id_of(incident)}")

    def moves(self, incident: Incident | int, to: str, *, by: str = "PATCH", **how: Any) -> Answer:
        return self.ask(by, "/api/incidents/status", {"incident_id": id_of(incident), "status": to}, **how)

    def edits(self, incident: Incident | int | str, *, once: str | None = None, if_match: str | None = None,
              **changes: Any) -> Answer:  # fmt: skip
        return self.ask("PATCH", f"/api/incidents/{id_of(incident)}", changes, once=once, if_match=if_match)

    def acknowledges(self, incident: Incident | int | str, **how: Any) -> Answer:
        return self.post(f"/api/incidents/{id_of(incident)}/acknowledge", **how)

    def takes_back(self, incident: Incident | int | str, **how: Any) -> Answer:
        return self.ask("DELETE", f"/api/incidents/{id_of(incident)}/acknowledge", **how)

    def timeline_of(self, incident: Incident | int | str, **asked: Any) -> Answer:
        return self.get(f"/api/incidents/{id_of(incident)}/timeline", **asked)

    def descriptions_of(self, incident: Incident | int | str) -> Answer:
        return self.get(f"/api/incidents/{id_of(incident)}/descriptions")

    def timeline(self, **asked: Any) -> Answer:
        return self.get("/api/timeline", **asked)

    # Reports

    def reports(self, summary: str | None = None, *, once: str | None = None, **more: Any) -> Answer:
        """`POST /api/reports`: a trigger, unless `action` says otherwise."""
        return self.post("/api/reports", {"summary": summary} | more, once=once)

    def log_of(self, integration: int, **asked: Any) -> Answer:
        return self.get(f"/api/integrations/{integration}/reports", **asked)

    def reports_of(self, incident: Incident | int, **asked: Any) -> Answer:
        return self.get(f"/api/incidents/{id_of(incident)}/reports", **asked)

    # Live

    def listens(self, path: str = "/api/stream", *, last: int | None = None) -> "Stream":
        """An open stream of events; `last` is `Last-Event-ID`."""
        headers = {"x-api-key": self.key or ""} | ({} if last is None else {"last-event-id": str(last)})
        line = self._server.connection()
        line.request("GET", path, headers=headers)
        return Stream(line)

    # Keys and partners

    def makes_key(self, name: str = "a key", role: str = "operator", **more: Any) -> Answer:
        return self.post("/api/keys", {"name": name, "role": role} | more)

    # Anything

    def get(self, path: str, query: str | None = None, **asked: Any) -> Answer:
        text = query if query is not None else urlencode(asked, doseq=True)
        return self.ask("GET", f"{path}?{text}" if text else path)

    def post(self, path: str, body: Any = None, **how: Any) -> Answer:
        return self.ask("POST", path, body, **how)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        once: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request. `body` is sent as JSON, bytes as they are; a header of None is left out."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Content-Type": None if sent is None else "application/json", "x-api-key": self.key}
        given |= {"Idempotency-Key": once, "If-Match": if_match, **(headers or {})}
        line = self._line()
        line.request(method, path, sent, {name: value for name, value in given.items() if value is not None})
        said = line.getresponse()
        return Answer(said.status, said.headers, said.read())

    def _line(self) -> http.client.HTTPConnection:
        port = self._server.port
        line: http.client.HTTPConnection | None = getattr(self._mine, "line", None)
        if line is None or line.port != port:
            line = self._mine.line = self._server.connection()
        return line


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    name: str
    id: int | None
    said: Any


class Stream:
    """A stream of events, read one by one; reading waits until there is one."""

    def __init__(self, line: http.client.HTTPConnection) -> None:
        self._line = line
        self.response = line.getresponse()
        self.status = self.response.status

    def next(self) -> Event:
        """The next event; comments are read over."""
        fields: dict[str, str] = {}
        while True:
            line = self.response.readline().decode()
            if line == "":
                raise EOFError("the stream has ended")
            text = line.rstrip("\n")
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                fields[name] = value
            elif not text and "event" in fields:
                id = fields.get("id")
                return Event(fields["event"], None if id is None else int(id), json.loads(fields["data"]))

    def entries(self, count: int) -> list[dict[str, Any]]:
        """The next so many entries, as `GET /api/timeline` says them."""
        found = [self.next() for _ in range(count)]
        assert [each.name for each in found] == ["entry"] * count, found
        assert [each.id for each in found] == [each.said["id"] for each in found]
        return [each.said for each in found]

    def hangs_up(self) -> None:
        self._line.close()
