"""What a route gives back: a status, headers and bytes, sent as they are.

Starlette's `Response` works its headers out anew for every answer; this one is handed them.
"""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"


SHOWN_PATH = "tocsin.shown_path"  # in the scope: what a log says in place of a path that holds a secret
ANSWERED = "tocsin.answered"  # in the scope: the status that went out


class Answer(Response):
    """An answer whose body is already bytes; `headers` come on top of type and length."""

    def __init__(self, body: bytes, status: int = 200, *, kind: bytes = JSON, headers: Headers | None = None) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        if headers:
            self.raw_headers += headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"x-request-id", scope["request_id"].encode("ascii"))]
        scope[ANSWERED] = self.status_code
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
