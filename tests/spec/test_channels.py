"""Channels and subscriptions: made, shown without their secrets, changed, removed."""

import json
from typing import Any

import pytest

from tests.phones import BOT
from tests.world import World

DRAFTS: dict[str, dict[str, Any]] = {
    "telegram": {"token": BOT, "chat": "-100200300"},
    "ntfy": {"topic": "field", "token": "tk_secret_of_ntfy"},
    "email": {"to": "ada@example.com, bob@example.com", "language": "ru"},
    "webhook": {"url": "https://hooks.example.com/tocsin"},
}


def adds(world: World, kind: str, **config: Any) -> Any:
    draft = {"name": f"my {kind}", "kind": kind, "config": {**DRAFTS[kind], **config}}
    return world.admin.post("/api/channels", draft)


@pytest.mark.parametrize("kind", DRAFTS)
def test_a_channel_is_made_and_its_secrets_are_never_shown(world: World, kind: str) -> None:
    answer = adds(world, kind)
    assert answer.status == 201, answer
    made = answer.json["channel"]
    assert answer.headers["location"] == f"/api/channels/{made['id']}"
    assert (made["name"], made["kind"]) == (f"my {kind}", kind)
    listed = world.admin.get("/api/channels").json["channels"]
    assert listed == [made]
    text = json.dumps(listed) + world.log.text
    assert "A" * 35 not in text
    assert "tk_secret_of_ntfy" not in text
    assert (answer.json["secret"] or "").startswith("whsec_") == (kind == "webhook")
    entry = world.admin.timeline().entries[-1]
    assert (entry["kind"], entry["refs"]) == ("channel_created", {"channel": made["id"]})


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("pigeon", {}, "kind"),
        ("telegram", {"token": "short"}, "config.token"),
        ("telegram", {"chat": "my chat"}, "config.chat"),
        ("telegram", {"updates": "sometimes"}, "config.updates"),
        ("telegram", {"color": "red"}, "config.color"),
        ("ntfy", {"topic": "a/b"}, "config.topic"),
        ("ntfy", {"url": "ftp://ntfy.example.com"}, "config.url"),
        ("email", {"to": "nobody"}, "config.to"),
        ("email", {"to": "a@b.c\nBcc: d@e.f"}, "config.to"),
        ("email", {"to": []}, "config.to"),
        ("email", {"language": "la"}, "config.language"),
        ("webhook", {"url": "https://user:password@example.com/"}, "config.url"),
        ("webhook", {"url": "file:///etc/passwd"}, "config.url"),
        ("webhook", {"url": "https://exa mple.com/"}, "config.url"),
        ("webhook", {"url": None}, "config.url"),
        ("webhook", {"url": "https://a..example.com/"}, "config.url"),
        ("webhook", {"url": f"https://{'a' * 64}.example.com/"}, "config.url"),
        ("ntfy", {"token": "токен"}, "config.token"),
        ("ntfy", {"token": "tk\x1b[0m"}, "config.token"),
    ],
)
def test_bad_settings_say_what_would_be_right(world: World, kind: str, config: dict[str, Any], field: str) -> None:
    draft = {"name": "a", "kind": kind, "config": {**DRAFTS.get(kind, {}), **config}}
    answer = world.admin.post("/api/channels", draft)
    assert (answer.status, answer.problem, answer.fields) == (422, "invalid", [field])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://пример.рф/hook", "http://xn--e1afmkfd.xn--p1ai/hook"),
        (
            "https://hooks.example.com:8443/путь?q=да&r=%20",
            "https://hooks.example.com:8443/%D0%BF%D1%83%D1%82%D1%8C?q=%D0%B4%D0%B0&r=%20",
        ),
        ("https://[2606:4700::1]/é", "https://[2606:4700::1]/%C3%A9"),
        ("https://Hooks.Example.com/A?b={c}", "https://Hooks.Example.com/A?b={c}"),
    ],
)
def test_an_address_in_any_script_is_kept_as_it_goes_out(world: World, given: str, kept: str) -> None:
    answer = adds(world, "webhook", url=given)
    assert answer.json["channel"]["config"]["url"] == kept


def test_names_tell_channels_apart(world: World) -> None:
    assert adds(world, "ntfy").status == 201
    assert adds(world, "ntfy").problem == "already-there"


