"""What `query` may ask of Opsgenie's list of alerts. Pure.

A search that is not understood is refused and never ignored: a script that closes what it finds would close everything.
"""

import re
from typing import Any

from tocsin.intake.dialect import NotUnderstood
from tocsin.intake.dialects import reading

TERM = re.compile(r'\s*(?:AND\s+)?(\w+)\s*[:=]\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"()*]+))(?=\s|$)\s*', re.IGNORECASE)
ESCAPED = re.compile(r"\\(.)")
KNOWN = "status: open or closed, alias: …, priority: P1 to P5, joined by AND"


def asked(query: str, severities: reading.Words) -> dict[str, Any]:
    """What a `Look` narrows a list by: `active`, `dedup_key`, `severity`; raises `NotUnderstood`."""
    found: dict[str, Any] = {}
    at = 0
    while query[at:].strip():
        term = TERM.match(query, at)
        if term is None:
            raise NotUnderstood(f"query is not understood from `{query[at : at + 40].strip()}` on: it may say {KNOWN}")
        quoted, bare = term[2], term[3]
        name, value = _narrowed(term[1].lower(), bare if quoted is None else ESCAPED.sub(r"\1", quoted), severities)
        if found.setdefault(name, value) != value:
            raise NotUnderstood(f"query says {term[1]} twice, and nothing is both")
        at = term.end()
    return found


def _narrowed(field: str, value: str, severities: reading.Words) -> tuple[str, Any]:
    plain = value.strip().lower()
    match field:
        case "status" if plain in ("open", "closed"):
            return "active", plain == "open"
        case "alias":
            return "dedup_key", value
        case "priority" if plain in severities:
            return "severity", severities[plain]
    raise NotUnderstood(f"query has `{field}: {value[:40]}`, and may say {KNOWN}")
