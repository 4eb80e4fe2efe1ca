"""PagerDuty Events API v2: what nearly every monitoring can send. Pure.

Taken from its public reference for `/v2/enqueue` and `/v2/change/enqueue`, and from what its clients send.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tocsin.intake.dialect import Look, NotUnderstood, Path, Received, Reply
from tocsin.intake.dialects import reading
from tocsin.intake.hiding import HIDDEN
from tocsin.intake.model import Rules, Said, Taken

SEVERITIES = {"critical": "critical", "error": "high", "warning": "medium", "info": "info"}
ACTIONS = ("trigger", "acknowledge", "resolve")
CHANGE = "/v2/change/enqueue"
KEYS = ("routing_key", "service_key")
LONGEST_DEDUP_KEY = 255
MOST = 512 * 1024


class PagerDuty:
    """Events: a trigger, an acknowledgement, a resolve; a change is kept as a note."""

    name = "pagerduty"
    title = "PagerDuty Events API v2"
    paths = (Path("POST", "/v2/enqueue"), Path("POST", CHANGE))
    most = MOST

    def key(self, request: Received, authorization: str | None) -> str | None:
        """`routing_key` in the body, or the header `X-Routing-Key`; raises `NotUnderstood`."""
        if request.headers.get("x-routing-key"):
            return request.headers["x-routing-key"]
        return reading.text(reading.fields(request).get("routing_key"))

    def keyless(self, request: Received) -> Received:
        """Written again: a name may stand twice, and a key may be another than the header's."""
        event = reading.fields(request)
        clean = {**event, **{name: HIDDEN for name in KEYS if name in event}}
        return replace(request, body=reading.written(clean), value=clean)

    def looks(self, request: Received) -> Look | None:
        """Nobody asks an events API anything."""
        return None

    def shown(self, look: Look, found: Any, request_id: str) -> Reply:
        """Never needed, because `looks` finds nothing."""
        return self.refused(404, "Not Found", request_id)

    def read(self, request: Received, rules: Rules) -> list[Said]:
        event = reading.fields(request)
        if request.path == CHANGE:
            return [_change(event, request.body)]
        action = (reading.text(event.get("event_action")) or "").lower()
        if action not in ACTIONS:
            raise NotUnderstood(f"event_action must be one of {', '.join(ACTIONS)}")
        key = reading.dedup_key(event.get("dedup_key"), LONGEST_DEDUP_KEY)
        if action == "trigger":
            return [_trigger(event, key or request.headers.get("x-request-id"), request.body)]
        if key is None:
            raise NotUnderstood(f"dedup_key is needed to {action} something")
        return [Said(action, request.body, key)]  # type: ignore[arg-type]

    def accepted(self, taken: Sequence[Taken], request_id: str) -> Reply:
        body = {"status": "success", "message": "Event processed"}
        if taken and taken[0].action == "note":
            return Reply(202, {**body, "message": "Change event processed"})
        return Reply(202, {**body, "dedup_key": taken[0].dedup_key if taken else None})

    def refused(self, status: int, why: str, request_id: str) -> Reply:
        word = "throttle exceeded" if status == 429 else "invalid event" if status < 500 else "error"
        return Reply(status, {"status": word, "message": "Event object is invalid", "errors": [why]})

    def lines(self, url: str, key: str) -> str:
        return "\n".join(
            (
                "# Alertmanager",
                "receivers:",
                "  - name: tocsin",
                "    pagerduty_configs:",
                f"      - url: {url}/v2/enqueue",
                f"        routing_key: {key}",
                "        send_resolved: true",
                "",
                "# Grafana: a contact point of the kind PagerDuty, with these two fields",
                f"Integration Key: {key}",
                f"URL: {url}/v2/enqueue",
                "",
                "# A shell",
                f"curl -X POST {url}/v2/enqueue -H 'content-type: application/json' \\",
                f'     -d \'{{"routing_key": "{key}", "event_action": "trigger", "dedup_key": "test",',
                '          "payload": {"summary": "A test", "source": "shell", "severity": "info"}}\'',
            )
        )


def _trigger(event: Mapping[str, Any], key: str | None, raw: bytes) -> Said:
    payload = event.get("payload")
    if not isinstance(payload, dict):
        raise NotUnderstood("payload is needed to trigger: an object with summary, source and severity")
    summary = reading.text(payload.get("summary"))
    if summary is None:
        raise NotUnderstood("payload.summary is needed: say what is wrong")
    client, details = reading.text(event.get("client")), payload.get("custom_details")
    labels = {name: words for name in ("component", "group", "class") if (words := reading.text(payload.get(name)))}
    labels |= reading.flat(details if isinstance(details, dict) else {"details": details})
    source = reading.text(payload.get("source"))
    return Said(
        "trigger",
        raw,
        key,
        summary=summary,
        description=_described(event, labels),
        severity=reading.graded(payload.get("severity"), SEVERITIES),
        # Alertmanager names itself as the source of everything: that says nothing about what is broken.
        asset=reading.first(payload.get("component"), source if source != client else None),
        labels=labels,
    )


def _described(event: Mapping[str, Any], labels: Mapping[str, str]) -> str | None:
    links = [each for each in reading.many(event.get("links")) if isinstance(each, dict)]
    return reading.paragraph(
        *(f"{name}: {words}" for name, words in labels.items()),
        *(": ".join(filter(None, (reading.text(each.get("text")), reading.text(each.get("href"))))) for each in links),
        reading.text(event.get("client_url")),
    )


def _change(event: Mapping[str, Any], raw: bytes) -> Said:
    payload = reading.inner(event.get("payload"))
    summary = reading.text(payload.get("summary"))
    if summary is None:
        raise NotUnderstood("payload.summary is needed: say what was changed")
    labels = reading.flat(payload.get("custom_details"))
    words = reading.paragraph(summary, _described(event, labels))
    return Said("note", raw, summary=summary, labels=labels, words=words)


PAGERDUTY = PagerDuty()
