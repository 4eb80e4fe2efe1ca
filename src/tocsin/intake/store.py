"""How integrations, reports and raw payloads are kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, update

from tocsin.access.store import raise_version
from tocsin.db.among import among
from tocsin.db.schema import integration, partner, payload, report
from tocsin.db.transaction import Reader, Writer
from tocsin.intake.model import Integration, Payload, Report, Rules
from tocsin.timeline.model import canonical


def integrations(reader: Reader) -> list[Integration]:
    """Every integration there ever was, oldest first."""
    return [_integration(row) for row in reader.rows(INTEGRATIONS.order_by(integration.c.id))]


def one(reader: Reader, integration_id: int) -> Integration | None:
    """One integration."""
    row = reader.row(INTEGRATIONS.where(integration.c.id == bindparam("id")), {"id": integration_id})
    return None if row is None else _integration(row)


def add(tx: Writer, values: Mapping[str, Any], rules: Rules) -> int:
    """A new integration; its id."""
    (new,) = tx.insert(integration, [{**values, "settings": written(rules)}])
    raise_version(tx)
    return new


def change(tx: Writer, integration_id: int, values: Mapping[str, Any]) -> None:
    """New values for some columns; every process hears of it within a second."""
    tx.run(update(integration).where(integration.c.id == integration_id).values(values))
    raise_version(tx)


def written(rules: Rules) -> str:
    """Rules as they are kept: only what differs from the usual."""
    usual = asdict(Rules())
    return canonical({name: value for name, value in asdict(rules).items() if value != usual[name]})


def add_reports(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """New reports; their ids in the same order."""
    return tx.insert(report, rows)


def add_payloads(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """What they looked like."""
    if rows:
        tx.add(payload, rows)


def reports_of_integration(reader: Reader, integration_id: int, before: int | None, limit: int) -> list[Report]:
    """An integration's log, newest first, before an id."""
    newest = REPORTS.where(report.c.integration_id == bindparam("integration")).order_by(report.c.id.desc())
    return _page(reader, newest, {"integration": integration_id}, before, limit)


def reports_of_incident(reader: Reader, incident_id: int, before: int | None, limit: int) -> list[Report]:
    """What was reported of an incident, newest first, before an id."""
    newest = REPORTS.where(report.c.incident_id == bindparam("incident")).order_by(report.c.id.desc())
    return _page(reader, newest, {"incident": incident_id}, before, limit)


def notes_of_incident(reader: Reader, incident_id: int, limit: int) -> list[Report]:
    """The notes that sources sent about an incident, alone or with what they did, newest first."""
    notes = REPORTS.where(report.c.incident_id == bindparam("incident"), report.c.words.is_not(None), THEIR_NOTES)
    return _page(reader, notes.order_by(report.c.id.desc()), {"incident": incident_id}, None, limit)


def reports_of_request(reader: Reader, integration_id: int, request_id: str) -> list[Report]:
    """What one request of an integration said."""
    theirs = REPORTS.where(report.c.request_id == bindparam("request"), report.c.integration_id == integration_id)
    return [Report(*row) for row in reader.rows(theirs.order_by(report.c.id), {"request": request_id})]


def report_by_id(reader: Reader, report_id: int) -> Report | None:
    """One report."""
    row = reader.row(REPORTS.where(report.c.id == bindparam("id")), {"id": report_id})
    return None if row is None else Report(*row)


def payload_of(reader: Reader, report_id: int) -> Payload | None:
    """What a report looked like; None where that was not kept, or no longer is."""
    row = reader.row(PAYLOAD, {"report": report_id})
    return None if row is None else Payload(row.target, bytes(row.body), row.size)


def payloads_before(reader: Reader, moment: datetime, limit: int) -> list[int]:
    """The oldest payloads that came before this moment, by their reports' ids."""
    return [row.report_id for row in reader.rows(OLD_PAYLOADS, {"before": moment, "limit": limit})]


def forget_payloads(tx: Writer, report_ids: Sequence[int]) -> None:
    """These payloads go; the reports stay."""
    if report_ids:
        tx.run(FORGOTTEN, {"reports": list(report_ids)})


def _page(reader: Reader, statement: Any, values: Mapping[str, Any], before: int | None, limit: int) -> list[Report]:
    if before is not None:
        statement = statement.where(report.c.id < bindparam("before"))
        values = {**values, "before": before}
    return [Report(*row) for row in reader.rows(statement.limit(bindparam("limit")), {**values, "limit": limit})]


def _integration(row: Any) -> Integration:
    rules = Rules(**json.loads(row.settings))
    values: list[Any] = [*row[:RULES], rules, *row[RULES + 1 :]]
    return Integration(*values)


INTEGRATIONS = select(
    integration.c.id,
    integration.c.name,
    integration.c.dialect,
    integration.c.source,
    integration.c.partner_id,
    partner.c.slug,
    integration.c.secret_hash,
    integration.c.former_hash,
    integration.c.former_until,
    integration.c.settings,
    integration.c.sealed,
    integration.c.created_at,
    integration.c.rotated_at,
    integration.c.removed_at,
).select_from(integration.outerjoin(partner))
RULES = 9  # the place of the rules among an integration's columns
REPORTS = select(
    report.c.id,
    report.c.received_at,
    report.c.integration_id,
    report.c.key_id,
    report.c.action,
    report.c.outcome,
    report.c.reason,
    report.c.incident_id,
    report.c.dedup_key,
    report.c.summary,
    report.c.words,
    report.c.severity,
    report.c.sender,
    report.c.request_id,
    report.c.replay_of,
)
# The words of an amendment that was only noted are a description, and no note: see `actions._unheard`.
THEIR_NOTES = or_(report.c.action != "amend", report.c.outcome != "noted")
PAYLOAD = select(payload.c.target, payload.c.body, payload.c.size).where(payload.c.report_id == bindparam("report"))
FORGOTTEN = delete(payload).where(among(payload.c.report_id, "reports"))
OLD_PAYLOADS = (
    select(payload.c.report_id)
    .where(payload.c.received_at < bindparam("before"))
    .order_by(payload.c.received_at)
    .limit(bindparam("limit"))
)
