"""What drafts mean: an integration to be made, a report of one's own, a payload to be tried or taken in once more."""

from collections.abc import Mapping

import msgspec

from tocsin.access.call import Call
from tocsin.access.model import Principal
from tocsin.db.engine import Database
from tocsin.db.transaction import Actor
from tocsin.incidents import model as incidents
from tocsin.incidents.model import LONGEST_DESCRIPTION, SOURCES
from tocsin.incidents.reported import Sender
from tocsin.intake import actions, model, store
from tocsin.intake.dialect import Dialect, NotUnderstood, Received, Unread
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.doors import Payloads
from tocsin.intake.model import Integration, Report, Rules, Said, new_key
from tocsin.intake.receive import aside
from tocsin.intake.shapes import (
    IntegrationDraft,
    IntegrationEdit,
    ReportDraft,
    RulesDraft,
    Trial,
    TrialAnswer,
    said_view,
)
from tocsin.intake.wishes import again, items, wishes_of
from tocsin.kit.errors import AlreadyThere, Invalid, NotFound
from tocsin.kit.keyring import Keyring

OWN = "POST /api/reports"
OWN_ACTIONS = ("trigger", "acknowledge", "resolve")
SHORTEST_SIGNING_SECRET = 8


def base_of(call: Call) -> str:
    """Where this server is reached, as it is written into what users paste."""
    settings = call.service.settings
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    host = call.headers_seen.get(b"host", f"{settings.host}:{settings.port}".encode()).decode("latin-1")
    return f"{call.scope['scheme']}://{host}"


def new_integration(
    draft: IntegrationDraft, by: Actor, keyring: Keyring, request_id: str | None = None
) -> actions.CreateIntegration:
    """The wish that a draft means; raises `Invalid`."""
    if draft.dialect not in DIALECTS:
        raise Invalid.field("dialect", f"must be one of {', '.join(DIALECTS)}")
    if draft.source not in SOURCES:
        raise Invalid.field("source", f"must be one of {', '.join(SOURCES)}")
    sealed = _sealed(draft.signing_secret, draft.dialect, keyring)
    rules = good_rules(draft.settings, draft.dialect)
    return actions.CreateIntegration(
        draft.name, draft.dialect, draft.source, draft.partner, rules, new_key(), by, sealed, request_id
    )


def changed_integration(
    before: Integration, edit: IntegrationEdit, by: Actor, keyring: Keyring, request_id: str | None = None
) -> actions.ChangeIntegration:
    """The wish that an edit means; raises `Invalid`."""
    rules = None if edit.settings is None else good_rules(edit.settings, before.dialect)
    sealed = _sealed(edit.signing_secret, before.dialect, keyring)
    return actions.ChangeIntegration(before.id, edit.name, rules, by, request_id, sealed)


def _sealed(secret: str | None, dialect: str, keyring: Keyring) -> bytes | None:
    """A sender's signing secret as it is kept; raises `Invalid`."""
    if secret is None:
        return None
    if not hasattr(DIALECTS[dialect], "signed"):
        raise Invalid.field("signing_secret", f"is not for `{dialect}`: its senders do not sign")
    if len(secret) < SHORTEST_SIGNING_SECRET:
        raise Invalid.field("signing_secret", f"must have at least {SHORTEST_SIGNING_SECRET} characters")
    return keyring.seal({"signing": secret})


def good_rules(draft: RulesDraft, dialect: str) -> Rules:
    """The rules that a draft means; raises `Invalid`."""
    if draft.when_taken not in ("resolve", "note"):
        raise Invalid.field("settings.when_taken", "must be resolve or note")
    checked = getattr(DIALECTS[dialect], "checked_mapping", None)
    if draft.mapping and checked is None:
        raise Invalid.field("settings.mapping", f"is not for `{dialect}`: only the dialect `generic` has one")
    mapping: Mapping[str, str] = checked(draft.mapping) if checked is not None and draft.mapping else {}
    rules = Rules(
        ends_what_is_taken=draft.when_taken == "resolve",
        severity=draft.severity,
        asset_label=draft.asset_label,
        asset_pattern=draft.asset_pattern,
        mapping=mapping,
        signature_header=draft.signature_header,
        timestamp_header=draft.timestamp_header,
    )
    return model.good_rules(rules)


