"""The shapes of integrations and reports: what may be sent, what is said."""

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec

from tocsin.incidents.shapes import AnAsset, ASeverity, ASource, ASummary, Labels, Words
from tocsin.intake.dialect import Dialect
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.model import LONGEST_KEY, LONGEST_NAME, Integration, NewIntegration, Payload, Report, Said, Taken
from tocsin.kit import openapi
from tocsin.kit.clock import rfc3339, rfc3339_or_none

AName = Annotated[str, msgspec.Meta(extra_json_schema=openapi.one_line(LONGEST_NAME), examples=["Zabbix"])]
ADialect = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(DIALECTS)})]
AReaction = Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["resolve", "note"]})]
ADedupKey = Annotated[
    str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_KEY}, examples=["pos/12"])
]
AnAction = Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["trigger", "acknowledge", "resolve"]})]


class RulesDraft(msgspec.Struct, forbid_unknown_fields=True):
    """What an integration does with what comes in; see `docs/dialects.md`.

    `when_taken` says what a resolve does to an incident that a person has taken: `resolve`, or only `note`.
    """

    when_taken: AReaction = "resolve"
    severity: ASeverity | None = None
    asset_label: str | None = None
    asset_pattern: str | None = None
    mapping: dict[str, str] = {}
    signature_header: str | None = None
    timestamp_header: str | None = None


class IntegrationDraft(msgspec.Struct, forbid_unknown_fields=True):
    """A door to be made. `signing_secret` is the one that the sender signs with, where its dialect can."""

    name: AName
    dialect: ADialect
    source: ASource = "monitoring"
    partner: str | None = None
    settings: RulesDraft = msgspec.field(default_factory=RulesDraft)
    signing_secret: str | None = None


class IntegrationEdit(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change; what is left out stays. `settings` are set as a whole; a `signing_secret` replaces the old."""

    name: AName | None = None
    settings: RulesDraft | None = None
    signing_secret: str | None = None


class IntegrationView(msgspec.Struct):
    """An integration without its key."""

    id: int
    name: str
    dialect: str
    source: str
    partner: str | None
    settings: RulesDraft
    signed: bool
    url: str
    created_at: str
    rotated_at: str | None
    old_key_until: str | None
    removed_at: str | None


class IntegrationAnswer(msgspec.Struct):
    integration: IntegrationView


class NewIntegrationAnswer(msgspec.Struct):
    """`key` is shown this once; `lines` are what to paste into the sender."""

    integration: IntegrationView
    key: str
    lines: str


class IntegrationList(msgspec.Struct):
    integrations: list[IntegrationView]


class ReportDraft(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that you say. With a `dedup_key` (at most 2,048 bytes in UTF-8) a trigger joins the
    incident that is active for it.

    Of a key that may file under several, such as an operator's, `source` is `operator` unless given.
    """

    action: AnAction = "trigger"
    dedup_key: ADedupKey | None = None
    summary: ASummary | None = None
    description: Words | None = None
    severity: ASeverity | None = None
    asset: AnAsset | None = None
    labels: Labels = {}
    source: ASource | None = None


class ReportView(msgspec.Struct):
    """A report: who said what, what came of it and why. `raw` stands where one report is asked for."""

    id: int
    received_at: str
    integration_id: int | None
    key_id: int | None
    action: str
    outcome: str
    reason: str
    incident_id: int | None
    dedup_key: str | None
    summary: str | None
    words: str | None
    severity: str | None
    sender: str | None
    request_id: str | None
    replay_of: int | None


class RawView(msgspec.Struct):
    """What came in: text, or base64 where it is none. `size` bytes came; `whole` says whether all are kept."""

    target: str
    body: str
    encoding: str
    size: int
    whole: bool


class ReportAnswer(msgspec.Struct):
    """`raw` is null where the payload is no longer kept."""

    report: ReportView
    raw: RawView | None


class ReportPage(msgspec.Struct):
    """Reports, newest first. `next` goes into `before=`; null at the end."""

    reports: list[ReportView]
    next: str | None


class TakenView(msgspec.Struct):
    """What came of one thing that was said."""

    id: int
    outcome: str
    reason: str
    incident_id: int | None
    dedup_key: str | None


class TakenAnswer(msgspec.Struct):
    report: TakenView


class TakenList(msgspec.Struct):
    """What came of a replay: one for each thing that the payload says."""

    reports: list[TakenView]


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """A payload to be tried: nothing is stored. `settings` are tried in place of the integration's own."""

    body: Any
    settings: RulesDraft | None = None


class SaidView(msgspec.Struct):
    """What a payload says, as Tocsin would take it."""

    action: str
    dedup_key: str | None
    summary: str | None
    description: str | None
    severity: str | None
    asset: str | None
    labels: Mapping[str, str]


class TrialAnswer(msgspec.Struct):
    """`problem` says why nothing could be read, or the first of several things that could not."""

    reports: list[SaidView]
    problem: str | None


def integration_view(each: Integration, dialect: Dialect, base: str) -> IntegrationView:
    """An integration as admins and operators see it; `base` is where this server is reached."""
    values = asdict(each.rules)
    settings = RulesDraft("resolve" if values.pop("ends_what_is_taken") else "note", **values)
    return IntegrationView(
        each.id,
        each.name,
        each.dialect,
        each.source,
        each.partner,
        settings,
        each.sealed is not None,
        base + dialect.paths[0].path,
        rfc3339(each.created_at),
        rfc3339_or_none(each.rotated_at),
        rfc3339_or_none(each.former_until),
        rfc3339_or_none(each.removed_at),
    )


def new_view(new: NewIntegration, dialect: Dialect, base: str) -> NewIntegrationAnswer:
    """The same with its key and what to paste."""
    return NewIntegrationAnswer(integration_view(new.integration, dialect, base), new.key, lines(new, dialect, base))


def lines(new: NewIntegration, dialect: Dialect, base: str) -> str:
    """What to paste into the sender; where it is to sign, also how."""
    signing = getattr(dialect, "signing", None)
    how = signing(new.integration.rules) if signing is not None and new.integration.sealed is not None else ""
    return dialect.lines(base, new.key) + how


def report_view(report: Report) -> ReportView:
    return ReportView(report.id, rfc3339(report.received_at), **_but(asdict(report), "id", "received_at"))


def raw_view(payload: Payload | None) -> RawView | None:
    if payload is None:
        return None
    try:
        body, encoding = payload.body.decode(), "utf-8"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(payload.body).decode(), "base64"
    return RawView(payload.target, body, encoding, payload.size, payload.whole)


def taken_view(taken: Taken) -> TakenView:
    return TakenView(taken.report_id, taken.outcome, taken.reason, taken.incident_id, taken.dedup_key)


def said_view(said: Said) -> SaidView:
    return SaidView(said.action, said.dedup_key, said.summary, said.description, said.severity, said.asset, said.labels)


def _but(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
