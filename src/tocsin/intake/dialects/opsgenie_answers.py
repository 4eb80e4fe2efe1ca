"""What Opsgenie's clients hear: alerts made of our incidents, requests made of our reports, its errors. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tocsin.incidents.model import Incident, summary_of
from tocsin.incidents.reported import TAGS, parted
from tocsin.intake.dialect import Look, Reply
from tocsin.intake.model import Report
from tocsin.kit.clock import rfc3339

PRIORITIES = {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4", "info": "P5"}
DONE = {
    "trigger": ("Create", "Created alert"),
    "resolve": ("Close", "Closed alert"),
    "acknowledge": ("Acknowledge", "Acknowledged alert"),
    "unacknowledge": ("UnAcknowledge", "Unacknowledged alert"),
    "amend": ("Update", "Updated alert"),
    "note": ("AddNote", "Added note to alert"),
}
# Reading takes no measurable part of a second; clients want a number here and do nothing with it.
TOOK = 0.001


def accepted(request_id: str) -> Reply:
    """Opsgenie's clients may then ask for `requests/{requestId}`."""
    return Reply(202, {"result": "Request will be processed", "took": TOOK, "requestId": request_id})


def problem(status: int, why: str, request_id: str) -> Reply:
    return Reply(status, {"message": why, "took": TOOK, "requestId": request_id})


def shown(look: Look, found: Any, request_id: str) -> Reply:
    """The answer to a look; `found` is what `intake.receive` found for its kind."""
    match look.what:
        case "list":
            data: Any = [alert(each) for each in found]
        case "count":
            data = {"count": found}
        case "request" if found:
            data = request(found)
        case "notes" if found is not None:
            data = [note(each) for each in found]
        case "one" if found is not None:
            data = whole(found)
        case "request":
            return problem(404, "Request not found. It might not be processed, yet.", request_id)
        case _:
            return problem(404, "Alert does not exist", request_id)
    return Reply(200, {"data": data, "took": TOOK, "requestId": request_id})


def alert(incident: Incident) -> dict[str, Any]:
    """An incident as an alert stands in a list."""
    labels: Mapping[str, str] = msgspec.json.decode(incident.labels)
    return {
        "id": str(incident.id),
        "tinyId": str(incident.id),
        "alias": incident.dedup_key or "",
        "message": summary_of(incident),
        "status": "open" if incident.active else "closed",
        "acknowledged": incident.acknowledged_at is not None,
        "isSeen": incident.acknowledged_at is not None,
        "tags": parted(labels.get(TAGS)),
        "snoozed": False,
        "count": incident.reports_count,
        "lastOccurredAt": rfc3339(incident.last_reported_at or incident.created_at),
        "createdAt": rfc3339(incident.created_at),
        "updatedAt": rfc3339(incident.updated_at),
        "source": labels.get("source", ""),
        "owner": "",
        "priority": PRIORITIES[incident.severity],
        "responders": [],
        "integration": {"id": str(incident.integration_id), "type": "API"},
    }


def whole(incident: Incident) -> dict[str, Any]:
    """An incident as an alert looked at alone."""
    labels: Mapping[str, str] = msgspec.json.decode(incident.labels)
    details = {name: words for name, words in labels.items() if name not in ("tags", "source")}
    more = {"description": incident.description, "entity": incident.asset or "", "details": details, "actions": []}
    return alert(incident) | more


def note(report: Report) -> dict[str, Any]:
    """A report's words as a note."""
    return {
        "note": report.words or "",
        "owner": report.sender or "",
        "createdAt": rfc3339(report.received_at),
        "offset": str(report.id),
    }


def request(reports: Sequence[Report]) -> dict[str, Any]:
    """What came of an earlier request: what Zabbix asks until it has an answer."""
    report = reports[0]
    action, done = DONE[report.action]
    fit = report.outcome != "refused" and report.incident_id is not None
    return {
        "success": fit,
        "action": action,
        "processedAt": rfc3339(report.received_at),
        "integrationId": str(report.integration_id),
        "isSuccess": fit,
        "status": done if fit else f"Nothing was done: {report.reason}",
        "alertId": str(report.incident_id) if report.incident_id is not None else "",
        "alias": report.dedup_key or "",
    }
