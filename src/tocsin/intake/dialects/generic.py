"""Any JSON: read by a mapping that the integration was given, else by the names that such bodies usually have. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tocsin.incidents.reported import Action
from tocsin.intake.dialect import NotUnderstood, Path, Received, Unread
from tocsin.intake.dialects import alertmanager, reading
from tocsin.intake.dialects.mapping import checked, found_at, leads_to_a_list, mapped
from tocsin.intake.model import Rules, Said
from tocsin.kit.errors import Invalid

SEVERITIES = {
    **alertmanager.SEVERITIES,
    "crit": "critical",
    "alert": "critical",
    "emerg": "critical",
    "err": "high",
    "urgent": "high",
    "normal": "medium",
    "moderate": "medium",
    "debug": "info",
    "1": "critical",
    "2": "high",
    "3": "medium",
    "4": "low",
    "5": "info",
}
ENDS = frozenset(
    [
        *("resolve", "resolved", "resolves", "ok", "okay", "up", "recover", "recovered", "recovery", "close", "closed"),
        *("clear", "cleared", "end", "ended", "done", "success", "successful", "healthy", "inactive", "false", "0"),
        *("green", "fixed"),
    ]
)
TAKES = frozenset({"acknowledge", "acknowledged", "ack", "acked"})
# Where each field stands when no mapping says so; the first that is there wins.
USUAL = {
    "action": ("action", "event_action", "status", "state", "event_type"),
    "dedup_key": ("dedup_key", "alias", "fingerprint", "incident_key", "alert_id", "event_id", "id", "key"),
    "summary": ("summary", "title", "message", "subject", "text", "msg", "name", "alertname"),
    "description": ("description", "details", "body", "message", "text"),
    "severity": ("severity", "priority", "level", "urgency"),
    "asset": ("asset", "device", "host", "hostname", "resource", "instance", "node", "entity", "service"),
}
NO_LABELS = frozenset(USUAL["summary"] + USUAL["description"])
ITEMS = "items"
# Stands around an item whose own fields `items` would find something in: its raw payload is taken in again as it is.
ALONE = "tocsin:item"
NOTHING_IN_IT = "the list that came is empty"
LABEL = "label."
MOST_MAPPED = 64 + len(USUAL) + 1


class Generic(reading.Webhook):
    """One report for a body, for each member of a list, or for each that `items` finds."""

    name = "generic"
    title = "any JSON"
    paths = (Path("POST PUT", "/in/generic"),)

    def read(self, request: Received, rules: Rules) -> Sequence[Said | Unread]:
        body = reading.parsed(request)
        path = rules.mapping.get(ITEMS)
        found = reading.few(_items(body, path))
        room = 4 * reading.room(request.body)  # numbers may be longer when they are written again
        said = [_one(item, raw, rules.mapping) for item, raw in _written(found, path, room)]
        return said or [Said("note", request.body, words=NOTHING_IN_IT)]

    def checked_mapping(self, mapping: Mapping[str, str]) -> Mapping[str, str]:
        """`mapping` if it can be followed; `Invalid` names what cannot."""
        if len(mapping) > MOST_MAPPED:
            raise Invalid.field("settings.mapping", f"may have at most {MOST_MAPPED} entries")
        for name, rule in mapping.items():
            if name != ITEMS and name not in USUAL and not (name.startswith(LABEL) and len(name) > len(LABEL)):
                known = ", ".join((*USUAL, ITEMS, f"{LABEL}<name>"))
                raise Invalid.field(f"settings.mapping.{name}", f"is not a field to map; these are: {known}")
            checked(name, rule)
        return mapping

    def lines(self, url: str, key: str) -> str:
        return "\n".join(
            (
                f"curl -X POST {url}/in/generic -H 'authorization: Bearer {key}' \\",
                "     -H 'content-type: application/json' \\",
                '     -d \'{"id": "pos/12", "status": "down", "title": "POS 12 does not answer", "severity": "high"}\'',
            )
        )


def _items(body: Any, path: str | None) -> list[Any]:
    """What a body holds: itself, its members, or what `items` finds in it. An empty list holds nothing."""
    if isinstance(body, dict) and body.keys() == {ALONE}:
        return [body[ALONE]]
    found = found_at(path, body) if path is not None else []
    if found:
        return [each for one in found for each in (one if isinstance(one, list) else [one])]
    if path is not None and leads_to_a_list(path, body):
        return []
    return body if isinstance(body, list) else [body]


def _written(items: list[Any], path: str | None, room: int) -> Iterator[tuple[Any, bytes]]:
    """Each item with its payload; a path such as `$..*` finds what it has found once more, each time as a whole."""
    for item in items:
        raw = _raw(item, path)
        room -= len(raw)
        if room < 0:
            raise NotUnderstood("the mapping's `items` finds things that stand within each other")
        yield item, raw


def _raw(item: Any, path: str | None) -> bytes:
    """A body that says this item alone."""
    alone = _items(item, path)
    return reading.written(item if len(alone) == 1 and alone[0] is item else {ALONE: item})


def _one(item: Any, raw: bytes, mapping: Mapping[str, str]) -> Said | Unread:
    try:
        return _said(item, raw, mapping)
    except NotUnderstood as why:
        return Unread(raw, str(why))


def _said(item: Any, raw: bytes, mapping: Mapping[str, str]) -> Said:
    if not isinstance(item, dict):
        raise NotUnderstood("each item must be a JSON object")
    fields = {name: _field(name, item, mapping) for name in USUAL}
    action = _action(fields["action"])
    key = fields["dedup_key"] or _trouble(fields["summary"], fields["asset"])
    if key is None:
        names = "summary, title, message" if action == "trigger" else "dedup_key, alert_id, id"
        raise NotUnderstood(f"nothing to {action} by: none of {names} is there; a mapping can say where it stands")
    if action != "trigger":
        return Said(action, raw, key)
    summary = fields["summary"] or fields["description"]
    if summary is None:
        raise NotUnderstood("nothing says what is wrong: a mapping can say where the summary stands")
    return Said(
        "trigger",
        raw,
        key,
        summary=summary,
        description=fields["description"] if fields["description"] != summary else None,
        severity=reading.graded(fields["severity"], SEVERITIES),
        asset=fields["asset"],
        labels=_labels(item, mapping),
    )


def _field(name: str, item: Mapping[str, Any], mapping: Mapping[str, str]) -> str | None:
    """A field where the mapping says, else where such bodies usually have it."""
    if name in mapping:
        return mapped(mapping[name], item)
    return reading.under(USUAL[name], item)


def _labels(item: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, str]:
    """What the mapping names; without a mapping, every field that says something in a short word."""
    if mapping:
        named = {name.removeprefix(LABEL): rule for name, rule in mapping.items() if name.startswith(LABEL)}
        found = {name: mapped(rule, item) for name, rule in named.items()}
        return {name: words for name, words in found.items() if words is not None}
    return {name: words for name, words in reading.flat(item).items() if name not in NO_LABELS}


def _action(word: str | None) -> Action:
    plain = (word or "").strip().lower()
    return "resolve" if plain in ENDS else "acknowledge" if plain in TAKES else "trigger"


def _trouble(summary: str | None, asset: str | None) -> str | None:
    """A dedup key for a sender that has none: the same words about the same thing are the same trouble."""
    if summary is None:
        return None
    return hashlib.sha256(f"{asset or ''}\0{summary}".encode("utf-8", "surrogatepass")).hexdigest()


GENERIC = Generic()
