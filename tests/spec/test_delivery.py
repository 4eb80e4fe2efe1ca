"""Telling people: what is told to whom, once; what is tried again, and when it is given up."""

import json
import re
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.phones import BOT, Came, Said, breaks_off, taken
from tests.world import World
from tocsin.delivery import model
from tocsin.delivery.channels.webhook import WEBHOOK
from tocsin.delivery.sender import Sender


def channel(world: World, kind: str, severity: str = "info", sources: tuple[str, ...] = (), **config: Any) -> Any:
    """A channel with one subscription."""
    made = world.admin.post("/api/channels", {"name": f"my {kind}", "kind": kind, "config": config})
    assert made.status == 201, made
    id = made.json["channel"]["id"]
    draft = {"channel_id": id, "severity": severity, "sources": list(sources)}
    assert world.admin.post("/api/subscriptions", draft).status == 201
    return made.json


def telegram(world: World, **more: Any) -> Any:
    phone = world.phone  # before the channel: Tocsin starts again for it
    assert phone
    return channel(world, "telegram", token=BOT, chat="1", **more)


def webhook(world: World, **more: Any) -> Any:
    return channel(world, "webhook", url=world.receiver.url + "/hook", **more)


def more_of_them(world: World, path: str) -> None:
    """Another webhook."""
    draft = {"name": path, "kind": "webhook", "config": {"url": world.receiver.url + path}}
    id = world.admin.post("/api/channels", draft).json["channel"]["id"]
    assert world.admin.post("/api/subscriptions", {"channel_id": id}).status == 201


def test_the_phone_says_what_is_wrong_how_bad_since_when_and_how_often(world: World) -> None:
    telegram(world)
    world.pagerduty.triggers(summary="POS 12 <is> down", severity="critical", component="pos-12")
    world.tells()
    (message,) = world.phone.messages
    lines = message["text"].split("\n")
    assert lines[0] == "<b>CRITICAL: POS 12 &lt;is&gt; down</b>"
    assert lines[1:3] == ["#1 · pos-12 · monitoring", "Since 08:15 UTC, just now"]
    assert (message["chat_id"], message["parse_mode"]) == ("1", "HTML")


def test_repeats_are_not_told_and_the_end_is(world: World) -> None:
    telegram(world)
    for _ in range(3):
        world.pagerduty.triggers()
        world.tells()
    world.clock.forward(minutes=42)
    world.pagerduty.resolves()
    world.tells()
    assert world.phone.texts == ["CRITICAL: POS 12 is down", "Resolved after 42 min: POS 12 is down"]
    assert "From 08:15 to 08:57 UTC\nReports: 3" in world.phone.messages[1]["text"]
    assert "callback_data" not in json.dumps(world.phone.messages[1])


def test_reopened_and_worse_are_told(world: World) -> None:
    telegram(world, severity="high+")
    id = world.ada.filed(severity="low")["id"]
    world.tells()
    assert world.phone.texts == []
    world.ada.ask("PATCH", f"/api/incidents/{id}", {"severity": "high"})
    world.tells()
    world.ada.ask("PATCH", f"/api/incidents/{id}", {"severity": "critical"})
    world.ada.moves(id, "resolved")
    world.tells()
    world.ada.moves(id, "open")
    world.tells()
    assert [text.split(":")[0] for text in world.phone.texts] == [
        "HIGH (was low)",
        "Resolved after 0 s",
        "CRITICAL, open again",
    ]


def test_subscriptions_choose_by_severity_and_source(world: World) -> None:
    webhook(world, severity="high", sources=("monitoring",))
    world.ada.files("operator's", severity="critical")
    world.ada.files("too small", severity="medium", source="monitoring")
    world.ada.files("this one", severity="high", source="monitoring")
    world.tells()
    assert [each.json["data"]["incident"]["description"] for each in world.receiver.came] == ["this one"]


def test_a_channel_with_two_fitting_subscriptions_hears_once(world: World) -> None:
    id = webhook(world)["channel"]["id"]
    world.admin.post("/api/subscriptions", {"channel_id": id, "severity": "low"})
    world.ada.files()
    world.tells()
    assert len(world.receiver.came) == 1


