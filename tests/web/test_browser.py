"""The pages in a real browser: Debian's Chromium, driven over a running Tocsin."""

from typing import Literal

import pytest
from playwright.sync_api import Browser, ViewportSize

from tests.web.conftest import Witness
from tests.world import World


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
