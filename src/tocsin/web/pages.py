"""The pages that need no sign-in: the landing page, the problem types, the API documentation.

Every page is served with the content security policy that stands beside it here: no script (but for the
documentation's own files), no inline style, nothing from another host.
"""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from tocsin.web.render import rendered
from tocsin.web.translate import ENGLISH, preferred

LANDING_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI's sheet draws its arrows as data: images; it works without inline styles or scripts.
DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ProblemType(Protocol):
    """One kind of error that the API can answer with; `slug` is the last part of its `type`."""

    @property
    def slug(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def meaning(self) -> str: ...


def landing(*, languages: str, address: str, version: str) -> bytes:
    """The page at `/`; `languages` is the Accept-Language value, `address` such as `http://127.0.0.1:8000`."""
    return rendered(
        "landing.html",
        preferred(languages),
        address=address.rstrip("/"),
        version=version,
    )


def errors_page(languages: str, entries: Sequence[ProblemType]) -> bytes:
    """All problem types, each with its slug as anchor."""
    return rendered("errors.html", preferred(languages), entries=entries)


def error_page(languages: str, entry: ProblemType) -> bytes:
    """One problem type: where the `type` of an error leads."""
    return rendered("error.html", preferred(languages), entry=entry)


@cache
def docs_page() -> bytes:
    """Swagger UI on `/openapi.json`; always English, as the description is."""
    return rendered("docs.html", ENGLISH)
