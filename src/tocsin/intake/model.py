"""Integrations, reports, and what may stand in them. Pure.

A dialect turns a request into `Said`, one for each thing that the sender says; everything after that is the same for
all of them.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Literal

import msgspec
import regex

from tocsin.incidents.model import (
    LONGEST_ASSET,
    LONGEST_DESCRIPTION,
    LONGEST_LABEL,
    LONGEST_SUMMARY,
    MOST_LABELS,
    SEVERITIES,
    cut,
    first_line,
)
from tocsin.incidents.reported import Action, Sender, headed
from tocsin.kit.errors import Invalid

# Bytes of a dedup key in UTF-8. With its owner it must fit an entry of PostgreSQL's indexes: 2,704 bytes.
LONGEST_KEY = 2048
READABLE = 200  # characters of a longer one that stay readable
LONGEST_NAME = 200
LONGEST_REASON = 300
LONGEST_SENDER = 200
LONGEST_LABEL_NAME = 256  # bytes; with its value a label may have `LONGEST_LABEL` of them
SEARCHED = 2048  # characters of the words in which an asset's pattern is looked for
PATIENCE = 0.05  # seconds for that: the event loop stands still meanwhile
MOST_TRIES = 4  # patterns of one request that may take so long; in the rest of it they are not looked for

WIDEST = 4  # bytes of a character in UTF-8, at most
ODD = re.compile("[\0\ud800-\udfff]")

Source = Literal["monitoring", "partner", "operator"]


class Said(msgspec.Struct, frozen=True):
    """One thing that a sender says, in our words. `raw` is a body that says this alone, so it can be replayed."""

    action: Action
    raw: bytes
    dedup_key: str | None = None
    incident_id: int | None = None
    summary: str | None = None
    description: str | None = None
    severity: str | None = None
    asset: str | None = None
    labels: Mapping[str, str] = {}
    relabel: Mapping[str, str | None] = {}  # of an amendment: None takes a label away
    retag: Mapping[str, bool] = {}  # likewise: tags that come and tags that go
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


class Taken(msgspec.Struct, frozen=True):
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
    if text is None or (text.isascii() and "\0" not in text):  # most text; the pattern takes four times as long
        return text
    return ODD.sub("\ufffd", text)


class Pattern:
    """An integration's asset pattern, for one request. It may be one that backtracks for hours: time ends it."""

    def __init__(self, pattern: str | None) -> None:
        self._pattern = pattern
        self._tries = MOST_TRIES

    def found_in(self, *lines: str | None) -> str | None:
        """The first group that takes part in the first match, else all of the match; None where there is none."""
        if self._pattern is None or not self._tries:
            return None
        words = "\n".join(line or "" for line in lines)
        try:
            match = regex.search(self._pattern, words[:SEARCHED], timeout=PATIENCE)
        except TimeoutError:
            self._tries -= 1
            return None
        except regex.error:  # it was good for `re`, which took it once
            return None
        if match is None:
            return None
        found: str = next((group for group in match.groups() if group), match[0])
        return found


def fitting(key: str | None) -> str | None:
    """A dedup key that fits: of a longer one the beginning and its SHA-256, so that two troubles stay two."""
    if key is None or len(key) * WIDEST <= LONGEST_KEY or len(key.encode()) <= LONGEST_KEY:
        return key
    return f"{key[:READABLE]}\u2026{hashlib.sha256(key.encode()).hexdigest()}"


def whole(said: Said, rules: Rules, pattern: Pattern) -> Said:
    """The same in good order: text tidied and cut to our sizes, the integration's own rules applied."""
    labels = dict([good_label(name, value) for name, value in islice(said.labels.items(), MOST_LABELS)])
    full = (tidy(said.summary) or "").strip()
    summary = first_line(full, LONGEST_SUMMARY) or None
    described = headed(full if full != summary else None, tidy(said.description))
    described = cut(described, LONGEST_DESCRIPTION) if described is not None else None
    named = labels.get(rules.asset_label) if rules.asset_label is not None else None
    asset = named or pattern.found_in(summary, described) or said.asset
    return msgspec.structs.replace(
        said,
        dedup_key=fitting(tidy(said.dedup_key)) or None,
        summary=summary,
        description=described,
        severity=said.severity or (rules.severity if said.action == "trigger" else None),
        asset=first_line(tidy(asset) or "", LONGEST_ASSET) or None,
        labels=labels,
        relabel=_good_changes(said.relabel) if said.relabel else said.relabel,
        retag={tidy(tag) or "": comes for tag, comes in said.retag.items()},
        words=cut(tidy(said.words) or "", LONGEST_DESCRIPTION) if said.words is not None else None,
    )


def _good_changes(relabel: Mapping[str, str | None]) -> dict[str, str | None]:
    """Labels that come and labels that go, in good order."""
    return {
        **{good_label(name, "")[0]: None for name, value in relabel.items() if value is None},
        **dict(good_label(name, value) for name, value in relabel.items() if value is not None),
    }


def good_label(name: str, value: str) -> tuple[str, str]:
    """A label that every store takes: both cut to whole characters within their bytes."""
    both = name + value
    if len(both) <= LONGEST_LABEL_NAME and both.isascii() and "\0" not in both:
        return name, value
    short = cut_bytes(tidy(name) or "", LONGEST_LABEL_NAME)
    return short, cut_bytes(tidy(value) or "", LONGEST_LABEL - len(short.encode()))


def cut_bytes(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, and no half character; a cut is seen."""
    if len(text) * WIDEST <= most:
        return text
    whole = text.encode()
    if len(whole) <= most:
        return text
    return whole[: most - len("…".encode())].decode(errors="ignore") + "…"


def good_rules(rules: Rules) -> Rules:
    """`rules` if they can be followed; `Invalid` names what cannot."""
    if rules.severity is not None and rules.severity not in SEVERITIES:
        raise Invalid.field("settings.severity", f"must be one of {', '.join(reversed(SEVERITIES))}")
    if rules.asset_pattern is not None:
        try:
            regex.compile(rules.asset_pattern)
        except (regex.error, RecursionError, OverflowError, MemoryError) as problem:
            raise Invalid.field("settings.asset_pattern", f"is no regular expression: {problem}") from None
    return rules


def good_name(name: str) -> str:
    """`name` if it is one short line."""
    if not name.strip() or len(name) > LONGEST_NAME or "\n" in name:
        raise Invalid.field("name", f"must be one line of 1 to {LONGEST_NAME} characters")
    return name.strip()
