"""Alertmanager's webhook: every alert by its fingerprint, whatever its group says. Pure.

The shape is that of its notification template data, version 4, as sent by 0.25 and later.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.intake.dialect import NotUnderstood, Path, Received, Unread
from tocsin.intake.dialects import reading
from tocsin.intake.model import Rules, Said

SEVERITIES = {
    "critical": "critical",
    "emergency": "critical",
    "fatal": "critical",
    "disaster": "critical",
    "page": "critical",
    "p1": "critical",
    "error": "high",
    "high": "high",
    "major": "high",
    "p2": "high",
    "warning": "medium",
    "warn": "medium",
    "medium": "medium",
    "average": "medium",
    "p3": "medium",
    "minor": "low",
    "low": "low",
    "p4": "low",
    "info": "info",
    "information": "info",
    "informational": "info",
    "notice": "info",
    "none": "info",
    "p5": "info",
}
# Labels that usually name what is broken; the first that is there wins.
ASSETS = ("asset", "device", "host", "hostname", "instance", "node", "pod", "deployment", "service", "job")
SAID = ("summary", "title", "message", "description")
STATES = {"firing": "trigger", "resolved": "resolve"}
# What a payload keeps of a large group: these fields, where they are short.
FRAME = ("version", "status", "receiver", "groupKey", "externalURL", "orgId", "title", "state")
LONGEST_OF_FRAME = 256


class Alertmanager(reading.Webhook):
    """One report for each alert of a group."""

    name = "alertmanager"
    title = "Alertmanager webhook"
    paths = (Path("POST", "/in/alertmanager"),)

    def read(self, request: Received, rules: Rules) -> Sequence[Said | Unread]:
        return alerts(reading.fields(request), reading.room(request.body))

    def lines(self, url: str, key: str) -> str:
        return "\n".join(
            (
                "receivers:",
                "  - name: tocsin",
                "    webhook_configs:",
                f"      - url: {url}/in/alertmanager",
                "        send_resolved: true",
                "        http_config:",
                "          authorization:",
                f"            credentials: {key}",
            )
        )


def alerts(group: Mapping[str, Any], room: int) -> list[Said | Unread]:
    """Each alert of a notification, their payloads together within `room` bytes or near it; raises `NotUnderstood`."""
    each = group.get("alerts")
    if not isinstance(each, list):
        raise NotUnderstood("alerts must be a list: this is no notification of alerts")
    frame = _frame(group, room // max(1, len(reading.few(each))))
    return [_one(group, alert, place, frame + reading.written(alert) + b"]}") for place, alert in enumerate(each)]


def _frame(group: Mapping[str, Any], most: int) -> bytes:
    """What each alert's payload repeats of its group, up to the alert.

    All of it where that is small beside the alerts: 600 alerts below one annotation of 1 MB would be 600 MB.
    """
    whole = {name: value for name, value in group.items() if name != "alerts"}
    short = {name: whole[name] for name in FRAME if 0 < len(reading.text(whole.get(name)) or "") <= LONGEST_OF_FRAME}
    state = {name: short[name] for name in ("status",) if name in short}
    written = [reading.written({**part, "alerts": []}) for part in (whole, short, state)]
    return next((each for each in written if len(each) <= most), written[-1]).removesuffix(b"]}")


def _one(group: Mapping[str, Any], alert: Any, place: int, raw: bytes) -> Said | Unread:
    try:
        return _said(group, alert, place, raw)
    except NotUnderstood as why:
        return Unread(raw, str(why))


def _said(group: Mapping[str, Any], alert: Any, place: int, raw: bytes) -> Said:
    if not isinstance(alert, dict):
        raise NotUnderstood(f"alerts[{place}] must be an object")
    state = (reading.first(alert.get("status"), group.get("status")) or "firing").lower()
    if state not in STATES:
        raise NotUnderstood(f"alerts[{place}].status must be firing or resolved")
    labels = reading.flat(alert.get("labels"))
    key = reading.text(alert.get("fingerprint")) or _fingerprint(labels)
    if state == "resolved":
        return Said("resolve", raw, key)
    notes = reading.flat(alert.get("annotations"))
    summary = reading.under(SAID, notes) or _named(labels)
    return Said(
        "trigger",
        raw,
        key,
        summary=summary,
        description=_described(alert, notes, summary),
        severity=reading.graded(labels.get("severity"), SEVERITIES),
        asset=reading.under(ASSETS, labels),
        labels=labels,
    )


def _described(alert: Mapping[str, Any], notes: Mapping[str, str], summary: str) -> str | None:
    others = (f"{name}: {words}" for name, words in notes.items() if name not in SAID)
    links = ("valueString", "dashboardURL", "panelURL", "silenceURL", "generatorURL")
    return reading.paragraph(
        *(notes.get(name) for name in SAID if notes.get(name) != summary),
        *others,
        *(reading.text(alert.get(name)) for name in links),
    )


def _named(labels: Mapping[str, str]) -> str:
    """A summary from labels alone: the alert's name and what tells it from its siblings."""
    name = labels.get("alertname", "An alert without a name")
    rest = ", ".join(f"{key} {words}" for key, words in labels.items() if key not in ("alertname", "severity"))
    return f"{name} ({rest})" if rest else name


def _fingerprint(labels: Mapping[str, str]) -> str:
    """For senders that leave it out: the same labels are the same alert."""
    text = "\0".join(f"{name}\0{labels[name]}" for name in sorted(labels))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


ALERTMANAGER = Alertmanager()
