"""The console without a browser: who gets in, what each page shows and does, and what is refused."""

import re
from typing import Any
from urllib.parse import unquote, urlencode

import pytest

from tests.phones import taken
from tests.visitors import Visitor
from tests.world import World
from tocsin.access.guard import Guarded
from tocsin.app import ROUTES

PAGES = [route for route in ROUTES if route.entrance is not None and route.may != "public"]


def test_a_key_opens_the_console_and_only_the_cookie_is_kept(world: World) -> None:
    visitor = Visitor(world)
    assert visitor.signs_in(world.ada.key).leads_to == "/"
    cookie = visitor.set_cookie
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} <= set(cookie.split("; "))
    assert cookie.startswith(f"tocsin-{world.port}=")
    assert "Secure" not in cookie
    assert (world.ada.key or "").split("_", 2)[2] not in cookie
    page = visitor.gets("/")
    assert "ada" in page.text
    assert world.admin.timeline(limit=1000).kinds[-1] == "signed_in"


def test_over_tls_the_cookie_is_bound_to_this_very_host(world: World) -> None:
    world.restarts(trusted_proxies="127.0.0.1")
    visitor = Visitor(world)
    visitor.posts(
        "/sign-in", key=world.ada.key, headers={"X-Forwarded-Proto": "https", "Sec-Fetch-Site": "same-origin"}
    )
    assert visitor.set_cookie.startswith("__Host-tocsin=")
    assert visitor.set_cookie.endswith("; Secure")


@pytest.mark.parametrize("key", ["", "tcs_1_" + "x" * 43, "nonsense", "tcs_999_" + "y" * 43])
def test_a_wrong_key_opens_nothing(world: World, key: str) -> None:
    visitor = Visitor(world)
    page = visitor.signs_in(key)
    assert page.status == 403
    assert "not known here" in page.text
    assert visitor.cookie is None
    assert key == "" or key not in page.html


def test_wrong_keys_count_against_the_address(world: World) -> None:
    world.restarts(address_rate_limit=2)
    assert [Visitor(world).signs_in("nonsense").status for _ in range(4)] == [403, 403, 429, 429]


def test_programs_and_partners_are_told_that_this_is_for_the_team(world: World) -> None:
    for other in (world.probe, world.acme):
        page = Visitor(world).signs_in(other.key)
        assert page.status == 403
        assert "for the team" in page.text


def test_without_a_session_every_page_leads_to_the_sign_in_and_back(world: World) -> None:
    visitor = Visitor(world)
    assert visitor.gets("/i/1").leads_to == "/sign-in?to=/i/1"
    form = visitor.gets("/sign-in?to=/channels")
    assert form.found(r'name="to" value="([^"]*)"') == "/channels"
    assert visitor.signs_in(world.ada.key, to="/channels").leads_to == "/channels"
    assert "incident register" in Visitor(world).gets("/").text


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\u0441", ""])
def test_nobody_is_led_away_from_here(world: World, to: str) -> None:
    assert Visitor(world).signs_in(world.ada.key, to=to).leads_to == "/"


def test_signing_out_ends_the_session_here_and_on_disk(world: World) -> None:
    visitor = world.visits(world.ada)
    kept = visitor.cookie
    assert visitor.posts("/sign-out").leads_to == "/"
    assert visitor.cookie is None
    visitor.cookie = kept
    assert visitor.gets("/channels").leads_to == "/sign-in?to=/channels"
    assert world.admin.timeline(limit=1000).kinds[-1] == "signed_out"


def test_a_session_ends_with_its_key_and_after_thirty_days(world: World) -> None:
    newcomer = world.newcomer("operator")
    visitor = world.visits(newcomer)
    assert visitor.gets("/channels").status == 200
    world.clock.forward(days=29, hours=23)
    assert visitor.gets("/channels").status == 200
    world.clock.forward(hours=2)
    assert visitor.gets("/channels").status == 303
    visitor = world.visits(newcomer)
    key = int((newcomer.key or "").split("_")[1])
    world.admin.ask("DELETE", f"/api/keys/{key}")
    world.run(world.service.directory.refresh())
    assert visitor.gets("/channels").status == 303


