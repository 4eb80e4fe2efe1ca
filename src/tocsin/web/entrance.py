"""The pages' way in: a cookie in place of a key, forms in place of JSON, and pages that say what is wrong.

A cookie travels by itself, so whatever it allows to be written must come from one of our own pages: `must_be_ours`
looks where a form came from. The cookie is `SameSite=Lax` and not `Strict`, or a link in a chat would lead everybody
who has signed in to the sign-in once more.
"""

from collections.abc import Sequence
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers as Seen
from starlette.requests import cookie_parser

from tocsin.access import store
from tocsin.access.call import Call
from tocsin.access.model import SESSION_LASTS, Principal
from tocsin.kit import errors, receiving
from tocsin.kit.answers import TEXT, Answer, Headers
from tocsin.web import render

FORM = b"application/x-www-form-urlencoded"
MOST_FIELDS = 200
LIVE = "/live"  # what an open page listens to


class Form(dict[str, list[str]]):
    """A form's fields, as they were filled in."""

    def text(self, name: str) -> str:
        """One field without the spaces around it; empty where it was left out."""
        return self.get(name, [""])[-1].strip()

    def every(self, name: str) -> Sequence[str]:
        """The values of a field that may be ticked several times."""
        return [each.strip() for each in self.get(name, []) if each.strip()]


class Pages:
    """How people come in; see `access.guard.Entrance`."""

    async def caller(self, call: Call) -> Principal:
        """Whose session it is; raises `NoKey` where there is none, which leads to the sign-in."""
        who = await signed_in(call)
        if who is None:
            raise errors.NoKey
        return who

    async def take_in(self, call: Call, most: int) -> None:
        """The form, into `call.content`."""
        must_be_ours(call)
        call.content = await form(call, most)

    def refused(self, call: Call, problem: errors.Problem) -> Answer:
        """The sign-in where it is missing, else a page with the problem and what was filled in, to be sent again."""
        if isinstance(problem, errors.NoKey):
            return to_sign_in(call)
        headers: Headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        again = getattr(call, "content", None) or {}
        values = {"problem": problem, "back": _back(call), "again": again}
        return render.page(call, "refused.html", problem.status, headers=headers, **values)


PAGES = Pages()


async def signed_in(call: Call) -> Principal | None:
    """Whoever signed in at this browser, while the session and its key are good."""
    secret = session_secret(call)
    if secret is None:
        return None
    directory = call.service.directory
    session = await call.db.read(store.session_by, directory.session_hash(secret))
    if session is None or session.expires_at <= call.db.clock():
        return None
    return directory.by_id(session.key_id)


def session_secret(call: Call) -> str | None:
    """What the cookie holds."""
    raw = call.headers_seen.get(b"cookie", b"").decode("latin-1")
    return cookie_parser(raw).get(cookie_name(call)) or None


def cookie_name(call: Call) -> str:
    """Over TLS the browser itself sees to it that no other host and no other path can set it.

    Cookies know no ports: without the port in the name, a second Tocsin on this host would end the session here.
    """
    return "__Host-tocsin" if call.scope["scheme"] == "https" else f"tocsin-{call.scope['server'][1]}"


def cookie(call: Call, secret: str) -> tuple[bytes, bytes]:
    """The header that sets the session's cookie; an empty secret takes it back."""
    lasts = int(SESSION_LASTS.total_seconds()) if secret else 0
    secure = "; Secure" if call.scope["scheme"] == "https" else ""
    value = f"{cookie_name(call)}={secret}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}"
    return (b"set-cookie", value.encode("ascii"))


async def form(call: Call, most: int) -> Form:
    """The form that was sent; raises `Malformed` where it is none."""
    seen, settings = call.headers_seen, call.service.settings
    if seen.get(b"content-type", FORM).split(b";", 1)[0].strip().lower() != FORM:
        raise errors.WrongContentType("This page takes forms: `application/x-www-form-urlencoded`.")
    raw = await receiving.body(
        call.scope, call.receive, seen, most=most, chunk=settings.chunk_deadline, whole=settings.body_deadline
    )
    try:
        return Form(parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except (ValueError, UnicodeError):
        raise errors.Malformed("The form cannot be read: it must be percent-encoded UTF-8.") from None


def must_be_ours(call: Call) -> None:
    """Raises `NotAllowed` where a form does not come from a page of this very server."""
    seen = Seen(scope=call.scope)
    site, origin = seen.get("sec-fetch-site"), seen.get("origin")
    # Over plain HTTP browsers say the origin alone.
    if site != "same-origin" and (site is not None or origin is None or urlsplit(origin).netloc not in _homes(call)):
        raise errors.NotAllowed("This form was not sent from a page of this server; open the page and try again.")


def seen_other(where: str, headers: Headers | None = None) -> Answer:
    """Go on there: what a form that was taken answers."""
    return Answer(b"", 303, kind=TEXT, headers=[(b"location", where.encode("ascii")), *(headers or []), render.PRIVATE])


def _homes(call: Call) -> set[str]:
    """Where this server is reached, as the request and the settings say."""
    homes = {call.headers_seen.get(b"host", b"").decode("latin-1")}
    if call.service.settings.public_url is not None:
        homes.add(urlsplit(call.service.settings.public_url).netloc)
    return homes - {""}


def to_sign_in(call: Call) -> Answer:
    """Where somebody without a session goes on; after the sign-in back to what they asked for."""
    if call.scope["path"] == LIVE:
        return Answer(b"", 401, kind=TEXT, headers=[render.PRIVATE])  # a stream cannot be led elsewhere
    path = call.scope["path"] if call.scope["method"] == "GET" else "/"
    if call.scope["method"] == "GET" and call.scope["query_string"]:
        path += "?" + call.scope["query_string"].decode("latin-1")
    where = "/sign-in" + (f"?to={quote(path)}" if path != "/" else "")
    if b"hx-request" in call.headers_seen:
        # A part of a page was asked for: the page as a whole must go.
        return Answer(b"", 200, kind=TEXT, headers=[(b"hx-redirect", where.encode("ascii")), render.PRIVATE])
    return seen_other(where)


def _back(call: Call) -> str:
    """Where somebody whose form was refused goes on: the page of the thing, without what was to be done to it."""
    path: str = call.scope["path"]
    if call.scope["method"] == "GET":
        return "/"
    parts = path.split("/")
    return "/".join(parts[:3]) if len(parts) > 3 else "/".join(parts[:2]) or "/"
