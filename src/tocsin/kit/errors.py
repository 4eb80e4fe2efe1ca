"""What can go wrong, by meaning. Rules return or raise these; one place turns them into HTTP.

    Problem
    ├── Malformed 400            the request cannot be read at all
    ├── NoKey 401
    ├── WrongKey 403             NotAllowed 403: the key is good, its role is not enough
    ├── NotFound 404             NoSuchPath 404
    ├── WrongMethod 405
    ├── TooSlow 408
    ├── RefusedMove 409          AlreadyThere 409    Sealed 409: with another key of the instance
    ├── VersionMismatch 412
    ├── TooLarge 413
    ├── WrongContentType 415
    ├── Invalid 422              KeyReused 422: an Idempotency-Key that stood for something else
    ├── TooMany 429
    ├── Broken 500
    └── Unavailable 503          not known to be done: send again with the same Idempotency-Key

A problem's `slug` is its stable name: `type` is `/errors/<slug>`, and `docs/errors.md` lists them all.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class Problem(Exception):
    """Something that a caller must be told; `detail` says what would be right."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = ""
    title: ClassVar[str] = ""
    meaning: ClassVar[str] = ""

    def __init__(self, detail: str = "", *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.meaning
        self.headers = dict(headers or {})
        self.more = more

    def body(self, request_id: str | None = None) -> dict[str, Any]:
        """The problem as RFC 9457 shows it, with the fields that this kind adds."""
        said: dict[str, Any] = {
            "type": f"/errors/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if request_id is not None:
            said["request_id"] = request_id
        return said | self.more


class Malformed(Problem):
    status, slug, title = 400, "malformed", "The request cannot be read"
    meaning = "The body is not JSON, is not UTF-8, or the connection broke while it was sent."


class NoKey(Problem):
    status, slug, title = 401, "no-key", "A key is needed"
    meaning = "Send a key in the header `x-api-key`; `tocsin keys create` makes one."


class WrongKey(Problem):
    status, slug, title = 403, "wrong-key", "The key is not valid"
    meaning = "The key in `x-api-key` is unknown, revoked or expired; ask an administrator for a new one."


class NotAllowed(Problem):
    status, slug, title = 403, "not-allowed", "The key's role may not do this"
    meaning = "The key is valid, but its role does not permit this; a key with another role is needed."


class NotFound(Problem):
    status, slug, title = 404, "not-found", "There is no such thing here"
    meaning = "Nothing has this id, or it is not yours to see."


class NoSuchPath(Problem):
    status, slug, title = 404, "no-such-path", "There is no such path"
    meaning = "The path is not one of Tocsin's; `/docs` lists them all."


class WrongMethod(Problem):
    status, slug, title = 405, "wrong-method", "The path does not take this method"
    meaning = "The path exists, but not with this method; the header `Allow` lists those that it takes."


class TooSlow(Problem):
    status, slug, title = 408, "too-slow", "The request came too slowly"
    meaning = "The body did not arrive within its deadline; nothing was stored."


class RefusedMove(Problem):
    status, slug, title = 409, "refused-move", "The incident cannot take this status"
    meaning = "An incident never goes back to `new`, nor from `closed` to `resolved` or `on_hold`; see `allowed`."


class AlreadyThere(Problem):
    status, slug, title = 409, "already-there", "This exists already"
    meaning = "Something with this name exists; choose another name or use the one that is there."


class Sealed(Problem):
    status, slug, title = 409, "sealed", "The secrets cannot be opened"
    meaning = "They were sealed with another TOCSIN_SECRET_KEY: put that one back, or give the secrets anew."


class VersionMismatch(Problem):
    status, slug, title = 412, "version-mismatch", "Somebody else changed it first"
    meaning = "The version in `If-Match` is not the current one: read the incident again and decide anew."


class TooLarge(Problem):
    status, slug, title = 413, "too-large", "The body is too large"
    meaning = "The body is over the limit of this path; nothing was stored."


class WrongContentType(Problem):
    status, slug, title = 415, "wrong-content-type", "The body is not said to be JSON"
    meaning = "Send the body as it is with `content-type: application/json`, not compressed."


class Invalid(Problem):
    status, slug, title = 422, "invalid", "A value cannot be used"
    meaning = "A field, a query parameter or a header has a value that cannot be used; `errors` names each."

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        """The usual case: one field, one sentence."""
        return cls(f"`{field}`: {message}", errors=[{"field": field, "message": message}])


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "This Idempotency-Key stood for another request"
    meaning = "The same Idempotency-Key came with another body or `If-Match`; use a new value for a new request."


class TooMany(Problem):
    status, slug, title = 429, "too-many-requests", "Too many requests"
    meaning = "The limit of requests a second is used up; wait as long as `Retry-After` says."


class Broken(Problem):
    status, slug, title = 500, "broken", "Something broke inside"
    meaning = "A fault of Tocsin's own; the log has it under this `request_id`."


class Unavailable(Problem):
    status, slug, title = 503, "unavailable", "Not possible at the moment"
    meaning = "Not known to be done: send it again, with the same Idempotency-Key, after `Retry-After` seconds."

    def __init__(self, detail: str = "", *, retry_after: int = 1, **more: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **more)


def every_problem() -> Iterator[type[Problem]]:
    """Each kind of problem in the order of its status, for the docs and the pages that serve them."""
    yield from sorted(Problem.__subclasses__(), key=lambda kind: (kind.status, kind.slug))
