"""The landing page, the problem types and the documentation page, as plain functions; no server is started here."""

import json
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest

from tocsin.web import pages
from tocsin.web.static import asset
from tocsin.web.translate import preferred

ADDRESS = "http://127.0.0.1:8000"
RUSSIAN = "ru-RU,ru;q=0.9,en;q=0.8"
HOSTILE = "http://\"><script>alert(1)</script>'; exit 9; $(exit 9) '"


@dataclass(frozen=True)
class Kind:
    slug: str
    status: int
    title: str
    meaning: str


KINDS = [
    Kind("no-key", 401, "No API key", "Send the x-api-key header."),
    Kind("refused-move", 409, "That move is refused", "Nothing moves <b>back</b> to new."),
]


class Page(HTMLParser):
    """What a test asks about a page: its tags with their attributes, its commands, its text."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.commands: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html.decode())
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "pre":
            self.commands.append("")
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self._open:
            self.commands[-1] += data
        assert not data.strip() or self._open[-1] not in ("script", "style"), "no inline script or style"

    def attributes(self, *names: str) -> list[str]:
        return [value or "" for _, attrs in self.tags for name, value in attrs.items() if name in names]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def landing(languages: str = "en", address: str = ADDRESS, version: str = "1.2.3") -> Page:
    return Page(pages.landing(languages=languages, address=address, version=version))


def every_page() -> dict[str, Page]:
    return {
        "landing": landing(),
        "landing in Russian": landing(RUSSIAN),
        "landing at a hostile address": landing(address=HOSTILE),
        "errors": Page(pages.errors_page("en", KINDS)),
        "errors in Russian": Page(pages.errors_page("ru", KINDS)),
        "one error": Page(pages.error_page("ru", KINDS[1])),
        "docs": Page(pages.docs_page()),
    }


@pytest.mark.parametrize(
    ("languages", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("RU-ru", "ru"),
        (RUSSIAN, "ru"),
        ("en-US,en;q=0.9,ru;q=0.8", "en"),
        ("en;q=0.5, ru;q=0.6", "ru"),
        ("de, ru;q=0.3", "ru"),
        ("de, fr;q=0.5", "en"),
        ("ru, en", "ru"),
        ("en, ru", "en"),
        ("*", "en"),
        ("*, ru", "ru"),
        ("ru;q=0.3, *;q=0.5", "en"),
        ("ru;q=0", "en"),
        ("ru;q=0, *", "en"),
        ("ru;q=0.000,en;q=0", "en"),
        ("ru;q=nan, en;q=0.1", "en"),
        ("ru;q=7, en;q=0.1", "en"),
        ("ru;q=-1", "en"),
        ("ru;q=", "en"),
        ("ru;level=1", "en"),
        ("rus", "en"),
        (",;,=;q", "en"),
        ("ru ; q = 0.9 , en;q=0.1", "ru"),
        ("en;q=0.1, ru;q=\u0661", "en"),
    ],
)
def test_the_page_speaks_the_language_that_the_browser_asks_for_most(languages: str, language: str) -> None:
    assert preferred(languages) == language
    assert ("html", {"lang": language}) in landing(languages).tags


def test_the_landing_page_says_what_runs_and_where_to_go_on() -> None:
    page = landing(version="4.5.6")
    assert "version 4.5.6" in page.text
    assert "Running" in page.text
    assert {"/docs", "/openapi.json", "/errors", "/readyz", "/metrics"} <= set(page.attributes("href"))
    for place in ("terminal", "data/first-key", "API_KEY", "tocsin keys create"):
        assert place in page.text


def test_the_russian_landing_page_is_russian() -> None:
    page = landing(RUSSIAN)
    assert "версия 1.2.3" in page.text
    assert "Работает" in page.text
    assert "incident register" not in page.text


def pasted(commands: str) -> list[str]:
    """What curl is given when the commands are pasted into a shell."""
    told = "curl() { printf '%s\\0' \"$@\"; }\n" + commands
    run = subprocess.run(["/bin/sh", "-c", told], capture_output=True, check=True, timeout=10)
    return run.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("languages", ["en", RUSSIAN])
def test_the_commands_work_as_pasted(languages: str) -> None:
    export, *calls = landing(languages).commands
    key = ["-H", f"x-api-key: {export.removeprefix('export TOCSIN_KEY=')}"]
    kind = ["-H", "content-type: application/json"]
    create, listing, change = (pasted(f"{export}\n{call}") for call in calls)
    assert create[:-1] == [f"{ADDRESS}/api/incidents", *key, *kind, "-d"]
    assert set(json.loads(create[-1])) == {"description", "source"}
    assert listing == [f"{ADDRESS}/api/incidents?status=active", *key]
    assert change[:-1] == [f"{ADDRESS}/api/incidents/status", "-X", "PATCH", *key, *kind, "-d"]
    assert json.loads(change[-1]) == {"incident_id": 1, "status": "in_progress"}


def test_a_hostile_address_stays_one_word_of_the_command_and_never_becomes_markup() -> None:
    page = landing(address=HOSTILE)
    assert page.count("script") == 0
    paths = ("/api/incidents", "/api/incidents?status=active", "/api/incidents/status")
    assert [pasted(command)[0] for command in page.commands[1:]] == [HOSTILE + path for path in paths]


def test_an_address_with_a_closing_slash_makes_no_double_slash() -> None:
    assert landing(address=ADDRESS + "/").commands == landing().commands


def test_every_problem_type_has_its_anchor_and_its_own_page() -> None:
    page = Page(pages.errors_page("en", KINDS))
    for kind in KINDS:
        assert kind.slug in page.attributes("id")
        assert f"/errors/{kind.slug}" in page.attributes("href")
        alone = Page(pages.error_page("en", kind))
        for text in (kind.title, kind.meaning, str(kind.status), kind.slug):
            assert text in page.text
            assert text in alone.text
        assert "/errors" in alone.attributes("href")


def test_the_documentation_starts_swagger_ui_from_our_own_files() -> None:
    scripts = [attrs["src"] for tag, attrs in Page(pages.docs_page()).tags if tag == "script"]
    assert scripts == [
        "/static/vendor/swagger-ui/swagger-ui-bundle.js",
        "/static/docs.js",
    ]


def test_no_page_needs_more_than_its_content_security_policy_allows() -> None:
    for name, page in every_page().items():
        assert page.count("style") == page.count("form") == page.count("base") == 0, name
        assert page.count("script") == (2 if name == "docs" else 0), name
        for _, attrs in page.tags:
            assert not [attr for attr in attrs if attr == "style" or attr.startswith(("on", "hx-", "srcdoc"))], name
    for policy in (pages.LANDING_CSP, pages.DOCS_CSP):
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'; ")


def test_no_page_refers_to_another_host_or_to_a_file_that_is_not_there() -> None:
    for name, page in every_page().items():
        for target in page.attributes("href", "src", "action", "srcset", "data", "poster"):
            assert target.startswith(("/", "#")), f"{name}: {target}"
            assert not target.startswith("//"), f"{name}: {target}"
            if target.startswith("/static/"):
                assert asset(target.removeprefix("/static/")), f"{name}: {target}"


def test_every_page_can_be_read_by_a_screen_reader() -> None:
    for name, page in every_page().items():
        ids = page.attributes("id")
        assert len(ids) == len(set(ids)), name
        assert set(page.attributes("aria-labelledby")) <= set(ids), name
        assert page.count("title") == page.count("main") == 1, name
        assert name == "docs" or page.count("h1") == 1, name
        assert all("alt" in attrs for tag, attrs in page.tags if tag == "img"), name
        # A box that scrolls must be reachable from the keyboard.
        assert all(attrs.get("tabindex") == "0" for tag, attrs in page.tags if tag == "pre"), name
