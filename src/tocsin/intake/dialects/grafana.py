"""Grafana's alerting webhook, signed if you like, and the one that it sent before version 9. Pure."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.intake.dialect import NotUnderstood, Path, Received, Unread
from tocsin.intake.dialects import reading
from tocsin.intake.dialects.alertmanager import alerts
from tocsin.intake.model import Rules, Said

SIGNATURE = "x-grafana-alerting-signature"
OVER = ("ok", "paused")
ACTIVE = ("alerting", "no_data", "pending", "unknown")


class Grafana(reading.Webhook):
    """One report for each alert of a group, or the one rule of an old body."""

    name = "grafana"
    title = "Grafana alerting webhook"
    paths = (Path("POST PUT", "/in/grafana"),)

    def read(self, request: Received, rules: Rules) -> Sequence[Said | Unread]:
        body = reading.fields(request.body)
        if "alerts" not in body and "ruleId" in body:
            return [_rule(body, request.body)]
        return alerts(body, reading.room(request.body))

    def signed(self, request: Received, secret: str, rules: Rules) -> bool:
        """Whether the body carries the signature; with a timestamp header, that is signed before it."""
        given = request.headers.get((rules.signature_header or SIGNATURE).lower(), "")
        body = request.body
        if rules.timestamp_header is not None:
            body = request.headers.get(rules.timestamp_header.lower(), "").encode("latin-1") + b":" + body
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


def _rule(body: Mapping[str, Any], raw: bytes) -> Said:
    """A body as it was until Grafana 8: one rule, with the values that matched."""
    state = (reading.text(body.get("state")) or "alerting").lower()
    if state not in OVER + ACTIVE:
        raise NotUnderstood(f"state must be one of {', '.join(ACTIVE + OVER)}")
    key = f"rule/{reading.text(body.get('ruleId'))}"
    if state in OVER:
        return Said("resolve", raw, key)
    matched = [each for each in reading.many(body.get("evalMatches")) if isinstance(each, dict)]
    return Said(
        "trigger",
        raw,
        key,
        summary=reading.first(body.get("title"), body.get("ruleName")) or "A rule of Grafana",
        description=reading.paragraph(
            reading.text(body.get("message")),
            *(f"{reading.text(each.get('metric'))}: {reading.text(each.get('value'))}" for each in matched),
            reading.text(body.get("ruleUrl")),
        ),
        labels=reading.flat(body.get("tags")),
    )


GRAFANA = Grafana()