def test_only_administrators_make_channels_and_operators_see_them(world: World) -> None:
    draft = {"name": "a", "kind": "ntfy", "config": {"topic": "a"}}
    assert world.ada.post("/api/channels", draft).problem == "not-allowed"
    assert world.ada.get("/api/channels").status == 200
    for who in (world.vera, world.probe, world.acme):
        assert who.get("/api/channels").problem == "not-allowed"
        assert who.get("/api/subscriptions").problem == "not-allowed"


def test_a_change_keeps_the_token_that_it_does_not_name(world: World) -> None:
    id = adds(world, "ntfy", url=world.receiver.url).json["channel"]["id"]
    config = {"topic": "other", "url": world.receiver.url}
    changed = world.admin.ask("PATCH", f"/api/channels/{id}", {"name": "new name", "config": config})
    assert changed.status == 200, changed
    assert changed.json["channel"]["name"] == "new name"
    world.admin.post(f"/api/channels/{id}/test")
    world.tells()
    (came,) = world.receiver.came
    assert came.json["topic"] == "other"
    assert came.headers["authorization"] == "Bearer tk_secret_of_ntfy"


@pytest.mark.parametrize("id", [0, -1, 2**63, 2**64, 10**400])
def test_a_subscription_of_an_id_that_no_channel_can_have_is_422(world: World, id: int) -> None:
    answer = world.admin.post("/api/subscriptions", {"channel_id": id})
    assert (answer.status, answer.fields) == (422, ["channel_id"])


def test_a_removed_channel_is_gone_with_its_subscriptions(world: World) -> None:
    id = adds(world, "ntfy", url=world.receiver.url).json["channel"]["id"]
    made = world.admin.post("/api/subscriptions", {"channel_id": id, "severity": "high+", "sources": ["monitoring"]})
    assert made.status == 201
    subscription = made.json["subscription"]
    assert (subscription["severity"], subscription["sources"]) == ("high", ["monitoring"])
    assert world.admin.ask("DELETE", f"/api/channels/{id}").status == 200
    assert world.admin.get("/api/subscriptions").json["subscriptions"] == []
    assert world.admin.get(f"/api/channels/{id}").problem == "not-found"
    assert world.admin.post(f"/api/channels/{id}/test").problem == "not-found"
    assert world.admin.post("/api/subscriptions", {"channel_id": id}).fields == ["channel_id"]
    world.ada.files(severity="critical", source="monitoring")
    world.tells()
    assert world.receiver.came == []


def test_the_same_subscription_is_there_once(world: World) -> None:
    id = adds(world, "ntfy").json["channel"]["id"]
    draft = {"channel_id": id, "severity": "high", "sources": ["monitoring", "partner"]}
    made = world.admin.post("/api/subscriptions", draft)
    assert made.status == 201
    again = draft | {"severity": "high+", "sources": ["partner", "monitoring"]}
    assert world.admin.post("/api/subscriptions", again).problem == "already-there"
    assert world.admin.post("/api/subscriptions", draft | {"sources": []}).status == 201
    assert world.admin.ask("DELETE", f"/api/subscriptions/{made.json['subscription']['id']}").status == 200
    assert world.admin.post("/api/subscriptions", again).status == 201


def test_a_subscription_ends(world: World) -> None:
    id = adds(world, "ntfy", url=world.receiver.url).json["channel"]["id"]
    subscription = world.admin.post("/api/subscriptions", {"channel_id": id}).json["subscription"]
    assert world.admin.ask("DELETE", f"/api/subscriptions/{subscription['id']}").status == 200
    assert world.admin.ask("DELETE", f"/api/subscriptions/{subscription['id']}").problem == "not-found"
    world.ada.files()
    world.tells()
    assert world.receiver.came == []


@pytest.mark.parametrize(
    ("draft", "field"),
    [({"severity": "bad"}, "severity"), ({"sources": ["nobody"]}, "sources"), ({"channel_id": 99}, "channel_id")],
)
def test_bad_subscriptions_say_what_would_be_right(world: World, draft: dict[str, Any], field: str) -> None:
    id = adds(world, "ntfy").json["channel"]["id"]
    answer = world.admin.post("/api/subscriptions", {"channel_id": id, **draft})
    assert (answer.status, answer.fields) == (422, [field])


