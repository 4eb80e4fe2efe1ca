"""What may be done with reports and integrations. Each function takes many wishes and gives one result for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from tocsin.access import store as access
from tocsin.access.model import hashed
from tocsin.db.transaction import Actor, Happening, Writer
from tocsin.incidents.reported import Sender, Signal
from tocsin.incidents.signals import Effect, receive
from tocsin.intake import model, store
from tocsin.intake.model import Integration, NewIntegration, Rules, Said, Taken
from tocsin.kit.errors import Invalid, NotFound, Problem

FORGET_AT_ONCE = 100  # in one transaction: below 1 MiB of write-ahead log, which a nearly full disk still has


class Take(msgspec.Struct, frozen=True):
    """One thing that a sender said, or with `refusal` something that could not be read; either way it is kept."""

    sender: Sender
    said: Said
    target: str
    user_agent: str | None = None
    request_id: str | None = None
    refusal: str | None = None
    replay_of: int | None = None
    keep: int = 65536  # bytes of the raw payload; less than 0: none, the disk is full


@dataclass(frozen=True, slots=True)
class CreateIntegration:
    """A door to be made. `sealed` holds the sender's signing secret, if it has one."""

    name: str
    dialect: str
    source: str
    partner: str | None
    rules: Rules
    key: str
    by: Actor
    sealed: bytes | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeIntegration:
    """Another name, other rules, another signing secret; None leaves as it is."""

    integration_id: int
    name: str | None
    rules: Rules | None
    by: Actor
    request_id: str | None = None
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class RotateIntegration:
    """A new key; the old one stays good for a while."""

    integration_id: int
    key: str
    overlap: timedelta
    by: Actor
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveIntegration:
    integration_id: int
    by: Actor
    request_id: str | None = None


def take(tx: Writer, wishes: Sequence[Take]) -> list[Taken]:
    """Reports: every one is kept, with what came of it and why."""
    good = [wish for wish in wishes if wish.refusal is None]
    effects = iter(receive(tx, [_signal(wish) for wish in good]))
    came = [None if wish.refusal is not None else next(effects) for wish in wishes]
    rows = [_row(tx, wish, effect) for wish, effect in zip(wishes, came, strict=True)]
    ids = store.add_reports(tx, rows)
    store.add_payloads(tx, [_payload(tx, wish, id) for wish, id in zip(wishes, ids, strict=True) if wish.keep >= 0])
    _tell(tx, wishes, came, ids)
    return [
        Taken(id, row["outcome"], row["reason"], row["incident_id"], row["dedup_key"], row["action"])
        for id, row in zip(ids, rows, strict=True)
    ]


def create_integration(tx: Writer, wishes: Sequence[CreateIntegration]) -> list[NewIntegration | Problem]:
    """New doors, each with its key in clear."""
    results: list[NewIntegration | Problem] = []
    for wish in wishes:
        try:
            results.append(_create(tx, wish))
        except Problem as refusal:
            results.append(refusal)
    return results


def change_integration(tx: Writer, wishes: Sequence[ChangeIntegration]) -> list[Integration | Problem]:
    """Other names, other rules."""
    results: list[Integration | Problem] = []
    for wish in wishes:
        try:
            results.append(_change(tx, wish))
        except Problem as refusal:
            results.append(refusal)
    return results


def rotate_integration(tx: Writer, wishes: Sequence[RotateIntegration]) -> list[NewIntegration | Problem]:
    """New keys; the old ones stay good for a while."""
    results: list[NewIntegration | Problem] = []
    for wish in wishes:
        try:
            before = _there(tx, wish.integration_id)
        except Problem as refusal:
            results.append(refusal)
            continue
        until = tx.now + wish.overlap if wish.overlap else None
        values = {
            "secret_hash": hashed(wish.key),
            "former_hash": before.secret_hash if until else None,
            "former_until": until,
            "rotated_at": tx.now,
        }
        results.append(NewIntegration(_changed(tx, before, values, "integration_rotated", wish), wish.key))
    return results


def remove_integration(tx: Writer, wishes: Sequence[RemoveIntegration]) -> list[Integration | Problem]:
    """Doors closed for good; their reports and incidents stay."""
    results: list[Integration | Problem] = []
    for wish in wishes:
        try:
            before = _there(tx, wish.integration_id)
        except Problem as refusal:
            results.append(refusal)
            continue
        values = {"removed_at": tx.now, "former_hash": None, "former_until": None}
        results.append(_changed(tx, before, values, "integration_removed", wish))
    return results


def forget_payloads(tx: Writer, wishes: Sequence[datetime]) -> list[int]:
    """Raw payloads from before these moments go, the oldest first, so many at once; how many went."""
    old = store.payloads_before(tx, max(wishes), FORGET_AT_ONCE)
    store.forget_payloads(tx, old)
    return [len(old) for _ in wishes]