def test_a_webhook_is_signed_and_machines_hear_of_acknowledgements(world: World) -> None:
    world.clock.now = datetime.now(UTC)  # the verifier looks at its own clock
    secret = webhook(world)["secret"]
    id = world.ada.filed()["id"]
    world.tells()
    world.ada.acknowledges(id)
    world.tells()
    kinds = []
    for came in world.receiver.came:
        said = Webhook(secret).verify(came.body, came.headers)
        kinds.append(said["type"])
        assert said["data"]["incident"]["id"] == id
    assert kinds == ["incident.opened", "incident.acknowledged"]
    assert world.receiver.came[0].path == "/hook"


def test_a_rotated_secret_overlaps_with_the_old_one(world: World) -> None:
    world.clock.now = datetime.now(UTC)
    made = webhook(world)
    path = f"/api/channels/{made['channel']['id']}/rotate"
    new = world.admin.post(path, {"overlap_seconds": 60}).json["secret"]
    world.ada.files()
    world.tells()
    (came,) = world.receiver.came
    for secret in (made["secret"], new):
        Webhook(secret).verify(came.body, came.headers)
    world.clock.forward(seconds=61)
    world.ada.files()
    world.tells()
    assert len(world.receiver.came[1].headers["webhook-signature"].split(" ")) == 1


def test_a_second_rotation_within_the_overlap_drops_nobody(world: World) -> None:
    world.clock.now = datetime.now(UTC)
    made = webhook(world)
    path = f"/api/channels/{made['channel']['id']}/rotate"
    secrets = [made["secret"], *(world.admin.post(path, {"overlap_seconds": 60}).json["secret"] for _ in range(2))]
    world.ada.files()
    world.tells()
    (came,) = world.receiver.came
    for secret in secrets:
        Webhook(secret).verify(came.body, came.headers)


def test_a_mail_is_a_thread_of_its_incident_and_no_text_becomes_a_header(world: World) -> None:
    assert world.mailbox
    channel(world, "email", to="ada@example.com, bob@example.com")
    id = world.ada.filed("down", summary="POS 12 is down\u2028Bcc: eve@example.com")["id"]
    world.tells()
    world.ada.moves(id, "resolved")
    world.tells()
    first, second = world.mailbox.mails
    assert first["to"] == "ada@example.com, bob@example.com"
    assert first["bcc"] is None
    assert first["subject"].startswith("MEDIUM: POS 12 is down")
    assert first["auto-submitted"] == "auto-generated"
    assert first["message-id"] != second["message-id"]
    assert first["references"] == second["references"] == f"<incident-{id}@example.com>"
    plain = first.get_body(("plain",))
    assert plain is not None
    text = plain.get_content().replace("\r\n", "\n")
    assert f"#{id} · operator\nSince 08:15 UTC, just now\ndown\n" in text
    assert re.search(r"Acknowledge: http\S+/a/\S+", text)


ADA, GREY, BAD = "ada@example.com", "grey@example.com", "bad@example.com"


def test_who_was_refused_for_now_is_tried_again_alone_and_the_others_are_named(world: World) -> None:
    world.mailbox.refuses_for = {BAD: "550 no such user", GREY: "451 later"}
    channel(world, "email", to=[ADA, BAD, GREY])
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["state"] == "waiting"
    assert f"for 1 of 3, and not for {BAD} (550 no such user), {GREY} (451 later)" in told["reason"]
    del world.mailbox.refuses_for[GREY]
    world.clock.forward(seconds=5)
    world.tells()
    assert world.mailbox.to == [[ADA], [GREY]]
    assert world.mailbox.mails[0]["message-id"] == world.mailbox.mails[1]["message-id"]
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["state"] == "sent"
    assert told["reason"] == f"the mail server took it for 2 of 3, and not for {BAD} (550 no such user)"
    assert world.ada.timeline_of(id).kinds == ["filed", "notified", "not_notified"]


@pytest.mark.parametrize(("said", "state"), [("550 no", "dead"), ("451 later", "waiting")])
def test_a_mail_that_is_refused_for_everybody(world: World, said: str, state: str) -> None:
    world.mailbox.refuses_for = {ADA: said, BAD: said}
    channel(world, "email", to=[ADA, BAD])
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["state"] == state
    assert world.ada.timeline_of(id).kinds == ["filed", *(["not_notified"] if state == "dead" else [])]
    if state == "dead":
        world.mailbox.refuses_for = {}
        assert world.admin.post(f"/api/notifications/{told['id']}/retry").status == 200
        world.tells()
        assert world.mailbox.to == [[ADA, BAD]]


