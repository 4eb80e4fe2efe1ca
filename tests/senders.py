"""The machines of the test language: `world.alertmanager.fires("ScooterOffline", scooter="875643")`.

Each speaks its own dialect by an integration of its own, as the real one would.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.people import Answer, Person


class Machine:
    """A sender with an integration of its own, which the administrator makes when it is first asked for."""

    dialect = ""

    def __init__(self, admin: Person, name: str | None = None, **draft: Any) -> None:
        self._line = admin.with_key(None)
        answer = admin.post("/api/integrations", {"name": name or self.dialect, "dialect": self.dialect, **draft})
        assert answer.status == 201, answer
        self.integration: dict[str, Any] = answer.json["integration"]
        self.key: str = answer.json["key"]
        self.lines: str = answer.json["lines"]

    @property
    def id(self) -> int:
        id: int = self.integration["id"]
        return id

    def sends(self, body: Any, path: str, method: str = "POST", headers: Mapping[str, str] | None = None) -> Answer:
        """Any body, as this machine would send it."""
        return self._line.ask(method, path, body, headers={**self.headers(), **(headers or {})})

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


class Alertmanager(Machine):
    """Alerts by their labels, in groups."""

    dialect = "alertmanager"

    def fires(self, alertname: str = "ScooterOffline", summary: str | None = None, **labels: str) -> Answer:
        return self.group([self.alert(alertname, "firing", summary, **labels)])

    def resolves(self, alertname: str = "ScooterOffline", **labels: str) -> Answer:
        return self.group([self.alert(alertname, "resolved", None, **labels)])

    def group(self, alerts: list[dict[str, Any]]) -> Answer:
        status = "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved"
        body = {"version": "4", "receiver": "web", "status": status, "alerts": alerts, "truncatedAlerts": 0}
        return self.sends(body, "/in/alertmanager", headers={"User-Agent": "Alertmanager/0.25.0"})

    def alert(self, alertname: str, status: str, summary: str | None = None, **labels: str) -> dict[str, Any]:
        names = {"alertname": alertname, **labels}
        text = json.dumps(names, sort_keys=True).encode()
        return {
            "status": status,
            "labels": names,
            "annotations": {} if summary is None else {"summary": summary},
            "startsAt": "2026-11-23T08:15:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": hashlib.sha256(text).hexdigest()[:16],
        }


class PagerDuty(Machine):
    """Events API v2."""

    dialect = "pagerduty"

    def triggers(self, key: str | None = "pos/12", summary: str = "POS 12 is down", **payload: Any) -> Answer:
        said = {"summary": summary, "source": "pos-12", "severity": "critical"} | payload
        return self.event("trigger", key, payload=said)

    def acknowledges(self, key: str = "pos/12") -> Answer:
        return self.event("acknowledge", key)

    def resolves(self, key: str = "pos/12") -> Answer:
        return self.event("resolve", key)

    def event(self, action: str, key: str | None, **more: Any) -> Answer:
        body = {"routing_key": self.key, "event_action": action, "dedup_key": key, **more}
        return self.sends({name: value for name, value in body.items() if value is not None}, "/v2/enqueue")

    def headers(self) -> dict[str, str]:
        return {}


class Opsgenie(Machine):
    """Alert API v2."""

    dialect = "opsgenie"

    def creates(self, alias: str = "pos/12", message: str = "POS 12 is down", **more: Any) -> Answer:
        return self.sends({"alias": alias, "message": message, **more}, "/v2/alerts")

    def closes(self, alias: str = "pos/12") -> Answer:
        return self.does("close", alias)

    def does(self, action: str, alias: str, body: Any = None, method: str = "POST") -> Answer:
        from urllib.parse import quote

        path = f"/v2/alerts/{quote(alias, safe='')}/{action}?identifierType=alias"
        return self.sends({} if body is None else body, path, method)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"GenieKey {self.key}"}


class Grafana(Alertmanager):
    """Its alerting webhook."""

    dialect = "grafana"

    def group(self, alerts: list[dict[str, Any]]) -> Answer:
        body = {"version": "1", "orgId": 1, "state": "alerting", "title": "t", "message": "m", "alerts": alerts}
        return self.sends(body, "/in/grafana", headers={"User-Agent": "Grafana"})


class Generic(Machine):
    """Any JSON."""

    dialect = "generic"

    def says(self, body: Any, **how: Any) -> Answer:
        return self.sends(body, "/in/generic", **how)


MACHINES: dict[str, type[Machine]] = {
    kind.dialect: kind for kind in (Alertmanager, PagerDuty, Opsgenie, Grafana, Generic)
}
