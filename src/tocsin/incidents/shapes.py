"""The shapes of incidents: what may be sent, what is said. The original's five fields come first, in its order."""

from typing import Annotated, Any

import msgspec

from tocsin.access.model import Principal
from tocsin.db.once import Kept
from tocsin.incidents import model
from tocsin.incidents.model import Incident
from tocsin.kit import ids, openapi
from tocsin.kit.clock import rfc3339, rfc3339_or_none

AStatus = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(model.STATUSES)})]
ASource = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(model.SOURCES)})]
ASeverity = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(model.SEVERITIES)})]
Words = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"maxLength": model.LONGEST_DESCRIPTION}, examples=["Scooter 875643 is offline"]),
]
ASummary = Annotated[
    str, msgspec.Meta(extra_json_schema=openapi.one_line(model.LONGEST_SUMMARY), examples=["Scooter offline"])
]
AnAsset = Annotated[str, msgspec.Meta(extra_json_schema=openapi.one_line(model.LONGEST_ASSET), examples=["875643"])]
Labels = Annotated[
    dict[str, str],
    msgspec.Meta(extra_json_schema={"maxProperties": model.MOST_LABELS}, examples=[{"city": "Kazan"}]),
]
AnId = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": ids.LARGEST}, examples=[1])]


class Draft(msgspec.Struct, forbid_unknown_fields=True):
    """An incident to be filed. `id` and `created_at` are read over, as the original did."""

    description: Words
    source: ASource
    status: AStatus = "new"
    summary: ASummary | None = None
    partner: str | None = None
    severity: ASeverity = model.USUAL_SEVERITY
    asset: AnAsset | None = None
    labels: Labels = {}
    id: Any = None
    created_at: Any = None


class Move(msgspec.Struct, forbid_unknown_fields=True):
    """A new status for one incident."""

    incident_id: AnId
    status: AStatus


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    status: AStatus | None = None
    description: Words | None = None
    severity: ASeverity | None = None


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """An empty body, or `{}`."""


class Drafts(msgspec.Struct, forbid_unknown_fields=True):
    """Up to 1,000 incidents to be filed in one go."""

    incidents: Annotated[list[Draft], msgspec.Meta(extra_json_schema={"maxItems": model.MOST_AT_ONCE})]


class LooseDrafts(msgspec.Struct, forbid_unknown_fields=True):
    """The same, each draft still to be looked at: a bad one must not spoil the others."""

    incidents: list[Any]


class IncidentView(msgspec.Struct):
    """An incident. A partner sees its own words, status and times; the other fields are null for it."""

    id: int
    description: str
    status: str
    source: str
    created_at: str
    summary: str
    severity: str
    asset: str | None
    dedup_key: str | None
    partner: str | None
    partner_words: str | None
    labels: msgspec.Raw
    reports_count: int | None
    last_reported_at: str | None
    acknowledged_at: str | None
    acknowledged_by: int | None
    resolved_at: str | None
    closed_at: str | None
    updated_at: str
    reopened_count: int
    version: int


class IncidentAnswer(msgspec.Struct):
    incident: IncidentView


class IncidentPage(msgspec.Struct):
    """Incidents, newest first. `next` goes into `cursor=`; null at the end."""

    incidents: list[IncidentView]
    next: str | None


class ItemResult(msgspec.Struct, omit_defaults=True):
    """What became of one draft: the incident, or the problem."""

    status: int
    incident: IncidentView | None = None
    problem: dict[str, Any] | None = None


class BatchAnswer(msgspec.Struct):
    """One result for each draft, in their order."""

    results: list[ItemResult]


class FormerView(msgspec.Struct):
    """Words that an edit replaced; the timeline refers to them as `former_description`."""

    id: int
    description: str
    replaced_at: str


class FormerList(msgspec.Struct):
    descriptions: list[FormerView]


def view(incident: Incident, who: Principal) -> IncidentView:
    """An incident as this caller may see it."""
    outside = who.role == "partner"
    words = (incident.partner_words or "") if outside else incident.description
    summary = model.summary_of(incident._replace(description=words, summary=None) if outside else incident)
    filed = rfc3339(incident.created_at)
    # Most incidents on a page were never touched again: one time to write out instead of two.
    updated = filed if incident.updated_at == incident.created_at else rfc3339(incident.updated_at)
    return IncidentView(
        incident.id,
        words,
        incident.status,
        incident.source,
        filed,
        summary,
        incident.severity,
        None if outside else incident.asset,
        None if outside else incident.dedup_key,
        incident.partner,
        incident.partner_words,
        msgspec.Raw(b"{}" if outside else incident.labels.encode()),
        None if outside else incident.reports_count,
        None if outside else filed if incident.last_reported_at is None else rfc3339(incident.last_reported_at),
        rfc3339_or_none(incident.acknowledged_at),
        None if outside else incident.acknowledged_by,
        rfc3339_or_none(incident.resolved_at),
        rfc3339_or_none(incident.closed_at),
        updated,
        incident.reopened_count,
        incident.version,
    )


def say(incident: Incident, who: Principal, status: int) -> Kept:
    """The answer to a write."""
    body = msgspec.json.encode(IncidentAnswer(view(incident, who)))
    location = f"/api/incidents/{incident.id}" if status == 201 else None
    return Kept(status, body, location, f'"{incident.version}"')