def test_a_session_lasts_no_longer_than_the_secret_that_opened_it(world: World) -> None:
    newcomer = world.newcomer("operator")
    before = world.visits(newcomer)
    path = f"/api/keys/{(newcomer.key or '').split('_')[1]}/rotate"
    rotated = world.ada.with_key(world.admin.post(path, {"overlap_seconds": 3600}).json["secret"])
    during, fresh = world.visits(newcomer), world.visits(rotated)
    world.clock.forward(minutes=59)
    assert [each.gets("/channels").status for each in (before, during, fresh)] == [200, 200, 200]
    world.clock.forward(minutes=1)
    assert [each.gets("/channels").status for each in (before, during, fresh)] == [303, 303, 200]
    world.admin.post(path, {"overlap_seconds": 0})
    assert fresh.gets("/channels").status == 303


def test_sessions_of_the_environment_s_key_end_when_it_changes(world: World) -> None:
    world.restarts(api_key="a-key-from-outside-0123456789")
    visitor = Visitor(world)
    visitor.signs_in("a-key-from-outside-0123456789")
    assert "Administrator" in visitor.gets("/").text
    world.restarts(api_key="another-key-from-outside-987654")
    assert visitor.gets("/channels").status == 303
    world.restarts(api_key="a-key-from-outside-0123456789")
    assert visitor.gets("/channels").status == 200
    world.restarts()
    assert visitor.gets("/channels").status == 303


def test_ended_sessions_are_forgotten(world: World) -> None:
    from sqlalchemy import select

    from tocsin.access import actions
    from tocsin.db.schema import session

    world.visits(world.ada)
    world.clock.forward(days=31)
    world.run(world.service.db.write(actions.forget_sessions, None))
    assert world.reads(lambda reader: reader.rows(select(session.c.key_id))) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://127.0.0.1.evil.example"},
    ],
)
def test_a_form_from_elsewhere_changes_nothing(world: World, headers: dict[str, str | None]) -> None:
    incident = world.ada.filed()
    visitor = world.visits(world.ada)
    page = visitor.posts(f"/i/{incident['id']}/acknowledge", headers=headers)
    assert page.status == 403
    assert "not sent from a page of this server" in page.text
    assert world.ada.sees(incident).incident["acknowledged_at"] is None


def test_every_form_of_the_console_asks_where_it_comes_from(world: World) -> None:
    visitor = world.visits(world.admin)
    for route in writing():
        path = route.path.replace("{", "").replace("}", "")
        path = "/".join("1" if part.endswith("_id") else part for part in path.split("/"))
        assert visitor.posts(path, headers={"Origin": "http://evil.example"}).status == 403, path


def test_what_a_role_may_not_do_is_refused_on_every_page(world: World) -> None:
    for person, role in ((world.vera, "viewer"), (world.ada, "operator")):
        visitor = world.visits(person)
        for route in PAGES:
            path = "/".join("1" if part.startswith("{") else part for part in route.path.split("/"))
            if path in ("/live", "/sign-out"):
                continue
            page = visitor.gets(path) if "GET" in (route.methods or ()) else visitor.posts(path)
            assert (page.status == 403) == (role not in route.roles), (role, path, page.status)


def test_the_list_shows_what_is_active_newest_first_and_files_one_line(world: World) -> None:
    world.ada.filed("Old map tiles", status="resolved")
    world.ada.filed("Charging station 12: no power", severity="critical", asset="station-12")
    visitor = world.visits(world.ada)
    assert visitor.posts("/file", words="  POS 12 is down  ", severity="high").leads_to == "/"
    page = visitor.gets("/")
    assert "Old map tiles" not in page.text
    assert page.text.index("POS 12 is down") < page.text.index("Charging station 12: no power")
    assert "Critical" in page.text
    assert "station-12" in page.text
    assert "Old map tiles" in visitor.gets("/?show=ended").text
    assert "Old map tiles" in visitor.gets("/?show=all").text
    assert "Nothing of this source." in visitor.gets("/?source=partner").text
    (filed,) = [each for each in world.ada.lists().incidents if each["description"] == "POS 12 is down"]
    assert (filed["severity"], filed["source"]) == ("high", "operator")


def test_an_empty_line_files_nothing(world: World) -> None:
    assert world.visits(world.ada).posts("/file", words="   ").leads_to == "/"
    assert world.ada.lists().incidents == []


