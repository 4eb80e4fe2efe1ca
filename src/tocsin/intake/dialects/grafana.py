"""Grafana's alerting webhook, signed if you like, and the one that it sent before version 9. Pure."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tocsin.intake.dialect import NotUnderstood, Path, Received, Unread
from tocsin.intake.dialects import reading
from tocsin.intake.dialects.alertmanager import ASSETS, SEVERITIES, alerts
from tocsin.intake.model import Rules, Said

SIGNATURE = "X-Grafana-Alerting-Signature"
# A signed request that somebody has seen is good for so long, and no longer.
FRESH = timedelta(minutes=5)
OVER = ("ok", "paused")
ACTIVE = ("alerting", "no_data", "pending", "unknown")


class Grafana(reading.Webhook):
    """One report for each alert of a group, or the one rule of an old body."""

    name = "grafana"
    title = "Grafana alerting webhook"
    paths = (Path("POST PUT", "/in/grafana"),)

    def read(self, request: Received, rules: Rules) -> Sequence[Said | Unread]:
        body = reading.fields(request)
        if "alerts" not in body and "ruleId" in body:
            return [_rule(body, request.body)]
        return alerts(body, reading.room(request.body))

    def signed(self, request: Received, secret: str, rules: Rules, at: datetime) -> bool:
        """Whether the body carries the signature; with a timestamp header, that is signed before it, and is fresh."""
        given = request.headers.get((rules.signature_header or SIGNATURE).lower(), "")
        body = request.body
        if rules.timestamp_header is not None:
            stamp = request.headers.get(rules.timestamp_header.lower(), "")
            if not _fresh(stamp, at):
                return False
            body = stamp.encode("latin-1") + b":" + body
        made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(given.strip().lower().encode("latin-1"), made.encode())

    def lines(self, url: str, key: str) -> str:
        return "\n".join(
            (
                "# Alerting › Contact points › Add: the integration Webhook, with these fields",
                f"URL: {url}/in/grafana",
                "HTTP Method: POST",
                "Authorization Header - Scheme: Bearer",
                f"Authorization Header - Credentials: {key}",
            )
        )

    def signing(self, rules: Rules) -> str:
        """The lines that `lines` needs more where the integration has a signing secret."""
        told = [
            "",
            "HMAC Signature - Secret: the signing secret that this integration was given",
            f"HMAC Signature - Header: {rules.signature_header or SIGNATURE}",
        ]
        if rules.timestamp_header is not None:
            told.append(f"HMAC Signature - Timestamp Header: {rules.timestamp_header}")
        return "\n".join(told)


def _fresh(stamp: str, at: datetime) -> bool:
    """Whether a time in seconds since 1970 is about now."""
    plain = stamp.strip()
    return plain.isdecimal() and len(plain) < 20 and abs(int(plain) - at.timestamp()) <= FRESH.total_seconds()


def _rule(body: Mapping[str, Any], raw: bytes) -> Said:
    """A body as it was until Grafana 8: one rule, with the values that matched."""
    state = (reading.text(body.get("state")) or "alerting").lower()
    if state not in OVER + ACTIVE:
        raise NotUnderstood(f"state must be one of {', '.join(ACTIVE + OVER)}")
    key = _rule_key(body)
    if state in OVER:
        return Said("resolve", raw, key)
    matched = [each for each in reading.many(body.get("evalMatches")) if isinstance(each, dict)]
    tags = reading.flat(body.get("tags"))
    series = [reading.flat(each.get("tags")) for each in matched]
    return Said(
        "trigger",
        raw,
        key,
        summary=reading.first(body.get("title"), body.get("ruleName")) or "A rule of Grafana",
        description=reading.paragraph(
            reading.text(body.get("message")),
            *(_value(each, below) for each, below in zip(matched, series, strict=True)),
            reading.text(body.get("ruleUrl")),
        ),
        severity=reading.graded(tags.get("severity"), SEVERITIES),
        asset=reading.first(*(each.get(name) for each in (tags, *series) for name in ASSETS)),
        labels=tags,
    )


def _rule_key(body: Mapping[str, Any]) -> str:
    """The rule's id; where that is null, its address or name: two rules are two troubles."""
    id = reading.text(body.get("ruleId"))
    key = f"rule/{id}" if id else reading.first(body.get("ruleUrl"), body.get("ruleName"))
    if key is None:
        raise NotUnderstood("ruleId is needed, or ruleUrl or ruleName in its place")
    return key


def _value(matched: Mapping[str, Any], series: Mapping[str, str]) -> str | None:
    """A value that matched, by its metric; without one, by what its series is labelled with."""
    named = reading.text(matched.get("metric")) or ", ".join(f"{name} {words}" for name, words in series.items())
    return ": ".join(words for words in (named, reading.text(matched.get("value"))) if words) or None


GRAFANA = Grafana()
