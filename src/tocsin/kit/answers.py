"""What a route gives back: a status, headers and bytes, sent as they are.

Starlette's `Response` works its headers out anew for every answer; this one is handed them.
"""

from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"


SHOWN_PATH = "tocsin.shown_path"  # in the scope: what a log says in place of a path that holds a secret
ANSWERED = "tocsin.answered"  # in the scope: the status that went out
DIRECT = "tocsin.direct"  # in the scope, where the server is ours: a `Direct`


class Direct(Protocol):
    """The connection itself: what ASGI's messages say in several turns, and what they cannot say."""

    def body(self) -> bytes | None:
        """The whole body, if it is here already; None: receive it."""
        ...

    def send(self, status: int, headers: Headers, body: bytes | memoryview) -> bool:
        """The whole answer in one write; False: nothing was sent, send it the usual way."""
        ...

    def hang_up(self) -> None:
        """Cuts the connection, whatever it still holds."""
        ...


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
        # What refuses may close the connection, and HEAD has no body: those go the server's own way.
        direct: Direct | None = scope.get(DIRECT) if self.status_code < 400 and scope["method"] != "HEAD" else None
        if direct is not None and direct.send(self.status_code, headers, self.body):
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
