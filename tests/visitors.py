"""Somebody at a browser without scripts: pages, forms, a cookie. `world.visits(world.ada)` signs in."""

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from tests.people import Reachable


class _Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.forms: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "form":
            self.forms += [] if given.get("method") == "dialog" else [given.get("action") or ""]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass(frozen=True)
class Page:
    """What came back: where it leads on, or what it shows."""

    status: int
    headers: Message
    html: str

    @property
    def leads_to(self) -> str:
        assert self.status == 303, self
        return str(self.headers["location"])

    @property
    def text(self) -> str:
        """What it says, in one line."""
        return " ".join(" ".join(_Text(self.html).words).split())

    @property
    def links(self) -> list[str]:
        return _Text(self.html).links

    @property
    def forms(self) -> list[str]:
        return _Text(self.html).forms

    @property
    def policy(self) -> str:
        return str(self.headers["content-security-policy"])

    def found(self, pattern: str) -> str:
        """What the page's source holds at a place."""
        found = re.search(pattern, self.html)
        assert found, f"{pattern} is not in {self.html}"
        return unescape(found[1])


class Visitor:
    """A browser with one cookie. `site` is what it says of where a form comes from; None: nothing, as over HTTP."""

    def __init__(self, server: Reachable, language: str = "en") -> None:
        self._server = server
        self._language = language
        self.cookie: str | None = None
        self.set_cookie = ""

    def signs_in(self, key: str | None, **more: Any) -> Page:
        return self.posts("/sign-in", key=key or "", **more)

    def gets(self, path: str, **headers: str) -> Page:
        return self._ask("GET", path, None, headers)

    def posts(self, path: str, *, headers: Mapping[str, str | None] | None = None, **fields: Any) -> Page:
        """Sends a form from a page of ours."""
        home = f"http://127.0.0.1:{self._server.port}"
        given = {"Origin": home, "Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._ask("POST", path, urlencode(fields, doseq=True).encode(), given)

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str | None]) -> Page:
        line: http.client.HTTPConnection = self._server.connection()
        # A browser stays at one address, and a world that restarts moves to another port.
        cookie = self.cookie and re.sub(r"^tocsin-\d+=", f"tocsin-{self._server.port}=", self.cookie)
        given = {"Accept-Language": self._language, "Cookie": cookie, **headers}
        line.request(method, path, body, {name: value for name, value in given.items() if value is not None})
        said = line.getresponse()
        if "set-cookie" in said.headers:
            self.set_cookie = said.headers["set-cookie"]
            value = self.set_cookie.split(";")[0]
            self.cookie = None if value.endswith("=") else value
        page = Page(said.status, said.headers, said.read().decode())
        line.close()
        return page