def test_a_long_list_has_pages(world: World) -> None:
    world.ada.files_many([{"description": f"trouble {n:03}", "source": "operator"} for n in range(130)])
    visitor = world.visits(world.vera)
    first = visitor.gets("/")
    (older,) = [link for link in first.links if "cursor=" in link]
    second = visitor.gets(older)
    seen = [f"trouble {n:03}" for n in range(130) if f"trouble {n:03}" in first.text + second.text]
    assert len(seen) == 130
    assert first.text.count("trouble ") == 100
    assert second.text.count("trouble ") == 30
    assert "hx-sse:connect" not in second.html


def test_an_incident_is_acknowledged_moved_and_rated(world: World) -> None:
    incident = world.ada.filed("POS 12 is down")
    visitor, home = world.visits(world.bob), f"/i/{incident['id']}"
    assert visitor.posts(f"{home}/acknowledge").leads_to == home
    assert visitor.posts(f"{home}/move", status="in_progress").leads_to == home
    assert visitor.posts(f"{home}/rate", severity="critical").leads_to == home
    now = world.ada.sees(incident).incident
    assert (now["status"], now["severity"]) == ("in_progress", "critical")
    assert now["acknowledged_at"]
    page = visitor.gets(home)
    assert "New → In progress" in page.text
    assert "Severity: Medium → Critical" in page.text
    assert "Acknowledged" in page.text
    assert "bob" in page.text
    assert visitor.posts(f"{home}/acknowledge", back="yes").leads_to == home
    assert world.ada.sees(incident).incident["acknowledged_at"] is None
    assert "Given back" in visitor.gets(home).text


def test_only_the_moves_that_are_possible_are_offered(world: World) -> None:
    incident = world.ada.filed(status="closed")
    page = world.visits(world.ada).gets(f"/i/{incident['id']}")
    assert re.findall(r'name="status" value="(\w+)"(?= aria|>| data)', page.html) == ["open", "in_progress"]
    assert page.html.count('name="status" value=') == 5, "each has its place, possible or not"
    refused = world.visits(world.ada).posts(f"/i/{incident['id']}/move", status="new")
    assert refused.status == 409
    assert "cannot go to" in refused.text
    assert f"/i/{incident['id']}" in refused.links


def test_a_viewer_sees_and_is_offered_nothing_to_do(world: World) -> None:
    incident = world.ada.filed()
    visitor = world.visits(world.vera)
    assert visitor.gets(f"/i/{incident['id']}").forms == ["/sign-out"]
    assert visitor.gets("/").forms == ["/sign-out", "/"]
    assert "/channels" not in visitor.gets("/").links


def test_the_story_folds_repeats_and_shows_what_was_reported(world: World) -> None:
    for _ in range(5):
        world.pagerduty.triggers(summary="POS 12 is down", severity="error")
    world.pagerduty.triggers(summary="POS 12 is down", severity="critical")
    (incident,) = world.ada.lists().incidents
    visitor = world.visits(world.ada)
    page = visitor.gets(f"/i/{incident['id']}")
    assert "Reported 4 times more" in page.text
    assert "Reported 1 time more" in page.text
    assert "pagerduty" in page.text
    assert page.text.count("is active for this dedup key") == 5
    (first, *_) = [link for link in page.links if link.startswith("/reports/")]
    raw = visitor.gets(first)
    assert "POST /v2/enqueue" in raw.text
    assert '"event_action": "trigger"' in raw.text


def test_who_was_told_stands_on_the_incident_with_each_attempt_and_can_be_tried_again(world: World) -> None:
    world.receiver.says = lambda _: (404, {}, b"")
    world.admin.post("/api/channels", {"name": "Billing", "kind": "webhook", "config": {"url": world.receiver.url}})
    world.admin.post("/api/subscriptions", {"channel_id": 1})
    incident = world.ada.filed()
    world.tells()
    visitor, home = world.visits(world.admin), f"/i/{incident['id']}"
    page = visitor.gets(home)
    assert "Billing New given up" in page.text
    assert "it answered 404" in page.text
    assert "Could not tell Billing" in page.text
    (retry,) = [form for form in page.forms if form.endswith("/retry")]
    world.receiver.says = taken
    assert visitor.posts(retry).leads_to == home
    world.tells()
    assert "Billing New sent" in visitor.gets(home).text
    assert "Told Billing" in visitor.gets(home).text


