"""Templates into pages, each with the content security policy that it needs and no more.

A page with scripts names each of them by a nonce that is good for this answer alone: whatever else finds its way into
the page does not run. `hx-csp` asks the same of every attribute that makes htmx act.
"""

import json
import secrets
import shlex
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from tocsin.access.call import Call
from tocsin.access.model import MAY, Permission, Principal
from tocsin.incidents.model import Incident, summary_of
from tocsin.kit.answers import HTML, Answer, Headers
from tocsin.kit.clock import rfc3339
from tocsin.web.translate import preferred, translations

if TYPE_CHECKING:
    from jinja2 import Environment

PRIVATE = (b"cache-control", b"no-store")
HARDENED: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]
CSP = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx"
)


def page(call: Call, template: str, status: int = 200, *, headers: Headers | None = None, **values: object) -> Answer:
    """A page of the console for whoever asks; templates know `who`, `nonce` and `language` besides the values."""
    nonce = secrets.token_urlsafe(16)
    who = getattr(call, "principal", None)
    language = preferred(languages(call))
    # A page that is open already takes only a part of this one, and no scripts.
    about = {"nonce": nonce, "who": who, "here": call.scope["path"], "part": b"hx-request" in call.headers_seen}
    html = rendered(template, language, **about, **values)
    policy = CSP.format(nonce=nonce).encode("ascii")
    said: Headers = [
        *HARDENED,
        PRIVATE,
        (b"content-security-policy", policy),
        # Not `no-referrer`: a browser would then say `Origin: null` of our own forms too.
        (b"referrer-policy", b"same-origin"),
        (b"vary", b"accept-language, cookie"),
    ]
    return Answer(html, status, kind=HTML, headers=[*said, *(headers or [])])


def languages(call: Call) -> str:
    """The languages that the browser asks for."""
    return call.headers_seen.get(b"accept-language", b"").decode("latin-1")


def rendered(template: str, language: str, **values: object) -> bytes:
    """A template with its values, in a language."""
    return environment(language).get_template(template).render(values).encode("utf-8", "replace")


@cache
def environment(language: str) -> "Environment":
    """The templates as this language reads them."""
    # Imported here because it costs a start of the program 0.1 s that only a page needs.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tocsin.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals["language"] = language
    # The address comes from a request and ends in a command that people paste: quoted for the shell, then for HTML.
    made.filters["shell"] = shlex.quote
    made.filters |= {"summary": summary_of, "iso": rfc3339, "labels": _labels, "pretty": _pretty, "number": _number}
    made.globals["may"] = _may
    return made


def _may(who: Principal, permission: Permission) -> bool:
    """Whether a page should offer something at all; the route decides."""
    return who.role in MAY[permission]


def _number(count: int) -> str:
    """A large number in groups of three, apart by a narrow space that does not break."""
    return f"{count:,}".replace(",", "\u202f")


def _labels(incident: Incident) -> Iterable[tuple[str, str]]:
    labels: dict[str, str] = json.loads(incident.labels)
    return labels.items()


def _pretty(text: str) -> str:
    """JSON in lines; anything else as it came."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