def own_report(draft: ReportDraft, call: Call) -> actions.Take:
    """A report in our own words, by the key that sends it."""
    agent = model.tidy(call.headers_seen.get(b"user-agent", b"").decode("latin-1")[: model.LONGEST_SENDER]) or None
    keep = call.service.part(Payloads).keep
    sender = _sender(call.principal, draft.source)
    return actions.Take(sender, _own_said(draft, call.raw_body), OWN, agent, call.request_id, keep=keep)


async def replay(db: Database, report: Report, request_id: str | None, keep: int) -> list[actions.Take]:
    """A kept report as wishes once more; raises `AlreadyThere` where its payload is gone or was cut."""
    payload = await db.read(store.payload_of, report.id)
    if payload is None:
        raise AlreadyThere("No raw payload of this report is kept (any more), so it cannot be taken in again.")
    if not payload.whole:
        raise AlreadyThere(
            f"Only the first {len(payload.body):,} of its {payload.size:,} bytes were kept (`TOCSIN_RAW_CAP`), "
            "so it cannot be taken in again; its sender can send it again."
        )
    request = again(payload.target, payload.body, report.request_id)
    if report.integration_id is None:
        raise AlreadyThere("A report by a key's own words is sent again by its sender, with `POST /api/reports`.")
    integration = await db.read(store.one, report.integration_id)
    if integration is None or integration.removed_at is not None:
        raise NotFound("The integration that it came in by is removed.")
    return await aside(request.body, wishes_of, integration, request, request_id, keep, report.id)


def tried(integration: Integration, trial: Trial) -> TrialAnswer:
    """What a payload would say; nothing is stored."""
    dialect = DIALECTS[integration.dialect]
    rules = integration.rules if trial.settings is None else good_rules(trial.settings, integration.dialect)
    try:
        said = read_once(dialect, rules, msgspec.json.encode(trial.body))
    except NotUnderstood as refusal:
        return TrialAnswer([], str(refusal))
    unread = [each.why for each in said if isinstance(each, Unread)]
    return TrialAnswer([said_view(each) for each in said if isinstance(each, Said)], unread[0] if unread else None)


def read_once(dialect: Dialect, rules: Rules, body: bytes) -> list[Said | Unread]:
    """What a body at the dialect's first path would say; raises `NotUnderstood`."""
    first = dialect.paths[0]
    return items(dialect, rules, Received(first.methods.split()[0], first.path, {}, {}, body))


def _sender(who: Principal, source: str | None) -> Sender:
    """Who reports: a key, under the one source that its role has, or the one that it names."""
    usual = {"monitoring": "monitoring", "partner": "partner"}.get(who.role, "operator")
    named = incidents.good_source(source if source is not None else usual)
    incidents.may_file(who, named, None)
    owner = f"k{who.key_id if who.key_id is not None else ''}"
    return Sender(owner, named, who.key_id, None, who.partner_id, who.partner)


def _own_said(draft: ReportDraft, raw: bytes) -> Said:
    if draft.action not in OWN_ACTIONS:
        raise Invalid.field("action", f"must be one of {', '.join(OWN_ACTIONS)}")
    if draft.action == "trigger" and not (draft.summary or draft.description):
        raise Invalid.field("summary", "or a description is needed: say what is wrong")
    if draft.action != "trigger" and not draft.dedup_key:
        raise Invalid.field("dedup_key", f"is needed to {draft.action} something")
    if draft.dedup_key is not None and not 1 <= len(draft.dedup_key.encode()) <= model.LONGEST_KEY:
        raise Invalid.field("dedup_key", f"must have 1 to {model.LONGEST_KEY:,} bytes in UTF-8")
    if len(draft.description or "") > LONGEST_DESCRIPTION:
        raise Invalid.field("description", f"must have at most {LONGEST_DESCRIPTION:,} characters")
    if draft.severity is not None:
        incidents.good_severity(draft.severity)
    return Said(
        draft.action,  # type: ignore[arg-type]
        raw,
        draft.dedup_key,
        summary=incidents.good_summary(draft.summary),
        description=draft.description,
        severity=draft.severity,
        asset=incidents.good_asset(draft.asset),
        labels=incidents.good_labels(draft.labels),
    )
