"""A real browser for the pages: Debian's Chromium, driven over a running Tocsin."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.stage import ENGINES, Stage

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
