"""The pages that need no sign-in: the landing page, the problem types, the API documentation.

Every page is served with the content security policy that stands beside it here: no script (but for the
documentation's own files), no inline style, nothing from another host.
"""

import shlex
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

from tocsin.web.translate import ENGLISH, preferred, translations

if TYPE_CHECKING:
    from jinja2 import Environment

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
    return _render(
        "landing.html",
        preferred(languages),
        address=address.rstrip("/"),
        version=version,
    )


def errors_page(languages: str, entries: Sequence[ProblemType]) -> bytes:
    """All problem types, each with its slug as anchor."""
    return _render("errors.html", preferred(languages), entries=entries)


def error_page(languages: str, entry: ProblemType) -> bytes:
    """One problem type: where the `type` of an error leads."""
    return _render("error.html", preferred(languages), entry=entry)


@cache
def docs_page() -> bytes:
    """Swagger UI on `/openapi.json`; always English, as the description is."""
    return _render("docs.html", ENGLISH)


def _render(template: str, language: str, **values: object) -> bytes:
    return _environment(language).get_template(template).render(values).encode()


@cache
def _environment(language: str) -> "Environment":
    # Imported here because it costs a start of the program 0.1 s that only a page needs.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tocsin.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals["language"] = language
    # The address comes from a request and ends in a command that people paste: quoted for the shell, then for HTML.
    environment.filters["shell"] = shlex.quote
    return environment