def test_an_integration_is_made_used_read_and_replayed(world: World) -> None:
    visitor = world.visits(world.admin)
    made = visitor.posts("/integrations", name="Zabbix", dialect="generic", source="monitoring")
    assert made.status == 201
    assert "shown only now" in made.text
    assert made.headers["cache-control"] == "no-store"
    key = made.found(r"data-copies><code>([^<]+)</code>")
    headers = {"x-api-key": None, "authorization": f"Bearer {key}"}
    world.stranger.ask("POST", "/in/generic", {"nothing": "known"}, headers=headers)  # type: ignore[arg-type]
    log = visitor.gets("/integrations/1")
    assert "refused" in log.text
    assert key not in log.html
    (replay,) = [form for form in log.forms if form.endswith("/replay")]
    mapping = {"settings": {"mapping": {"summary": "$.nothing"}}}
    assert world.admin.ask("PATCH", "/api/integrations/1", mapping).status == 200
    assert visitor.posts(replay).leads_to == "/integrations/1"
    assert "known" in visitor.gets("/integrations/1").text
    assert [each["summary"] for each in world.ada.lists().incidents] == ["known"]


def test_an_integration_gets_a_new_key_and_is_removed(world: World) -> None:
    visitor = world.visits(world.admin)
    first = visitor.posts("/integrations", name="Zabbix", dialect="opsgenie").found(r"data-copies><code>([^<]+)</code>")
    second = visitor.posts("/integrations/1/rotate", seen="").found(r"data-copies><code>([^<]+)</code>")
    assert first != second
    assert visitor.posts("/integrations/1/remove").leads_to == "/integrations"
    assert "There is none yet." in visitor.gets("/integrations").text
    assert "removed" in visitor.gets("/integrations/1").text


def test_a_channel_is_made_tested_subscribed_and_removed(world: World) -> None:
    visitor = world.visits(world.admin)
    assert "topic" in visitor.gets("/channels?add=ntfy").html
    made = visitor.posts(
        "/channels", kind="ntfy", name="Phone", topic="field-7c1d93", url=world.receiver.url, language="en"
    )
    assert made.leads_to == "/channels/1"
    assert visitor.posts("/channels/1/test").leads_to == "/channels/1"
    world.tells()
    assert "Test sent" in visitor.gets("/channels/1").text
    assert visitor.posts("/channels/1/subscribe", severity="high", source=["monitoring", "partner"]).status == 303
    (subscription,) = world.admin.get("/api/subscriptions").json["subscriptions"]
    assert (subscription["severity"], subscription["sources"]) == ("high", ["monitoring", "partner"])
    assert "High and worse" in visitor.gets("/channels").text
    assert visitor.posts("/channels/1/unsubscribe", subscription=subscription["id"]).status == 303
    assert "It hears of nothing yet." in visitor.gets("/channels/1").text
    assert visitor.posts("/channels/1/remove").leads_to == "/channels"
    assert visitor.gets("/channels/1").status == 404