def test_ntfy_gets_a_title_a_priority_and_a_button(world: World) -> None:
    channel(world, "ntfy", url=world.receiver.url, topic="field", language="ru")
    world.ada.files("Касса 12 не отвечает", severity="critical")
    world.tells()
    (came,) = world.receiver.came
    said = came.json
    assert (said["topic"], said["title"], said["priority"]) == ("field", "КРИТИЧНО: Касса 12 не отвечает", 5)
    assert said["message"] == "#1 · оператор\nС 08:15 UTC, только что"
    (action,) = said["actions"]
    assert (action["action"], action["method"], action["label"]) == ("http", "POST", "Принять")


def test_a_burst_is_folded_into_one_message_that_counts(world: World) -> None:
    telegram(world)
    world.ada.files("the first")
    world.tells()
    for number in range(12):
        world.ada.files(f"number {number}", severity="critical" if number == 7 else "low")
    world.tells()
    assert world.phone.texts == ["MEDIUM: the first"]
    world.clock.forward(seconds=10)
    world.tells()
    assert world.phone.texts[1:] == ["12 new incidents, worst: CRITICAL"]
    lines = world.phone.messages[1]["text"].split("\n")
    assert lines[1] == "• CRITICAL: number 7 (#9)"
    assert len(lines) == 12
    assert lines[-1] == "… and 2 more"
    world.clock.forward(seconds=10)
    world.ada.files("later")
    world.tells()
    assert world.phone.texts[2:] == ["MEDIUM: later"]


def test_a_trickle_is_one_message_in_ten_seconds(world: World) -> None:
    telegram(world)
    for number in range(30):
        world.ada.files(f"number {number}")
        world.tells()
        world.clock.forward(seconds=1)
    world.tells()
    assert world.phone.texts == [
        "MEDIUM: number 0",
        "9 new incidents, worst: MEDIUM",
        *["10 new incidents, worst: MEDIUM"] * 2,
    ]


def test_a_burst_of_thousands_is_one_message(world: World) -> None:
    telegram(world)
    world.ada.files("the first")
    world.tells()
    for _ in range(3):
        drafts = [{"description": f"number {number}", "source": "operator"} for number in range(1000)]
        assert world.ada.post("/api/incidents/batch", {"incidents": drafts}).status == 200
    world.clock.forward(seconds=10)
    world.tells()
    assert world.phone.texts == ["MEDIUM: the first", "3000 new incidents, worst: MEDIUM"]


def test_what_came_and_went_within_a_burst_is_told_in_its_order(world: World) -> None:
    telegram(world)
    world.ada.files("the first")
    world.tells()
    for number in range(3):
        world.ada.moves(world.ada.filed(f"number {number}")["id"], "resolved")
    world.tells()
    assert world.phone.texts == ["MEDIUM: the first"]
    world.clock.forward(seconds=10)
    world.tells()
    assert world.phone.texts[1:] == ["3 new incidents", "3 incidents resolved"]


def test_a_webhook_hears_of_an_incident_in_its_order(world: World) -> None:
    world.receiver.says = lambda came: (503, {}, b"")
    webhook(world)
    id = world.ada.filed()["id"]
    world.tells()
    world.ada.acknowledges(id)
    world.ada.moves(id, "resolved")
    world.ada.moves(id, "open")
    world.ada.files("another")
    world.tells()
    kinds = [came.json["type"] for came in world.receiver.came]
    assert kinds == ["incident.opened", "incident.opened"]
    world.receiver.came.clear()
    world.receiver.says = lambda came: (200, {}, b"")
    world.clock.forward(seconds=5)
    world.tells()
    kinds = [came.json["type"] for came in world.receiver.came if came.json["data"]["incident"]["id"] == id]
    assert kinds == ["incident.opened", "incident.acknowledged", "incident.resolved", "incident.reopened"]


def test_what_follows_is_told_when_the_one_before_is_given_up(world: World) -> None:
    world.receiver.says = lambda came: (400 if came.json["type"] == "incident.opened" else 200, {}, b"")
    webhook(world)
    id = world.ada.filed()["id"]
    world.ada.moves(id, "resolved")
    world.tells()
    assert [came.json["type"] for came in world.receiver.came] == ["incident.opened", "incident.resolved"]


