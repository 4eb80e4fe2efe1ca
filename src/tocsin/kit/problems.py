"""Problems as HTTP says them: `application/problem+json` (RFC 9457)."""

import msgspec

from tocsin.kit.answers import PROBLEM, Answer
from tocsin.kit.errors import Problem

NO_STORE = (b"cache-control", b"no-store")


def answer(problem: Problem, request_id: str | None) -> Answer:
    """The answer that tells a caller of a problem."""
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in problem.headers.items()]
    body = msgspec.json.encode(problem.body(request_id))
    return Answer(body, problem.status, kind=PROBLEM, headers=[NO_STORE, *headers])