def test_a_webhook_s_secret_is_shown_once_and_a_telegram_token_never(world: World) -> None:
    visitor = world.visits(world.admin)
    made = visitor.posts("/channels", kind="webhook", name="Billing", url="https://billing.example.com/hook")
    secret = made.found(r"(whsec_[^<]+)<")
    assert secret not in visitor.gets("/channels/1").html
    assert visitor.posts("/channels/1/rotate").found(r"(whsec_[^<]+)<") != secret
    token = "12345:" + "A" * 35
    visitor.posts("/channels", kind="telegram", name="Field", token=token, chat="1", updates="off", language="ru")
    assert token not in visitor.gets("/channels/2").html + visitor.gets("/channels").html


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/channels", {"kind": "pigeon", "name": "x"}, 422),
        ("/channels", {"kind": "webhook", "name": "x", "url": "ftp://x"}, 422),
        ("/channels", {}, 422),
        ("/integrations", {"name": "x", "dialect": "klingon"}, 422),
        ("/integrations", {"name": "", "dialect": "generic"}, 422),
        ("/integrations/999/rotate", {}, 404),
        ("/integrations/x/rotate", {}, 422),
        ("/i/1/move", {"status": "odd"}, 422),
        ("/i/1/rate", {}, 422),
        ("/i/999/acknowledge", {}, 404),
        ("/i/0/acknowledge", {}, 422),
        ("/reports/999/replay", {}, 404),
        ("/notifications/999/retry", {}, 404),
        ("/channels/999/test", {}, 404),
        ("/channels/1/subscribe", {"severity": "odd"}, 422),
        ("/channels/1/unsubscribe", {"subscription": "x"}, 422),
        ("/file", {"words": "x", "severity": "odd"}, 422),
    ],
)
def test_bad_input_is_a_page_that_says_what_would_be_right(
    world: World, path: str, fields: dict[str, Any], status: int
) -> None:
    world.ada.filed()
    world.admin.post("/api/channels", {"name": "n", "kind": "ntfy", "config": {"topic": "t"}})
    page = world.visits(world.admin).posts(path, **fields)
    assert page.status == status, page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "Back" in page.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"words=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"words=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(300)), "application/x-www-form-urlencoded", 400),
        (b'{"words": "x"}', "application/json", 415),
        (b"", "multipart/form-data; boundary=x", 415),
    ],
)
def test_a_form_that_is_none_is_refused(world: World, body: bytes, kind: str, status: int) -> None:
    visitor = world.visits(world.ada)
    headers = {"Cookie": visitor.cookie, "Content-Type": kind, "Origin": f"http://127.0.0.1:{world.port}"}
    answer = world.stranger.ask("POST", "/file", body, headers=headers)  # type: ignore[arg-type]
    assert answer.status == status
    assert world.ada.lists().incidents == []


def test_one_tap_acknowledges_and_looking_does_not(world: World) -> None:
    token = told_by_ntfy(world)
    stranger = Visitor(world)
    look = stranger.gets(f"/a/{token}")
    assert (look.status, "Acknowledge" in look.text, "POS 12 is down" in look.text) == (200, True, True)
    assert world.ada.lists().incidents[0]["acknowledged_at"] is None
    assert "It is yours" in stranger.posts(f"/a/{token}").text
    assert world.ada.lists().incidents[0]["acknowledged_at"] is not None
    assert "already" in stranger.posts(f"/a/{token}").text
    assert "already" in stranger.gets(f"/a/{token}").text
    (entry,) = [each for each in world.ada.timeline().entries if each["kind"] == "acknowledged"]
    assert (entry["actor"]["type"], entry["actor"]["name"]) == ("channel", "Phone")


def test_no_log_line_holds_a_link_that_acknowledges(world: World) -> None:
    token = told_by_ntfy(world)
    Visitor(world).gets(f"/a/{token}")
    Visitor(world).posts(f"/a/{token}")
    world.stranger.ask("PUT", f"/a/{token}")
    assert [line["path"] for line in world.log.events("request")][-3:] == ["/a/{token}"] * 3
    for near in (f"/a/{token}/x", f"//a/{token}"):
        assert world.stranger.ask("GET", near).status == 404
    assert [line["path"] for line in world.log.events("request")][-2:] == ["/a/…"] * 2
    assert token not in world.log.text


