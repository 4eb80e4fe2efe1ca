"""Opsgenie's Alert API v2, for every sender that loses it: create, act on, look at alerts. Pure.

An alert is the latest incident of its alias; our incident's id is its id and its tiny id. Taken from the public
reference of the Alert API and from what Alertmanager, Zabbix, Grafana and the Python SDK send.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from tocsin.incidents.reported import Action, joined
from tocsin.intake.dialect import Look, NotUnderstood, Path, Received, Reply
from tocsin.intake.dialects import opsgenie_answers as answers
from tocsin.intake.dialects import opsgenie_query, reading
from tocsin.intake.model import Rules, Said, Taken

SEVERITIES = {"p1": "critical", "p2": "high", "p3": "medium", "p4": "low", "p5": "info"}
BASE = "/v2/alerts"
LONGEST_ALIAS = 512
MOST_LISTED, USUALLY_LISTED = 100, 20
LARGEST_ID = 2**63 - 1
# What is done to an alert by `POST /v2/alerts/{id}/{word}`; everything else that Opsgenie knows is kept as a note.
ACTIONS: Mapping[str, Action] = {"close": "resolve", "acknowledge": "acknowledge", "unacknowledge": "unacknowledge"}
NOTES = ("notes", "snooze", "assign", "escalate", "responders", "teams", "actions")
LABELS = ("tags", "details")
# Labels that are an alert's own fields; no detail of the same name takes their place.
OWN_LABELS = ("tags", "source")
AMENDED = {"message": "summary", "description": "description", "priority": "severity"}


class Opsgenie:
    """Alerts, by alias, id or tiny id."""

    name = "opsgenie"
    title = "Opsgenie Alert API v2"
    paths = (Path("POST GET", BASE), Path("POST GET PUT DELETE", BASE + "/{rest:path}"))
    most = reading.MIB

    def key(self, request: Received, authorization: str | None) -> str | None:
        """`Authorization: GenieKey KEY`."""
        return reading.authorized(authorization)

    def keyless(self, request: Received) -> Received:
        """The key stands in a header."""
        return request

    def looks(self, request: Received) -> Look | None:
        if request.method != "GET":
            return None
        match _parts(request):
            case []:
                return _listed(request, "list")
            case ["count"]:
                return _listed(request, "count")
            case ["requests", id]:
                return Look("request", request_id=id)
            case [name]:
                return Look("one", *_meant(request, name))
            case [name, "notes"]:
                return Look("notes", *_meant(request, name), limit=_number(request, "limit", MOST_LISTED, MOST_LISTED))
        return Look("one")  # which finds nothing: 404

    def read(self, request: Received, rules: Rules) -> list[Said]:
        parts = _parts(request)
        body = reading.fields(request) if request.body.strip() else {}
        match request.method, parts:
            case "POST", []:
                return [_created(request, body)]
            case "POST", [name, word] if word in ACTIONS:
                key, id = _meant(request, name)
                return [Said(ACTIONS[word], request.body, key, id, words=reading.text(body.get("note")))]
            case "PUT", [name, word] if word in AMENDED:
                return [_amended(request, body, name, word)]
            case "DELETE", [name]:
                key, id = _meant(request, name)
                return [Said("resolve", request.body, key, id, words="deleted by its sender")]
            case (("POST" | "DELETE"), [name, word]) if word in LABELS:
                return [_relabelled(request, body, name, word)]
            case (("POST" | "DELETE"), [name, word, *rest]) if word in NOTES:
                return [_noted(request, body, name, [word, *rest])]
        raise NotUnderstood(f"{request.method} {request.path} is not one of the Alert API's calls that are taken here")

    def shown(self, look: Look, found: Any, request_id: str) -> Reply:
        return answers.shown(look, found, request_id)

    def accepted(self, taken: Sequence[Taken], request_id: str) -> Reply:
        return answers.accepted(request_id)

    def refused(self, status: int, why: str, request_id: str) -> Reply:
        """Opsgenie's own form; a request that it cannot use is 422 there."""
        return answers.problem(422 if status == 400 else status, why, request_id)

    def lines(self, url: str, key: str) -> str:
        return "\n".join(
            (
                "# Alertmanager",
                "receivers:",
                "  - name: tocsin",
                "    opsgenie_configs:",
                f"      - api_url: {url}/",
                f"        api_key: {key}",
                "        send_resolved: true",
                "",
                "# Zabbix: the media type Opsgenie, with these two parameters",
                f"opsgenie_api: {url}{BASE}",
                f"opsgenie_token: {key}",
                "",
                "# Grafana: a contact point of the kind Opsgenie, with these two fields",
                f"API Key: {key}",
                f"Alert API URL: {url}{BASE}",
                "",
                "# opsgenie-sdk for Python",
                f"configuration.host = '{url}'",
                f"configuration.api_key['Authorization'] = '{key}'",
            )
        )


def _parts(request: Received) -> list[str]:
    """The path below `/v2/alerts`, each part as the sender meant it: an alias may hold a slash, sent as `%2F`."""
    rest = request.path.removeprefix(BASE).strip("/")
    return [unquote(part) for part in rest.split("/")] if rest else []