def test_the_end_is_told_to_whoever_was_told_of_the_beginning(world: World) -> None:
    telegram(world, severity="high+")
    id = world.ada.filed(severity="critical")["id"]
    small = world.ada.filed(severity="low")["id"]
    world.tells()
    world.ada.ask("PATCH", f"/api/incidents/{id}", {"severity": "low"})
    world.ada.moves(id, "resolved")
    world.ada.moves(small, "resolved")
    world.tells()
    world.ada.moves(id, "open")
    world.tells()
    assert [text.split(":")[0] for text in world.phone.texts] == ["CRITICAL", "Resolved after 0 s", "LOW, open again"]


def test_two_rises_of_one_moment_are_told_once(world: World) -> None:
    webhook(world, severity="critical")
    id = world.ada.filed(severity="medium")["id"]
    rises = [
        lambda: world.ada.ask("PATCH", f"/api/incidents/{id}", {"severity": "high"}),
        lambda: world.ada.ask("PATCH", f"/api/incidents/{id}", {"severity": "critical"}),
    ]
    world.together(rises)
    world.tells()
    assert [came.json["type"] for came in world.receiver.came] == ["incident.raised"]


def burst_that_is_refused(world: World) -> Any:
    """A burst of three, whose message Telegram has refused for good; what the channel was told, oldest first."""
    telegram(world)
    drafts = [{"description": f"number {number}", "source": "operator"} for number in range(3)]
    world.phone.says = lambda came: (400, {}, b"{}")
    assert world.ada.post("/api/incidents/batch", {"incidents": drafts}).status == 200
    world.tells()
    return list(reversed(world.admin.get("/api/channels/1/notifications").notifications))


def test_what_a_message_carries_ends_as_the_message_does(world: World) -> None:
    leader, *carried = burst_that_is_refused(world)
    assert [each["state"] for each in (leader, *carried)] == ["dead"] * 3
    assert [each["reason"] for each in carried] == ["it answered 400"] * 2
    assert [each["carried_by"] for each in carried] == [leader["id"]] * 2
    for id in world.ada.lists().ids:
        assert world.ada.timeline_of(id).kinds == ["filed", "not_notified"]


def test_to_retry_what_was_carried_is_to_retry_the_message(world: World) -> None:
    leader, *carried = burst_that_is_refused(world)
    world.phone.says = lambda came: (200, {}, b"{}")
    assert world.admin.post(f"/api/notifications/{carried[0]['id']}/retry").json["notification"]["state"] == "carried"
    world.tells()
    assert world.phone.texts == ["3 new incidents, worst: MEDIUM"] * 2
    told = world.admin.get("/api/channels/1/notifications").notifications
    assert [each["state"] for each in told] == ["carried", "carried", "sent"]
    for id in world.ada.lists().ids:
        assert world.ada.timeline_of(id).kinds == ["filed", "not_notified", "notified"]
    assert world.admin.post(f"/api/notifications/{carried[0]['id']}/retry").problem == "already-there"
    assert leader["id"] == told[-1]["id"]


def test_a_removed_channel_settles_what_it_was_still_to_be_told(world: World) -> None:
    telegram(world)
    world.phone.says = lambda came: (503, {}, b"{}")
    drafts = [{"description": f"number {number}", "source": "operator"} for number in range(3)]
    assert world.ada.post("/api/incidents/batch", {"incidents": drafts}).status == 200
    world.tells()
    first = world.ada.lists().ids[0]
    world.ada.moves(first, "resolved")
    assert world.admin.ask("DELETE", "/api/channels/1").status == 200
    for id in world.ada.lists().ids:
        told = world.ada.get(f"/api/incidents/{id}/notifications").notifications
        assert {(each["state"], each["reason"]) for each in told} == {("dead", "the channel was removed")}
        assert world.ada.timeline_of(id).kinds.count("not_notified") == len(told)
    assert world.ada.timeline_of(first).kinds == ["filed", "moved", "not_notified", "not_notified"]


def test_a_storm_of_one_moment_is_one_message(world: World) -> None:
    telegram(world)
    drafts = [{"description": f"number {number}", "source": "operator"} for number in range(30)]
    assert world.ada.post("/api/incidents/batch", {"incidents": drafts}).status == 200
    world.tells()
    assert world.phone.texts == ["30 new incidents, worst: MEDIUM"]
    id = world.ada.lists().ids[0]
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["state"] in ("carried", "sent")
    assert world.ada.timeline_of(id).kinds == ["filed", "notified"]


