"""The console in a real browser: the thread from an alert to its end, keys, words that try to run, and axe."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.people import Person
from tests.phones import BOT
from tests.spec.test_console import HOSTILE
from tests.web.conftest import Witness
from tests.world import World

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")

Scheme = Literal["light", "dark"]


@contextmanager
def desk(world: World, browser: Browser, person: Person, **how: Any) -> Iterator[tuple[Page, Witness]]:
    """Somebody at the list, signed in; in the end nothing went wrong on their screen."""
    context: BrowserContext = browser.new_context(**how)
    page = context.new_page()
    witness = Witness(page)
    home = f"http://127.0.0.1:{world.port}"
    page.goto(f"{home}/sign-in")
    page.fill("input[name=key]", person.key or "")
    page.click("button.main")
    page.wait_for_url(f"{home}/")
    yield page, witness
    assert witness.saw_nothing_wrong(home)
    context.close()


def signed_in(world: World, context: BrowserContext) -> Page:
    """Ada at the list; what happens to her page is meant to happen."""
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{world.port}/sign-in")
    page.fill("input[name=key]", world.ada.key or "")
    page.click("button.main")
    return page


def live(page: Page) -> None:
    """The page hears of what happens."""
    expect(page.locator("[data-pulse]:not(.lost)")).to_be_visible()


def test_the_thread_from_an_alert_to_its_end(world: World, browser: Browser) -> None:
    assert world.phone
    config = {"token": BOT, "chat": "1", "updates": "polling", "language": "en"}
    world.admin.post("/api/channels", {"name": "Field team", "kind": "telegram", "config": config})
    world.admin.post("/api/subscriptions", {"channel_id": 1})
    with (
        desk(world, browser, world.ada) as (page, _),
        desk(world, browser, world.vera, locale="ru-RU", viewport={"width": 360, "height": 800}) as (beside, _),
    ):
        live(page)
        live(beside)
        world.alertmanager.fires(summary="Station 12 has no power", severity="critical")
        row = page.locator("a.row", has_text="Station 12 has no power")
        expect(row).to_contain_text("New")
        expect(beside.locator("a.row")).to_contain_text("Новый")
        world.tells()
        (message,) = world.phone.messages
        assert "Station 12 has no power" in message["text"]
        world.phone.updates.append(world.phone.press(message))
        world.run(world.asks_telegram())
        expect(row).to_contain_text("acknowledged")
        expect(beside.locator("a.row")).to_contain_text("принят")
        world.alertmanager.resolves(severity="critical")
        expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
        expect(beside.get_by_text("Всё спокойно.")).to_be_visible()
        world.tells()
        opened, resolved = world.phone.texts
        assert opened == "CRITICAL: Station 12 has no power"
        assert resolved.startswith("Resolved after ")


def test_an_open_incident_moves_and_keeps_what_was_unfolded(world: World, browser: Browser) -> None:
    world.pagerduty.triggers(summary="POS 12 is down")
    with desk(world, browser, world.ada) as (page, _):
        page.locator("a.row").click()
        page.locator("summary").first.click()
        expect(page.locator("details pre").first).to_contain_text('"event_action": "trigger"')
        world.pagerduty.triggers(summary="POS 12 is down")
        expect(page.locator("ol.story")).to_contain_text("Reported 1 time more")
        expect(page.locator("details[open] pre")).to_contain_text('"event_action": "trigger"')
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("button", name="Give back")).to_be_visible()
        page.locator("#rate").select_option("low")
        expect(page.locator("ol.story")).to_contain_text("Severity: Critical → Low")


def test_everything_by_the_keyboard(world: World, browser: Browser) -> None:
    for name in ("first", "second", "third"):
        world.ada.filed(f"{name} trouble")
    with desk(world, browser, world.ada) as (page, _):
        live(page)
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(page.locator("a.row:focus")).to_contain_text("second trouble")
        page.keyboard.press("a")
        expect(page.locator("a.row", has_text="second trouble")).to_contain_text("acknowledged")
        page.keyboard.press("k")
        expect(page.locator("a.row:focus")).to_contain_text("third trouble")
        page.keyboard.press("r")
        expect(page.locator("a.row")).to_have_count(2)
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "source"
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        page.keyboard.type("fourth trouble")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.locator("a.row")).to_have_count(3)
        page.keyboard.press("j")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="fourth trouble")).to_be_visible()
        with page.expect_navigation():
            page.keyboard.press("a")
        expect(page.get_by_role("button", name="Give back")).to_be_visible()
        with page.expect_navigation():
            page.keyboard.press("r")
        expect(page.get_by_role("button", name="Reopen")).to_be_visible()


def test_a_page_that_lost_the_server_says_so_and_comes_back(world: World, browser: Browser) -> None:
    context = browser.new_context()
    page = signed_in(world, context)
    live(page)
    context.set_offline(True)
    world.service.stopping = True  # the server says goodbye, and the page cannot come back
    expect(page.locator("[data-pulse].lost")).to_be_visible()
    world.service.stopping = False
    world.ada.filed("filed meanwhile")
    context.set_offline(False)
    live(page)
    expect(page.locator("a.row")).to_contain_text("filed meanwhile")
    context.close()


def test_a_refresh_that_fails_takes_nothing_away_and_is_made_again(world: World, browser: Browser) -> None:
    world.ada.filed("POS 12 is down")
    with closing(browser.new_context()) as context:
        page = signed_in(world, context)
        live(page)
        page.route("**/?show=*", lambda route: route.fulfill(status=503, body="{}", content_type="application/json"))
        world.ada.filed("Station 3 has no power")
        expect(page.locator("[data-pulse].lost")).to_contain_text("connection lost")
        expect(page.locator("a.row")).to_have_count(1)
        page.unroute("**/?show=*")
        expect(page.locator("a.row")).to_have_count(2)
        live(page)


def test_a_session_that_ends_leads_an_open_list_to_the_sign_in(world: World, browser: Browser) -> None:
    with closing(browser.new_context()) as context:
        page = signed_in(world, context)
        live(page)
        beside = context.new_page()
        beside.goto(page.url)
        beside.get_by_role("button", name="Sign out").click()
        beside.wait_for_url("**/")
        world.ada.filed("POS 12 is down")
        page.wait_for_url("**/sign-in**")


def test_hands_that_are_quick_or_write_in_cyrillic(world: World, browser: Browser) -> None:
    world.ada.filed("first trouble")
    with desk(world, browser, world.ada) as (page, _):
        live(page)
        page.evaluate(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'о', code: 'KeyJ', bubbles: true}))"
        )
        expect(page.locator("a.row:focus")).to_contain_text("first trouble")
        page.fill("#words", "second trouble")
        with page.expect_navigation():
            page.evaluate(
                "document.querySelector('.file button').click(); document.querySelector('.file button').click()"
            )
        expect(page.locator("a.row")).to_have_count(2)
        page.locator("a.row").first.click()
        page.locator("#rate").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert world.ada.lists().incidents[0]["severity"] == "medium", "nothing on the way is meant"
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert world.ada.lists().incidents[0]["severity"] == "info"


def hostile_words(world: World) -> list[str]:
    """A hundred: each of ten strings in ten places."""
    shapes: list[Callable[[str], str]] = [
        lambda text: text,
        lambda text: f"before {text}",
        lambda text: f"{text} after",
        lambda text: text.upper(),
        lambda text: f"'{text}'",
        lambda text: f'"{text}"',
        lambda text: f"`{text}`",
        lambda text: f"--> {text} <!--",
        lambda text: f"</a></li>{text}",
        lambda text: f"</script>{text}",
    ]
    return [shape(text) for shape, text in product(shapes, HOSTILE)]


def test_a_hundred_hostile_strings_through_every_dialect_and_field_and_nothing_runs(
    world: World, browser: Browser
) -> None:
    words = hostile_words(world)
    assert len(words) == 100
    lines = [text.replace("\r\n", " ") for text in words]
    for monitoring in (world.alertmanager, world.grafana):
        told = [monitoring.alert(text, "firing", text, instance=text, label=text) for text in words]
        assert monitoring.group(told).status == 200
    for text, line in zip(words, lines, strict=True):
        world.pagerduty.triggers(line[:255], text, component=line, group=text, custom_details={text: text})
        world.opsgenie.creates(line[:500], text[:130], description=text, entity=line, tags=[text], note=text)
        said = {"summary": line, "description": text, "asset": line[:200], "dedup_key": line}
        assert world.probe.post("/api/reports", said).status == 201
    assert world.generic.says([{"id": text, "title": text, "body": text, "host": text} for text in words]).status == 200
    assert world.generic.says({"nothing": words}).status == 400
    world.admin.post("/api/channels", {"name": lines[10][:200], "kind": "ntfy", "config": {"topic": "t"}})
    world.admin.files_many(
        [{"description": text, "source": "operator", "asset": line} for text, line in zip(words, lines, strict=True)]
    )
    with desk(world, browser, world.admin) as (page, _):
        home = f"http://127.0.0.1:{world.port}"
        ids = world.ada.lists(limit=1000).ids
        assert len(ids) == 700
        logs = [f"/integrations/{n}" for n in range(1, 6)]
        for path in ["/?show=all", "/channels", "/integrations", *logs, *(f"/i/{id}" for id in ids[::35])]:
            page.goto(home + path)
            assert page.evaluate("document.querySelectorAll('script').length") == 4, path
            assert page.evaluate("document.querySelectorAll('main img, main iframe').length") == 0, path
        page.goto(f"{home}/i/{ids[-1]}")
        page.locator("summary").first.click()
        expect(page.locator("details pre").first).to_contain_text("alertname")


def every_page(world: World) -> list[str]:
    """Each page with something on it."""
    world.pagerduty.triggers(summary="POS 12 is down", custom_details={"region": "west"})
    world.pagerduty.triggers(summary="POS 12 is down")
    world.ada.filed("Charging station 12: no power", severity="high", asset="station-12")
    world.admin.post("/api/channels", {"name": "Phone", "kind": "ntfy", "config": {"topic": "t"}})
    world.admin.post("/api/channels", {"name": "Billing", "kind": "webhook", "config": {"url": world.receiver.url}})
    world.admin.post("/api/subscriptions", {"channel_id": 2})
    world.ada.filed("Payment page answers 502", severity="critical")
    world.tells()
    world.ada.acknowledges(3)
    paths = ["/", "/?show=all", "/i/1", "/i/3", "/i/999", "/reports/1", "/integrations", "/integrations/1"]
    return [*paths, "/channels?add=telegram", "/channels?add=ntfy", "/channels/1", "/channels/2", "/a/nonsense"]


LOOKS: list[tuple[int, Scheme]] = [(1280, "light"), (360, "light"), (360, "dark"), (1280, "dark")]


@pytest.mark.parametrize("language", ["en-GB", "ru-RU"])
def test_axe_finds_nothing_serious_on_any_page(world: World, browser: Browser, language: str) -> None:
    paths = every_page(world)
    home = f"http://127.0.0.1:{world.port}"
    with desk(world, browser, world.admin, locale=language) as (page, witness):
        for path in paths:
            page.goto(home + path)
            witness.complaints = [each for each in witness.complaints if "404" not in each]  # the pages that say so
            looks_well(page, path)
    with closing(browser.new_context(locale=language)) as context:
        page = context.new_page()
        page.goto(f"{home}/sign-in")
        looks_well(page, "/sign-in")


def looks_well(page: Page, path: str) -> None:
    """In every look: nothing is cut off at the side, and axe finds nothing serious."""
    page.evaluate(AXE)
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{path} is too wide"
        assert serious(page) == [], (path, width, scheme)


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe finds that keeps people out: its name, and where."""
    # What axe finds in order is told as well, and to bring all of it out of the browser took longer than to look.
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
    return [(each["id"], node["html"]) for each in found if each["impact"] in SERIOUS for node in each["nodes"]]
