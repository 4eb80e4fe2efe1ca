"""The pages in a real browser: Debian's Chromium, driven over a running Tocsin."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, sync_playwright

from tests.stage import ENGINES, Stage
from tests.world import World

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
QUIET = (
    "--disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator[Browser]:
    # Playwright keeps a loop running in this thread, in which no database can be prepared any more.
    for engine in ENGINES:
        with contextlib.suppress(pytest.skip.Exception):
            stage.template(engine)
    if CHROMIUM is None:
        reason = "NOT TESTED IN A BROWSER: no Chromium here (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        flags = [*QUIET.split(), *(["--no-sandbox"] if os.getuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


class Witness:
    """Sees what a page complains of, and whom it asks."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self._failed)
        page.on("request", lambda request: self.asked.append(request.url))

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before its icon had come
            self.complaints.append(f"failed: {request.url} {request.failure}")

    def saw_nothing_wrong(self, home: str) -> bool:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith((home, "data:"))] == []
        return True


@pytest.mark.parametrize(
    ("language", "words", "width", "scheme"),
    [
        ("en-GB", "running", 1280, "light"),
        ("en-GB", "running", 360, "dark"),
        ("ru-RU", "работает", 1280, "dark"),
        ("ru-RU", "работает", 360, "light"),
    ],
)
def test_the_front_page_says_that_it_runs(
    world: World, browser: Browser, language: str, words: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    home = f"http://127.0.0.1:{world.port}"
    view: ViewportSize = {"width": width, "height": 900}
    context = browser.new_context(locale=language, color_scheme=scheme, viewport=view, java_script_enabled=False)
    page = context.new_page()
    witness = Witness(page)
    page.goto(home)
    assert words in page.inner_text("body").lower()
    assert f"{home}/api/incidents" in page.inner_text("body")
    assert page.locator("a[href='/docs']").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert witness.saw_nothing_wrong(home)
    context.close()


def test_the_docs_work_with_the_network_cable_pulled(world: World, browser: Browser) -> None:
    home = f"http://127.0.0.1:{world.port}"
    page = browser.new_page()
    witness = Witness(page)
    page.goto(f"{home}/swagger")
    assert page.url == f"{home}/docs"
    page.wait_for_selector(".opblock-summary-path")
    paths = page.locator(".opblock-summary-path").all_inner_texts()
    assert any("/api/incidents/status" in path.replace("\u200b", "") for path in paths)
    assert witness.saw_nothing_wrong(home)
    page.close()


def test_a_problem_s_type_is_a_page(world: World, browser: Browser) -> None:
    home = f"http://127.0.0.1:{world.port}"
    page = browser.new_page()
    witness = Witness(page)
    page.goto(home + world.stranger.lists().json["type"])
    assert "key" in page.inner_text("body").lower()
    page.goto(f"{home}/errors")
    page.locator("a[href='/errors/refused-move']").first.click()
    assert page.url == f"{home}/errors/refused-move"
    assert witness.saw_nothing_wrong(home)
    page.close()