@pytest.mark.parametrize(
    ("status", "state"), [(400, "dead"), (302, "dead"), (404, "dead"), (429, "waiting"), (500, "waiting")]
)
def test_what_the_other_side_says_decides(world: World, status: int, state: str) -> None:
    world.receiver.says = lambda came: (status, {"location": "http://127.0.0.1:1/"}, b"no")
    webhook(world)
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert (told["state"], told["attempts"][0]["status"]) == (state, status)
    assert told["reason"] == f"it answered {status}"
    assert world.ada.timeline_of(id).kinds == ["filed", *(["not_notified"] if state == "dead" else [])]


def test_it_is_tried_again_under_the_same_id_until_it_is_taken(world: World) -> None:
    world.receiver.says = lambda came: (503, {"retry-after": "120"}, b"")
    webhook(world)
    id = world.ada.filed()["id"]
    world.tells()
    world.clock.forward(seconds=119)
    world.tells()
    assert len(world.receiver.came) == 1
    world.receiver.says = lambda came: (204, {}, b"")
    world.clock.forward(seconds=1)
    world.tells()
    first, second = world.receiver.came
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["again", "sent"]


@pytest.mark.parametrize("asked", ["0", "Mon, 23 Nov 2026 08:00:00 GMT", "soon", "-5"])
def test_nobody_is_asked_again_without_a_pause(world: World, asked: str) -> None:
    world.receiver.says = lambda came: (429, {"retry-after": asked}, b"")
    webhook(world)
    world.ada.files()
    for _ in range(2):
        world.tells()
        world.clock.forward(seconds=2.4)
    assert len(world.receiver.came) == 1


@pytest.mark.parametrize(("asked", "hours"), [("21600", 6), ("Mon, 23 Nov 2026 14:15:30 GMT", 6), ("999999999", 24)])
def test_a_long_wait_is_obeyed_up_to_the_end(world: World, asked: str, hours: int) -> None:
    world.receiver.says = lambda came: (503, {"retry-after": asked}, b"")
    webhook(world)
    id = world.ada.filed()["id"]
    world.tells()
    world.clock.forward(hours=hours, seconds=-5)
    world.tells()
    assert len(world.receiver.came) == 1
    world.clock.forward(seconds=5)
    world.tells()
    assert len(world.receiver.came) == 2
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["state"] == ("dead" if hours == 24 else "waiting")


def test_after_a_day_it_is_given_up_and_can_be_retried(world: World) -> None:
    world.receiver.says = lambda came: (503, {}, b"")
    webhook(world)
    id = world.ada.filed()["id"]
    for _ in range(40):
        world.tells()
        world.clock.forward(hours=1)
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert (told["state"], told["reason"]) == ("dead", "given up after 24 hours: it answered 503")
    assert 24 <= len(told["attempts"]) <= 26
    world.receiver.says = lambda came: (200, {}, b"")
    assert world.admin.post(f"/api/notifications/{told['id']}/retry").status == 200
    world.tells()
    assert world.ada.get(f"/api/notifications/{told['id']}").json["notification"]["state"] == "sent"
    assert world.admin.post(f"/api/notifications/{told['id']}/retry").problem == "already-there"
    assert len({came.headers["webhook-id"] for came in world.receiver.came}) == 1


def test_channels_that_hang_leave_room_for_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "DEADLINE", 60.0)
    told, over = threading.Semaphore(0), threading.Event()

    def says(came: Came) -> Said:
        told.release() if came.path == "/good" else over.wait(60)
        return 200, {}, b""

    world.receiver.says = says
    for number in range(16):
        more_of_them(world, f"/hangs/{number}")
    more_of_them(world, "/good")
    for number in range(5):
        world.ada.files(f"number {number}")
    assert all(told.acquire(timeout=30) for _ in range(5))
    over.set()
    world.tells()
    assert Counter(came.path for came in world.receiver.came)["/good"] == 5


def test_a_channel_that_does_not_answer_is_probed_until_it_does(world: World) -> None:
    world.receiver.says = breaks_off
    webhook(world)
    world.ada.files()
    world.tells()
    load = world.service.part(Sender).load
    assert load.silent == (1,)
    assert load.room(1) == 1
    world.receiver.says = taken
    world.clock.forward(seconds=5)
    world.tells()
    load = world.service.part(Sender).load
    assert load.silent == ()
    assert load.room(1) == 4