@pytest.mark.parametrize(
    ("url", "setting"),
    [
        ("https://hooks.example.com:22/", "TOCSIN_ALLOWED_PORTS"),
        ("http://10.0.0.1/x", "TOCSIN_ALLOWED_TARGETS"),
        ("http://[::1]/", "TOCSIN_ALLOWED_TARGETS"),
        ("http://localhost/", "TOCSIN_ALLOWED_TARGETS"),
    ],
)
def test_an_address_that_nothing_could_be_sent_to_is_refused_at_once(world: World, url: str, setting: str) -> None:
    world.restarts(allowed_targets="", allowed_ports="80,443")
    refused = adds(world, "webhook", url=url)
    assert refused.fields == ["config.url"]
    assert setting in refused.detail
    assert adds(world, "ntfy", url=url).fields == ["config.url"]
    id = adds(world, "webhook").json["channel"]["id"]
    assert world.admin.ask("PATCH", f"/api/channels/{id}", {"config": {"url": url}}).fields == ["config.url"]
    world.restarts(allowed_targets="10.0.0.0/8, localhost, ::1", allowed_ports="*")
    assert world.admin.ask("PATCH", f"/api/channels/{id}", {"config": {"url": url}}).status == 200


def test_going_over_to_telegram_s_webhook_shows_its_secret_and_leaving_forgets_it(world: World) -> None:
    id = adds(world, "telegram").json["channel"]["id"]
    path, chat = f"/api/channels/{id}", DRAFTS["telegram"]["chat"]

    def goes(updates: str, **how: Any) -> Any:
        return world.admin.ask("PATCH", path, {"config": {"chat": chat, "updates": updates}}, **how)

    def opens(secret: str) -> bool:
        headers = {"x-telegram-bot-api-secret-token": secret}
        return world.stranger.ask("POST", f"/in/telegram/{id}", {}, headers=headers).status == 200

    assert goes("webhook", once="a").fields == ["Idempotency-Key"]
    first = goes("webhook").json["secret"]
    assert opens(first)
    assert goes("webhook", once="a").json["secret"] is None, "it is known already"
    assert opens(first)
    assert goes("polling").json["secret"] is None
    assert not opens(first)
    second = goes("webhook").json["secret"]
    assert second != first
    assert opens(second)


def test_another_key_of_the_instance_is_said_and_new_secrets_need_no_old_ones(world: World) -> None:
    telegram, webhook = (f"/api/channels/{adds(world, kind).json['channel']['id']}" for kind in ("telegram", "webhook"))
    world.restarts(secret_key="another key of this instance, long enough")
    config = {"chat": "1", "updates": "webhook"}
    assert world.admin.ask("PATCH", telegram, {"config": config}).problem == "sealed"
    assert world.stranger.post("/in/telegram/1", {}).problem == "unavailable"
    assert world.admin.ask("PATCH", webhook, {"config": DRAFTS["webhook"]}).problem == "sealed"
    refused = world.admin.post(f"{webhook}/rotate", {"overlap_seconds": 60})
    assert (refused.problem, "TOCSIN_SECRET_KEY" in refused.detail) == ("sealed", True)
    assert world.admin.ask("PATCH", webhook, {"name": "only its name"}).status == 200
    assert world.admin.post(f"{webhook}/rotate", {"overlap_seconds": 0}).json["secret"].startswith("whsec_")
    assert world.admin.ask("PATCH", webhook, {"config": DRAFTS["webhook"]}).status == 200
    secret = world.admin.ask("PATCH", telegram, {"config": {**config, "token": BOT}}).json["secret"]
    headers = {"x-telegram-bot-api-secret-token": secret}
    assert world.stranger.ask("POST", "/in/telegram/1", {}, headers=headers).status == 200


def test_operators_see_where_a_webhook_goes_and_not_the_token_in_its_path(world: World) -> None:
    for path, shown in (("/services/T0/SECRET", "/…"), ("/?token=SECRET", "/…"), ("/", "/"), ("", "")):
        url = f"https://hooks.example.com:8443{path}"
        made = adds(world, "webhook", url=url).json["channel"]
        assert made["config"] == {"url": url}
        one = world.ada.get(f"/api/channels/{made['id']}").json["channel"]
        assert one["config"] == {"url": f"https://hooks.example.com:8443{shown}"}
        assert world.ada.get("/api/channels").json["channels"] == [one]
        page = world.visits(world.ada).gets(f"/channels/{made['id']}")
        assert "hooks.example.com" in page.text
        assert "SECRET" not in page.html
        assert url in world.visits(world.admin).gets(f"/channels/{made['id']}").text
        world.admin.ask("DELETE", f"/api/channels/{made['id']}")