def _signal(wish: Take) -> Signal:
    said = wish.said
    return Signal(
        said.action,
        wish.sender,
        said.dedup_key,
        said.incident_id,
        said.description,
        said.summary,
        said.severity,
        said.asset,
        said.labels,
        said.relabel,
        said.retag,
    )


def _row(tx: Writer, wish: Take, effect: Effect | None) -> dict[str, Any]:
    said = wish.said
    incident = effect.incident if effect is not None else None
    return {
        "received_at": tx.now,
        "integration_id": wish.sender.integration_id,
        "key_id": wish.sender.key_id,
        "action": said.action,
        "outcome": "refused" if effect is None else effect.heard.outcome,
        "reason": (wish.refusal or "")[: model.LONGEST_REASON] if effect is None else effect.heard.reason,
        "incident_id": incident.id if incident is not None else None,
        "dedup_key": said.dedup_key,
        "summary": said.summary,
        "words": said.words or _unheard(said, effect),
        "severity": said.severity,
        "sender": wish.user_agent,
        "request_id": wish.request_id,
        "replay_of": wish.replay_of,
    }


def _unheard(said: Said, effect: Effect | None) -> str | None:
    """What a source would have put in place of a person's words: nowhere else is it kept for good."""
    kept = effect is not None and said.action == "amend" and effect.heard.outcome == "noted"
    return said.description if kept else None


def _payload(tx: Writer, wish: Take, report_id: int) -> dict[str, Any]:
    raw = wish.said.raw
    return {
        "report_id": report_id,
        "received_at": tx.now,
        "target": wish.target,
        "body": raw[: wish.keep],
        "size": len(raw),
    }


def _tell(tx: Writer, wishes: Sequence[Take], came: Sequence[Effect | None], ids: Sequence[int]) -> None:
    """One entry for each change; repeats on one incident are counted into one."""
    repeats: dict[int, Happening] = {}
    for wish, effect, report_id in zip(wishes, came, ids, strict=True):
        if effect is None or effect.heard.kind is None or effect.incident is None:
            continue
        heard, incident_id = effect.heard, effect.incident.id
        refs = {"report": report_id}
        told = Happening(heard.kind or "", _actor(wish.sender), incident_id, heard.changes, refs, wish.request_id)
        before = repeats.pop(incident_id, None)
        if heard.kind == "reported":
            repeats[incident_id] = told if before is None else _together(before, told)
            continue
        if before is not None:
            tx.tell(before)
        tx.tell(replace(told, changes={"status": [None, "new"]}) if heard.kind == "filed" else told)
    for told in repeats.values():
        tx.tell(told)


def _together(first: Happening, last: Happening) -> Happening:
    changes = dict(last.changes)
    for name, (before, after) in first.changes.items():
        changes[name] = [before, changes[name][1] if name in changes else after]
    return replace(last, changes=changes)


def _actor(sender: Sender) -> Actor:
    if sender.integration_id is not None:
        return Actor("integration", sender.integration_id)
    return Actor("key", sender.key_id)


def _create(tx: Writer, wish: CreateIntegration) -> NewIntegration:
    name, rules = model.good_name(wish.name), model.good_rules(wish.rules)
    partner = None
    if (wish.source == "partner") != (wish.partner is not None):
        raise Invalid.field("partner", "is needed with source `partner`, and with that one only")
    if wish.partner is not None:
        partner = access.partners_by_slug(tx, [wish.partner]).get(wish.partner)
        if partner is None:
            raise Invalid.field("partner", "is not a partner here; `GET /api/partners` lists them")
    values = {
        "name": name,
        "dialect": wish.dialect,
        "source": wish.source,
        "partner_id": partner.id if partner is not None else None,
        "secret_hash": hashed(wish.key),
        "sealed": wish.sealed,
        "created_at": tx.now,
    }
    new = store.add(tx, values, rules)
    tx.tell(Happening("integration_created", wish.by, refs={"integration": new}, request_id=wish.request_id))
    return NewIntegration(_there(tx, new), wish.key)


def _change(tx: Writer, wish: ChangeIntegration) -> Integration:
    before = _there(tx, wish.integration_id)
    values: dict[str, Any] = {}
    if wish.name is not None:
        values["name"] = model.good_name(wish.name)
    if wish.rules is not None:
        values["settings"] = store.written(model.good_rules(wish.rules))
    if wish.sealed is not None:
        values["sealed"] = wish.sealed
    return _changed(tx, before, values, "integration_changed", wish) if values else before


def _changed(tx: Writer, before: Integration, values: dict[str, Any], kind: str, wish: Any) -> Integration:
    store.change(tx, before.id, values)
    tx.tell(Happening(kind, wish.by, refs={"integration": before.id}, request_id=wish.request_id))
    after = store.one(tx, before.id)
    assert after is not None
    return after


def _there(tx: Writer, integration_id: int) -> Integration:
    found = store.one(tx, integration_id)
    if found is None or found.removed_at is not None:
        raise NotFound("There is no integration with this id; `GET /api/integrations` lists them.")
    return found