def test_nobody_is_there_is_no_answer(world: World) -> None:
    channel(world, "webhook", url="http://127.0.0.1:1/")
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert (told["state"], told["attempts"][0]["status"]) == ("waiting", None)
    assert told["reason"].startswith("no connection")


def test_a_fault_of_our_own_is_an_attempt_like_any_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*about: Any) -> Any:
        raise KeyError("x")

    webhook(world)
    monkeypatch.setattr(WEBHOOK, "render", broken, raising=False)
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert (told["state"], told["reason"]) == ("waiting", "a fault of Tocsin's own: KeyError")
    assert "a message could not be made" in world.log.text
    world.clock.forward(hours=25)
    world.tells()
    assert world.ada.timeline_of(id).kinds == ["filed", "not_notified"]


def test_no_token_stands_in_a_reason_or_a_log(world: World) -> None:
    said = {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
    telegram(world)
    world.phone.says = lambda came: (400, {}, json.dumps(said).encode())
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["reason"] == "it answered 400: Bad Request: chat not found"
    assert BOT not in world.log.text


def test_telegram_says_how_long_to_wait(world: World) -> None:
    telegram(world)
    said = {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 77}}
    world.phone.says = lambda came: (429, {}, json.dumps(said).encode())
    id = world.ada.filed()["id"]
    world.tells()
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["due_at"] == "2026-11-23T08:16:47.167Z"


def test_a_group_that_moved_is_followed(world: World) -> None:
    telegram(world)
    said = {"ok": False, "description": "Bad Request: group chat was upgraded", "parameters": {
        "migrate_to_chat_id": -100123}}  # fmt: skip
    world.phone.says = lambda came: (
        (400, {}, json.dumps(said).encode()) if came.json.get("chat_id") == "1" else taken(came)
    )
    id = world.ada.filed()["id"]
    world.tells()
    world.clock.forward(seconds=5)
    world.tells()
    assert [each["chat_id"] for each in world.phone.messages] == ["1", "-100123"]
    (told,) = world.ada.get(f"/api/incidents/{id}/notifications").notifications
    assert told["state"] == "sent"
    assert told["attempts"][0]["reason"] == "it answered 400: Bad Request: group chat was upgraded (now -100123)"
    assert world.admin.get("/api/channels/1").json["channel"]["config"]["chat"] == "-100123"


def test_a_test_message_says_that_it_works(world: World) -> None:
    made = telegram(world)
    answer = world.admin.post(f"/api/channels/{made['channel']['id']}/test")
    assert answer.status == 202
    world.tells()
    assert world.phone.texts == ["A test message from Tocsin"]
    listed = world.admin.get(f"/api/channels/{made['channel']['id']}/notifications").notifications
    assert [(each["event"], each["state"]) for each in listed] == [("test", "sent")]


def test_the_button_acknowledges_by_polling(world: World) -> None:
    telegram(world)
    id = world.ada.filed()["id"]
    world.tells()
    (message,) = world.phone.messages
    world.phone.updates = [world.phone.press(message), {"update_id": 2, "message": {}}]
    world.run(world.asks_telegram())
    incident = world.ada.sees(id).incident
    assert incident["acknowledged_at"] is not None
    entry = world.ada.timeline_of(id).entries[-1]
    assert entry["actor"] == {"type": "channel", "id": 1, "name": "my telegram"}
    assert world.phone.calls("answerCallbackQuery")[0]["text"] == "Acknowledged."
    assert world.phone.calls("editMessageReplyMarkup")[0]["message_id"] == 7
    world.phone.updates.append(world.phone.press(message, 3))
    world.run(world.asks_telegram())
    assert [each["text"] for each in world.phone.calls("answerCallbackQuery")] == [
        "Acknowledged.",
        "Somebody has acknowledged it already.",
    ]


def test_a_hundred_presses_of_long_messages_are_all_heard(world: World) -> None:
    telegram(world)
    id = world.ada.filed()["id"]
    world.tells()
    presses = [world.phone.press(world.phone.messages[0], number) for number in range(100)]
    for press in presses:
        press["callback_query"]["message"]["text"] = "x" * 4096
    world.phone.updates = presses
    for _ in range(10):
        world.run(world.asks_telegram())
    assert len(world.phone.calls("answerCallbackQuery")) == 100
    assert world.ada.sees(id).incident["acknowledged_at"] is not None


