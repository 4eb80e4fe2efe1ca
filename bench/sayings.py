"""How each dialect says the reports of a storm, as its real senders do: what is different between them, a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Numbers = Sequence[int]
WORDS = ("has no power", "does not answer", "answers slowly", "reports a full disk", "lost its uplink")
STARTED = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Saying:
    """`body(storm, numbers, troubles, key)` says these reports; report n is of trouble n % troubles."""

    name: str
    dialect: str | None  # None: no integration is needed
    path: str
    at_once: int
    body: Callable[[str, Numbers, int, str], Any]
    header: tuple[str, str] | None = ("authorization", "Bearer {}")

    def headers(self, key: str) -> Mapping[str, str]:
        return {self.header[0]: self.header[1].format(key)} if self.header else {}


def _summary(trouble: int) -> str:
    return f"Point of sale {trouble} {WORDS[trouble % len(WORDS)]}"


def _own(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    trouble = numbers[0] % troubles
    return {
        "dedup_key": f"{storm}/{trouble}",
        "summary": _summary(trouble),
        "description": f"Sample {numbers[0]}.",
        "severity": "high",
        "asset": f"pos-{trouble}",
        "labels": {"city": "Kazan"},
        "source": "monitoring",
    }


def _event(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    trouble = numbers[0] % troubles
    details = {"city": "Kazan", "sample": numbers[0]}
    said = {"summary": _summary(trouble), "source": f"pos-{trouble}", "severity": "error", "custom_details": details}
    return {"routing_key": key, "event_action": "trigger", "dedup_key": f"{storm}/{trouble}", "payload": said}


def _opsgenie(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    trouble = numbers[0] % troubles
    details = {"city": "Kazan", "sample": str(numbers[0])}
    said = {"message": _summary(trouble), "alias": f"{storm}/{trouble}", "entity": f"pos-{trouble}", "priority": "P2"}
    return {**said, "tags": ["pos"], "details": details}


def _alert(storm: str, trouble: int) -> dict[str, Any]:
    labels = {"alertname": "PosDown", "instance": f"pos-{trouble}", "severity": "error", "storm": storm}
    return {"labels": labels, "annotations": {"summary": _summary(trouble)}, "startsAt": STARTED}


def _group(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    alerts = [
        {
            **_alert(storm, n % troubles),
            "status": "firing",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": f"{storm}/{n % troubles}",
        }
        for n in numbers
    ]
    common: dict[str, Any] = {"groupLabels": {}, "commonLabels": {"storm": storm}, "commonAnnotations": {}}
    return {
        "version": "4", "receiver": "tocsin", "status": "firing", "groupKey": "{}:{}", "truncatedAlerts": 0,
        "externalURL": "http://alertmanager", **common, "alerts": alerts,
    }  # fmt: skip


def _grafana(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    group = _group(storm, numbers, troubles, key)
    return {**group, "version": "1", "orgId": 1, "state": "alerting", "title": "[FIRING] PosDown", "message": "Firing"}


def _items(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    return [
        {
            "id": f"{storm}/{n % troubles}",
            "status": "down",
            "title": _summary(n % troubles),
            "severity": "high",
            "host": f"pos-{n % troubles}",
            "sample": n,
        }
        for n in numbers
    ]


def _posted(storm: str, numbers: Numbers, troubles: int, key: str) -> Any:
    """As Prometheus tells Alertmanager."""
    return [_alert(storm, n % troubles) for n in numbers]


# Alertmanager and Grafana tell what they have gathered; a script that says any JSON may do either.
SAYINGS = (
    Saying("own way", None, "/api/reports", 1, _own, header=("x-api-key", "{}")),
    Saying("pagerduty", "pagerduty", "/v2/enqueue", 1, _event, header=None),
    Saying("opsgenie", "opsgenie", "/v2/alerts", 1, _opsgenie, header=("authorization", "GenieKey {}")),
    Saying("generic", "generic", "/in/generic", 1, _items),
    Saying("generic, 50 at once", "generic", "/in/generic", 50, _items),
    Saying("alertmanager, 50 at once", "alertmanager", "/in/alertmanager", 50, _group),
    Saying("grafana, 50 at once", "grafana", "/in/grafana", 50, _grafana),
)
TO_ALERTMANAGER = (
    Saying("its API", None, "/api/v2/alerts", 1, _posted, header=None),
    Saying("its API, 50 at once", None, "/api/v2/alerts", 50, _posted, header=None),
)
