"""Pages for people and for watchers: `/`, `/docs`, `/errors`, and the plain answers `/livez`, `/readyz`, `/metrics`."""

import tocsin
from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.kit import errors, metrics
from tocsin.kit.answers import HTML, TEXT, Answer, Headers
from tocsin.kit.errors import every_problem
from tocsin.web import console, pages, static
from tocsin.web.entrance import PAGES, signed_in, to_sign_in
from tocsin.web.render import HARDENED, languages

routes = Routes("service")

PROMETHEUS = b"text/plain; version=1.0.0; charset=utf-8"
QUIET = (b"referrer-policy", b"no-referrer")


@routes.add("GET HEAD", "/", may="public", shown=False, entrance=PAGES, parameters=console.LIST)
async def landing(call: Call) -> Answer:
    """The list for whoever has signed in; for others what this is, that it runs, and the three commands."""
    who = await signed_in(call)
    if who is not None:
        return await console.show_list(call, who)
    if b"hx-request" in call.headers_seen:  # an open list asks, and its session has ended
        return to_sign_in(call)
    return _page(pages.landing(languages=languages(call), address=_address(call), version=tocsin.__version__))


@routes.add("GET HEAD", "/docs", may="public", shown=False)
async def read_docs(call: Call) -> Answer:
    """Swagger UI, from this server alone."""
    return _page(pages.docs_page(), csp=pages.DOCS_CSP)


@routes.add("GET HEAD", "/swagger", may="public", shown=False)
async def swagger(call: Call) -> Answer:
    """Where the docs were in the original's framework."""
    return Answer(b"", 307, kind=TEXT, headers=[(b"location", b"/docs")])


@routes.add("GET", "/openapi.json", may="public", shown=False)
async def openapi_json(call: Call) -> Answer:
    """The API's description."""
    document: bytes = call.scope["app"].openapi_bytes()
    return Answer(document, headers=[(b"cache-control", b"no-cache")])


@routes.add("GET HEAD", "/errors", may="public", shown=False)
async def list_errors(call: Call) -> Answer:
    """Every kind of problem."""
    return _page(pages.errors_page(languages(call), list(every_problem())))


@routes.add("GET HEAD", "/errors/{slug}", may="public", shown=False)
async def read_error(call: Call) -> Answer:
    """One kind of problem: where `type` leads."""
    for problem in every_problem():
        if problem.slug == call.given("slug"):
            return _page(pages.error_page(languages(call), problem))
    raise errors.NotFound("There is no problem of this name; `/errors` lists them.")


@routes.add("GET HEAD", "/static/{path:path}", may="public", shown=False)
async def read_static(call: Call) -> Answer:
    """A file of the pages."""
    asset = static.asset(call.given("path"))
    if asset is None:
        raise errors.NotFound("There is no such file.")
    headers: Headers = [
        *HARDENED,
        QUIET,
        (b"etag", asset.etag),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
    ]
    if asset.etag in call.headers_seen.get(b"if-none-match", b""):
        return Answer(b"", 304, kind=asset.kind, headers=headers)
    if asset.gzipped is not None and b"gzip" in call.headers_seen.get(b"accept-encoding", b""):
        return Answer(asset.gzipped, kind=asset.kind, headers=[*headers, (b"content-encoding", b"gzip")])
    return Answer(asset.body, kind=asset.kind, headers=headers)


@routes.add("GET HEAD", "/livez", may="public", shown=False)
async def live(call: Call) -> Answer:
    """The process answers."""
    return Answer(b'{"live":true}', headers=[(b"cache-control", b"no-store")])


@routes.add("GET HEAD", "/readyz", may="public", shown=False)
async def ready(call: Call) -> Answer:
    """What the last look at the database saw; writes nothing and asks nothing itself."""
    service = call.service
    reason = "stopping" if service.stopping else "the database is away" if not service.db.ready else None
    if reason is None:
        return Answer(b'{"ready":true}', headers=[(b"cache-control", b"no-store")])
    raise errors.Unavailable(f"Not ready: {reason}.")


@routes.add("GET", "/metrics", may="public", shown=False)
async def read_metrics(call: Call) -> Answer:
    """Figures for Prometheus, of all workers."""
    return Answer(metrics.exposition(), kind=PROMETHEUS)


def _page(html: bytes, csp: str = pages.LANDING_CSP) -> Answer:
    headers: Headers = [
        *HARDENED,
        QUIET,
        (b"content-security-policy", csp.encode("ascii")),
        (b"vary", b"accept-language"),
    ]
    return Answer(html, kind=HTML, headers=[*headers, (b"cache-control", b"no-cache")])


def _address(call: Call) -> str:
    """Where the reader reached us, for the commands on the page."""
    settings = call.service.settings
    host = call.headers_seen.get(b"host", f"{settings.host}:{settings.port}".encode()).decode("latin-1")
    return f"{call.scope['scheme']}://{host}"