def test_updates_that_cannot_be_read_stand_in_the_log(world: World) -> None:
    telegram(world)
    world.phone.says = lambda came: (200, {}, b'{"ok":true,"result":[{"upda')
    world.run(world.asks_telegram())
    assert "Telegram's updates cannot be read" in world.log.text


def test_a_bot_that_is_refused_is_left_alone_for_a_minute(world: World) -> None:
    telegram(world)
    world.run(world.asks_telegram())
    world.phone.says = lambda came: (401, {}, b"{}")
    world.run(world.asks_telegram())
    before = len(world.phone.calls("getUpdates"))
    for _ in range(5):
        world.run(world.asks_telegram())
    assert len(world.phone.calls("getUpdates")) == before
    world.clock.forward(minutes=1)
    world.run(world.asks_telegram())
    assert len(world.phone.calls("getUpdates")) > before


def test_a_bot_that_hangs_keeps_no_other_waiting(world: World) -> None:
    other, over = BOT.replace("4242", "777"), threading.Event()
    telegram(world)
    known = world.phone.says

    def says(came: Came) -> Said:
        if other in came.path and came.path.endswith("/getUpdates"):
            over.wait(30)
        return known(came)

    world.phone.says = says
    draft = {"name": "another bot", "kind": "telegram", "config": {"token": other, "chat": "2"}}
    assert world.admin.post("/api/channels", draft).status == 201
    id = world.ada.filed()["id"]
    world.tells()
    world.phone.updates = [world.phone.press(world.phone.messages[0])]
    for _ in range(3):
        world.run(world.asks_telegram())
    assert world.ada.sees(id).incident["acknowledged_at"] is not None
    over.set()


def test_who_presses_is_answered_in_the_language_of_the_chat(world: World) -> None:
    telegram(world)
    draft = {"name": "по-русски", "kind": "telegram", "config": {"token": BOT, "chat": "2", "language": "ru"}}
    id = world.admin.post("/api/channels", draft).json["channel"]["id"]
    assert world.admin.post("/api/subscriptions", {"channel_id": id}).status == 201
    world.ada.files()
    world.tells()
    (message,) = [each for each in world.phone.messages if each["chat_id"] == "2"]
    world.phone.updates = [world.phone.press(message)]
    world.run(world.asks_telegram())
    assert world.phone.calls("answerCallbackQuery")[0]["text"] == "Принято."


def test_the_button_acknowledges_by_webhook(world: World) -> None:
    made = telegram(world, updates="webhook")
    id = world.ada.filed()["id"]
    world.tells()
    update = world.phone.press(world.phone.messages[0])
    path = f"/in/telegram/{made['channel']['id']}"
    stranger = world.stranger
    assert stranger.post(path, update).problem == "wrong-key"
    assert stranger.ask("POST", path, update, headers={"x-telegram-bot-api-secret-token": "no"}).problem == "wrong-key"
    headers = {"x-telegram-bot-api-secret-token": made["secret"]}
    assert stranger.ask("POST", path, update, headers=headers).status == 200
    assert world.ada.sees(id).incident["acknowledged_at"] is not None
    odd_ones: list[Any] = [{}, [], "x", {"callback_query": 1}, {"callback_query": {"data": "forged.token"}}]
    for odd in odd_ones:
        assert stranger.ask("POST", path, odd, headers=headers).status == 200


def test_an_old_button_says_so(world: World) -> None:
    telegram(world)
    id = world.ada.filed()["id"]
    world.tells()
    world.phone.updates = [world.phone.press(world.phone.messages[0])]
    world.clock.forward(days=8)
    world.run(world.asks_telegram())
    assert world.phone.calls("answerCallbackQuery")[0]["text"] == "This button is too old."
    assert world.ada.sees(id).incident["acknowledged_at"] is None


def test_a_restart_loses_nothing_that_waits(world: World) -> None:
    world.receiver.says = lambda came: (503, {}, b"")
    webhook(world)
    world.ada.files()
    world.tells()
    world.restarts()
    world.receiver.says = lambda came: (200, {}, b"")
    world.clock.forward(minutes=1)
    world.tells()
    assert len(world.receiver.came) == 2
    assert len({came.headers["webhook-id"] for came in world.receiver.came}) == 1
