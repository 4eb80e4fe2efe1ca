"""Integrations, reports, and what may stand in them. Pure.

A dialect turns a request into `Said`, one for each thing that the sender says; everything after that is the same for
all of them.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from tocsin.incidents.model import (
    LONGEST_ASSET,
    LONGEST_DESCRIPTION,
    LONGEST_SUMMARY,
    MOST_LABELS,
    SEVERITIES,
    cut,
    first_line,
)
from tocsin.incidents.reported import Action, Sender
from tocsin.kit.errors import Invalid

# Bytes of a dedup key in UTF-8. With its owner it must fit an entry of PostgreSQL's indexes: 2,704 bytes.
LONGEST_KEY = 2048
READABLE = 200  # characters of a longer one that stay readable
LONGEST_NAME = 200
LONGEST_REASON = 300
LONGEST_SENDER = 200
LABEL_NAME, LABEL_VALUE = 256, 768  # characters; together at most 1 KiB of plain text
SEARCHED = 2048  # characters of the words in which an asset's pattern is looked for

ODD = re.compile("[\0\ud800-\udfff]")

Source = Literal["monitoring", "partner", "operator"]


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a sender says, in our words. `raw` is a body that says this alone, so it can be replayed."""

    action: Action
    raw: bytes
    dedup_key: str | None = None
    incident_id: int | None = None
    summary: str | None = None
    description: str | None = None
    severity: str | None = None
    asset: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    words: str | None = None  # of a note


@dataclass(frozen=True, slots=True)
class Rules:
    """What an integration was told to do with what comes in."""

    ends_what_is_taken: bool = True
    severity: str | None = None  # where the sender says none
    asset_label: str | None = None
    asset_pattern: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    signature_header: str | None = None
    timestamp_header: str | None = None


@dataclass(frozen=True, slots=True)
class Integration:
    """A door for machines. `source` and `partner` are those of the incidents that it opens."""

    id: int
    name: str
    dialect: str
    source: str
    partner_id: int | None
    partner: str | None
    secret_hash: bytes
    former_hash: bytes | None
    former_until: datetime | None
    rules: Rules
    sealed: bytes | None
    created_at: datetime
    rotated_at: datetime | None
    removed_at: datetime | None

    @property
    def owner(self) -> str:
        """Whose dedup keys come in by this door."""
        return f"i{self.id}"

    @property
    def sender(self) -> Sender:
        return Sender(
            self.owner,
            self.source,
            integration_id=self.id,
            partner_id=self.partner_id,
            partner=self.partner,
            ends_what_is_taken=self.rules.ends_what_is_taken,
        )


@dataclass(frozen=True, slots=True)
class NewIntegration:
    """An integration just made or rotated, with its key in clear: shown this once."""

    integration: Integration
    key: str


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a source said, as it is kept. `outcome` and `reason` say what came of it."""

    id: int
    received_at: datetime
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


@dataclass(frozen=True, slots=True)
class Payload:
    """What a report looked like. `size` bytes came in; `body` has fewer where the cap was lower."""

    target: str
    body: bytes
    size: int

    @property
    def whole(self) -> bool:
        return len(self.body) == self.size


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one thing that was said; `incident_id` and `dedup_key` are None where there is none."""

    report_id: int
    outcome: str
    reason: str
    incident_id: int | None
    dedup_key: str | None
    action: str


def new_key() -> str:
    """32 characters, as PagerDuty's routing keys have: 128 random bits."""
    return secrets.token_hex(16)


def tidy(text: str | None) -> str | None:
    """Text that every database takes: NUL and half surrogates become U+FFFD."""
    return None if text is None else ODD.sub("\ufffd", text)


def fitting(key: str | None) -> str | None:
    """A dedup key that fits: of a longer one the beginning and its SHA-256, so that two troubles stay two."""
    if key is None or len(key) * 4 <= LONGEST_KEY or len(key.encode()) <= LONGEST_KEY:
        return key
    return f"{key[:READABLE]}\u2026{hashlib.sha256(key.encode()).hexdigest()}"


def whole(said: Said, rules: Rules) -> Said:
    """The same in good order: text tidied and cut to our sizes, the integration's own rules applied."""
    labels = {
        cut(tidy(name) or "", LABEL_NAME): cut(tidy(value) or "", LABEL_VALUE)
        for name, value in list(said.labels.items())[:MOST_LABELS]
    }
    described = cut(tidy(said.description) or "", LONGEST_DESCRIPTION) if said.description is not None else None
    summary = first_line(tidy(said.summary) or "", LONGEST_SUMMARY) or None
    asset = _asset(said, labels, rules, summary, described)
    return replace(
        said,
        dedup_key=fitting(tidy(said.dedup_key)) or None,
        summary=summary,
        description=described,
        severity=said.severity or (rules.severity if said.action == "trigger" else None),
        asset=first_line(tidy(asset) or "", LONGEST_ASSET) or None,
        labels=labels,
        words=cut(tidy(said.words) or "", LONGEST_DESCRIPTION) if said.words is not None else None,
    )


def _asset(
    said: Said, labels: Mapping[str, str], rules: Rules, summary: str | None, described: str | None
) -> str | None:
    """By the label or the pattern that the integration names, else what the dialect found."""
    if rules.asset_label is not None and (named := labels.get(rules.asset_label)):
        return named
    if rules.asset_pattern is not None:
        words = f"{summary or ''}\n{described or ''}"[:SEARCHED]
        if match := re.search(rules.asset_pattern, words):
            return match[match.lastindex or 0]
    return said.asset


def good_rules(rules: Rules) -> Rules:
    """`rules` if they can be followed; `Invalid` names what cannot."""
    if rules.severity is not None and rules.severity not in SEVERITIES:
        raise Invalid.field("settings.severity", f"must be one of {', '.join(reversed(SEVERITIES))}")
    if rules.asset_pattern is not None:
        try:
            re.compile(rules.asset_pattern)
        except re.error as problem:
            raise Invalid.field("settings.asset_pattern", f"is no regular expression: {problem}") from None
    return rules


def good_name(name: str) -> str:
    """`name` if it is one short line."""
    if not name.strip() or len(name) > LONGEST_NAME or "\n" in name:
        raise Invalid.field("name", f"must be one line of 1 to {LONGEST_NAME} characters")
    return name.strip()
