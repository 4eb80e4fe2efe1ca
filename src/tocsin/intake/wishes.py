"""What a request says, each thing as a wish to be taken in: what can be read, and what cannot and is only kept."""

from urllib.parse import parse_qs, urlencode

from tocsin.intake import model
from tocsin.intake.actions import Take
from tocsin.intake.dialect import Dialect, NotUnderstood, Received, Unread
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.model import Integration, Rules, Said


def wishes_of(
    integration: Integration, request: Received, request_id: str | None, keep: int, replay_of: int | None = None
) -> list[Take]:
    """What a request says; a thing that cannot be read is refused alone, and a request of which nothing can as one.

    `keep` is how many bytes of a raw payload are kept.
    """
    dialect = DIALECTS[integration.dialect]
    target = f"{request.method} {request.path}"
    if request.query:
        target += "?" + urlencode([(name, value) for name, values in request.query.items() for value in values])
    agent = model.tidy(request.headers.get("user-agent", "")[: model.LONGEST_SENDER]) or None

    def wish(each: Said | Unread) -> Take:
        said, refusal = (Said("trigger", each.raw), each.why) if isinstance(each, Unread) else (each, None)
        return Take(integration.sender, said, target, agent, request_id, model.tidy(refusal), replay_of, keep)

    kept = b""  # of what cannot be taken apart nobody knows where its keys stand
    try:
        clean = dialect.keyless(request)
        kept = clean.body
        return [wish(each) for each in items(dialect, integration.rules, clean)]
    except NotUnderstood as refusal:
        return [wish(Unread(kept, str(refusal) or "it cannot be read"))]


def items(dialect: Dialect, rules: Rules, request: Received) -> list[Said | Unread]:
    """Each thing that a request says, in good order; raises `NotUnderstood` where nothing of it can be read."""
    each = dialect.read(request, rules)
    unread = [one for one in each if isinstance(one, Unread)]
    if unread and len(unread) == len(each):
        raise NotUnderstood(unread[0].why)
    pattern = model.Pattern(rules.asset_pattern)
    return [one if isinstance(one, Unread) else model.whole(one, rules, pattern) for one in each]


def again(target: str, body: bytes, request_id: str | None = None) -> Received:
    """A kept payload as a request once more, under its own request id: a sender without keys is deduplicated by it."""
    method, _, address = target.partition(" ")
    path, _, query = address.partition("?")
    headers = {"x-request-id": request_id} if request_id is not None else {}
    return Received(method, path, parse_qs(query, keep_blank_values=True), headers, body)