def test_one_tap_works_from_a_phone_s_own_button(world: World) -> None:
    token = told_by_ntfy(world)
    answer = world.stranger.ask("POST", f"/a/{token}", headers={"Origin": "https://ntfy.sh"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert world.ada.lists().incidents[0]["acknowledged_at"] is not None


def test_a_link_says_when_it_is_too_late_and_when_it_is_none(world: World) -> None:
    token = told_by_ntfy(world)
    for bad in (token[:-1], token + "x", "nonsense", "%00", "x" * 500):
        assert Visitor(world).gets(f"/a/{bad}").status == 404
        assert Visitor(world).posts(f"/a/{bad}").status == 404
    world.ada.moves(world.ada.lists().ids[0], "resolved")
    assert "over already" in Visitor(world).gets(f"/a/{token}").text
    world.clock.forward(days=8)
    assert Visitor(world).gets(f"/a/{token}").status == 410
    assert Visitor(world).posts(f"/a/{token}").status == 410


def test_a_page_speaks_the_browser_s_language(world: World) -> None:
    visitor = Visitor(world, "ru-RU, ru;q=0.9")
    visitor.signs_in(world.ada.key)
    assert "Всё спокойно." in visitor.gets("/").text
    assert "Каналы" in visitor.gets("/channels").text


def test_each_page_has_a_policy_and_a_nonce_of_its_own(world: World) -> None:
    visitor = world.visits(world.admin)
    nonces = set()
    for path in ("/", "/i/1", "/integrations", "/channels?add=telegram", "/sign-in", "/a/x"):
        page = visitor.gets(path) if path != "/sign-in" else Visitor(world).gets(path)
        assert page.policy.startswith("default-src 'none'; script-src 'nonce-"), path
        assert "unsafe" not in page.policy
        assert page.headers["cache-control"] == "no-store"
        nonces.add(page.policy.split("'nonce-")[1].split("'")[0])
        assert f'nonce="{page.policy.split(chr(39) + "nonce-")[1].split(chr(39))[0]}"' in page.html
    assert len(nonces) == 6


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "</title><svg onload=alert(1)>",
    "\u202egpj.exe \u2066x",
    "<div hx-get=/sign-out hx-trigger=load>",
    "&lt;b&gt; %(count)s %s {0}",
    "a\r\nSet-Cookie: x=1",
]


def test_hostile_words_stay_words_on_every_page(world: World) -> None:
    visitor = world.visits(world.admin)
    for text in HOSTILE:
        world.ada.filed(text, asset=text.replace("\r\n", " "), labels={"l": text})
        world.pagerduty.triggers(text, summary=text, component=text)
        visitor.posts("/channels", kind="ntfy", name=text, topic="t")
        visitor.posts("/integrations", name=text, dialect="generic")
    paths = ["/?show=all", "/channels", "/integrations", "/integrations/1", "/channels/1"]
    for path in paths + [f"/i/{id}" for id in world.ada.lists().ids]:
        page = visitor.gets(path)
        assert page.status == 200
        lowered = page.html.lower()
        for live in ("<script>alert", "<img src=x", "<svg onload", "<div hx-get", 'href="javascript:'):
            assert live not in lowered, (path, live)
        assert page.html.count("<script") == 4
        assert "49" not in page.text.replace("{{ 7 * 7 }}", "") or "{{ 7 * 7 }}" in page.text


def test_an_open_page_hears_that_something_changed(world: World) -> None:
    visitor = world.visits(world.ada)
    page = visitor.gets("/")
    path = page.found(r'hx-sse:connect="([^"]+)"')
    line = world.connection()
    line.request("GET", path, headers={"Cookie": visitor.cookie or ""})
    stream = line.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    world.ada.filed()
    read = b""
    while b"event: changed" not in read:
        read += stream.readline()
    assert b"Scooter" not in read


def test_part_of_a_page_asked_for_without_a_session_sends_the_page_away(world: World) -> None:
    answer = Visitor(world).gets("/i/1", **{"HX-Request": "true"})
    assert answer.headers["hx-redirect"] == "/sign-in?to=/i/1"


def writing() -> list[Guarded]:
    return [route for route in PAGES if "POST" in (route.methods or ())]


def told_by_ntfy(world: World) -> str:
    """The token of the button in a message to somebody's phone."""
    config = {"topic": "t", "url": world.receiver.url}
    world.admin.post("/api/channels", {"name": "Phone", "kind": "ntfy", "config": config})
    world.admin.post("/api/subscriptions", {"channel_id": 1})
    world.ada.filed("POS 12 is down")
    world.tells()
    (request,) = world.receiver.came
    return unquote(request.json["actions"][0]["url"].rsplit("/a/", 1)[1])


def test_a_partner_s_door_is_one_choice_of_the_form(world: World) -> None:
    visitor = world.visits(world.admin)
    assert visitor.gets("/integrations").found(r'option value="partner/([^"]*)"') == "acme"
    assert visitor.posts("/integrations", name="Acme's gateway", dialect="generic", source="partner/acme").status == 201
    assert "Partner · acme" in visitor.gets("/integrations").text
    assert visitor.posts("/integrations", name="Nobody's", dialect="generic", source="partner/none").status == 422


def test_who_was_told_is_for_those_who_may_read_channels(world: World) -> None:
    world.admin.post("/api/channels", {"name": "Billing", "kind": "webhook", "config": {"url": world.receiver.url}})
    world.admin.post("/api/subscriptions", {"channel_id": 1})
    incident = world.ada.filed()
    assert "Who was told" in world.visits(world.ada).gets(f"/i/{incident['id']}").text
    assert "Who was told" not in world.visits(world.vera).gets(f"/i/{incident['id']}").text


def test_nobody_gives_back_or_moves_what_they_have_not_seen(world: World) -> None:
    incident = world.ada.filed()
    home = f"/i/{incident['id']}"
    visitor = world.visits(world.ada)
    seen = visitor.gets(home).found(r'name="version" value="(\d+)"')
    world.admin.acknowledges(incident)
    refused = visitor.posts(f"{home}/move", status="on_hold", version=seen)
    assert refused.status == 412
    assert "changed it meanwhile" in refused.text
    assert visitor.posts(f"{home}/acknowledge", back="yes", version=seen).status == 412
    assert world.ada.sees(incident).incident["acknowledged_at"]
    seen = visitor.gets(home).found(r'name="version" value="(\d+)"')
    assert visitor.posts(f"{home}/acknowledge", back="yes", version=seen).leads_to == home
    assert world.ada.sees(incident).incident["acknowledged_at"] is None


def test_what_was_typed_into_a_refused_form_can_be_mended_and_sent_again(world: World) -> None:
    visitor = world.visits(world.admin)
    fields: Any = {"kind": "ntfy", "name": "Phones", "topic": "a topic with spaces", "url": "https://ntfy.example"}
    refused = visitor.posts("/channels", **fields)
    assert refused.status == 422
    assert refused.forms == ["/sign-out", "/channels"]
    assert refused.found(r'name="topic" value="([^"]*)"') == "a topic with spaces"
    assert refused.found(r'type="hidden" name="kind" value="([^"]*)"') == "ntfy"
    secret: Any = {"kind": "telegram", "name": "Field", "token": "not-a-token", "chat": "1"}
    assert "not-a-token" not in visitor.posts("/channels", **secret).html


def test_a_form_that_a_reload_sends_again_makes_no_second_key(world: World) -> None:
    visitor = world.visits(world.admin)
    visitor.posts("/integrations", name="Zabbix", dialect="opsgenie")
    seen = re.search(r'name="seen" value="([^"]*)"', visitor.gets("/integrations/1").html)
    assert seen
    assert visitor.posts("/integrations/1/rotate", seen=seen[1]).status == 200
    assert visitor.posts("/integrations/1/rotate", seen=seen[1]).status == 412


def test_an_open_page_without_a_session_is_led_to_the_sign_in_and_its_stream_is_refused(world: World) -> None:
    visitor = Visitor(world)
    part = visitor.gets("/?show=active", **{"HX-Request": "true"})
    assert (part.status, part.headers["hx-redirect"]) == (200, "/sign-in?to=/%3Fshow%3Dactive")
    assert visitor.gets("/live?after=0").status == 401
    assert visitor.gets("/integrations/1?before=7").leads_to == "/sign-in?to=/integrations/1%3Fbefore%3D7"


@pytest.mark.parametrize("after", ["abc", "\u00b2", "9" * 5000, "-1"])
def test_a_page_s_stream_refuses_a_place_that_is_none(world: World, after: str) -> None:
    visitor = world.visits(world.ada)
    assert visitor.gets("/live?" + urlencode({"after": after})).status == 422


def test_a_subscription_is_ended_at_its_own_channel_alone(world: World) -> None:
    for name in ("One", "Two"):
        world.admin.post("/api/channels", {"name": name, "kind": "ntfy", "config": {"topic": name}})
    world.admin.post("/api/subscriptions", {"channel_id": 1})
    assert world.visits(world.admin).posts("/channels/2/unsubscribe", subscription=1).status == 404
    assert world.visits(world.admin).posts("/channels/1/unsubscribe", subscription=1).leads_to == "/channels/1"


def test_a_long_story_tells_its_beginning_its_end_and_how_often_it_was_reported(world: World) -> None:
    for _ in range(130):
        world.pagerduty.triggers(summary="POS 12 is down")
    page = world.visits(world.ada).gets("/i/1")
    assert "Filed" in page.text
    assert "Reported 100 times more" in page.text
    assert "some of it is left out here" in page.text


def test_too_many_requests_say_when_to_come_back(world: World) -> None:
    world.restarts(address_rate_limit=1)
    pages = [Visitor(world).signs_in("nonsense") for _ in range(3)]
    assert pages[-1].status == 429
    assert int(pages[-1].headers["retry-after"]) >= 1