def _meant(request: Received, name: str) -> tuple[str | None, int | None]:
    """The alert that a path names: an alias, or our incident's id. One that is no number names nothing."""
    if (request.asked("identifierType") or "id").lower() == "alias":
        return reading.dedup_key(name, LONGEST_ALIAS), None
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 20 else 0
    return None, number if 1 <= number <= LARGEST_ID else LARGEST_ID


def _created(request: Received, body: Mapping[str, Any]) -> Said:
    message = reading.text(body.get("message"))
    if message is None:
        raise NotUnderstood("message can not be empty: say what is wrong")
    alias = reading.dedup_key(body.get("alias"), LONGEST_ALIAS)
    if alias is not None and ("\n" in alias or "\r" in alias):
        raise NotUnderstood("alias must be one line: nothing could name the alert afterwards")
    details = body.get("details")
    # Its own fields first: of many labels the last ones are left out.
    own = {"tags": joined(_words(body.get("tags"))), "source": reading.text(body.get("source"))}
    labels = {name: words for name, words in own.items() if words}
    labels |= _details(details if isinstance(details, dict) else {"details": details})
    note = reading.text(body.get("note"))
    return Said(
        "trigger",
        request.body,
        alias or request.headers.get("x-request-id"),
        summary=message,
        description=reading.paragraph(reading.text(body.get("description")), note and f"Note: {note}"),
        severity=reading.graded(body.get("priority"), SEVERITIES),
        asset=reading.text(body.get("entity")),
        labels=labels,
    )


def _amended(request: Received, body: Mapping[str, Any], name: str, word: str) -> Said:
    words = reading.text(body.get(word))
    if words is None:
        raise NotUnderstood(f"{word} can not be empty")
    if word == "priority" and (words := reading.graded(words, SEVERITIES)) is None:
        raise NotUnderstood("priority should be one of P1, P2, P3, P4, P5")
    key, id = _meant(request, name)
    return Said("amend", request.body, key, id, **{AMENDED[word]: words})  # type: ignore[arg-type]


def _noted(request: Received, body: Mapping[str, Any], name: str, did: Sequence[str]) -> Said:
    """A note in words: its own, or what was done (`snooze: endTime 2026-11-24T08:15:00Z`)."""
    key, id = _meant(request, name)
    told = {**{each: values[-1] for each, values in request.query.items() if each != "identifierType"}, **body}
    if did == ["notes"]:
        words = reading.text(body.get("note"))
        if words is None:
            raise NotUnderstood("note can not be empty")
    else:
        removed = "removed " if request.method == "DELETE" else ""
        said = "; ".join(f"{each} {text}" for each, text in reading.flat(told).items())
        words = f"{removed}{' '.join(did)}: {said}" if said else f"{removed}{' '.join(did)}"
    return Said("note", request.body, key, id, words=words)


def _relabelled(request: Received, body: Mapping[str, Any], name: str, word: str) -> Said:
    """Tags or details that come or go; a note beside them is kept."""
    key, id = _meant(request, name)
    going = request.method == "DELETE"
    said: dict[str, Any]
    if word == "tags":
        said = {"retag": dict.fromkeys(_words(_asked(request, "tags") if going else body.get("tags")), not going)}
    elif going:
        said = {"relabel": {each: None for each in _asked(request, "keys") if each not in OWN_LABELS}}
    else:
        said = {"relabel": _details(body.get("details"))}
    if not any(said.values()):
        raise NotUnderstood(f"{'keys' if going and word == 'details' else word} can not be empty")
    note = reading.text(body.get("note")) or request.asked("note")
    return Said("amend", request.body, key, id, words=note, **said)


def _details(details: Any) -> dict[str, str]:
    return {name: words for name, words in reading.flat(details).items() if name not in OWN_LABELS}


def _words(values: Any) -> list[str]:
    """The members of a list as words; a comma, which stands between tags where they are kept, separates them too."""
    listed = [each for each in map(reading.text, reading.many(values)) if each]
    return list(dict.fromkeys(word.strip() for each in listed for word in each.split(",") if word.strip()))


def _asked(request: Received, name: str) -> list[str]:
    """A list in the query: `tags=a,b`, or the name several times."""
    return [word.strip() for value in request.query.get(name, ()) for word in value.split(",") if word.strip()]


def _listed(request: Received, what: Any) -> Look:
    """What `query` asks for, and `status=closed` beside it."""
    status = request.asked("status")
    query = f"{request.asked('query') or ''} {f'status={status}' if status else ''}"
    return Look(
        what,
        **opsgenie_query.asked(query, SEVERITIES),
        limit=_number(request, "limit", USUALLY_LISTED, MOST_LISTED),
        offset=_number(request, "offset", 0, LARGEST_ID),
    )


def _number(request: Received, name: str, usual: int, most: int) -> int:
    word = request.asked(name) or ""
    return min(int(word), most) if word.isascii() and word.isdigit() and len(word) < 20 else usual


OPSGENIE = Opsgenie()
