"""The one way in: every route is built by `Routes`, declares its permission, and enforces it itself.

FastAPI never runs the `Depends` of a route that overrides its handler, and its own way costs more than the
database; so the route class asks for the key, checks the role, counts against the limits and reads the body.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Protocol

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from tocsin.access.call import Call, Service, idempotency_key
from tocsin.access.knocking import caller, count
from tocsin.access.model import MAY, Permission, Principal
from tocsin.kit import errors, openapi, problems, receiving
from tocsin.kit.answers import SHOWN_PATH, Answer
from tocsin.kit.bodies import Shape

Endpoint = Callable[[Call], Awaitable[Answer]]

MIB = 1024 * 1024
WRITES = frozenset({"POST", "PATCH", "PUT"})
ANY_CALL = (errors.NoKey, errors.WrongKey, errors.NotAllowed, errors.TooMany, errors.Unavailable)
WITH_BODY = (errors.Malformed, errors.TooSlow, errors.TooLarge, errors.WrongContentType, errors.Invalid)


class Entrance(Protocol):
    """Another way in than by a key in a header: a page's, by its cookie and with its forms."""

    async def caller(self, call: Call) -> Principal:
        """Who comes; raises `NoKey`."""
        ...

    async def take_in(self, call: Call, most: int) -> None:
        """The body into `call.content`; raises where it comes from elsewhere."""
        ...

    def refused(self, call: Call, problem: errors.Problem) -> Answer:
        """The answer that says what is wrong."""
        ...


class Guarded(APIRoute):
    """A route that cannot be built without a permission."""

    exact: ClassVar[set[str]] = set()  # `/api/incidents/status` is never `/api/incidents/{incident_id}`

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        may: Permission,
        takes: Shape[Any] | None = None,
        empty_too: bool = False,
        once: bool = True,
        bare: bool = False,
        entrance: Entrance | None = None,
        veiled: bool = False,
        refusing: Callable[[errors.Problem, str], Answer] | None = None,
        most: int = MIB,
        queries: Sequence[str] = (),
        shapes: Sequence[type] = (),
        **rest: Any,
    ) -> None:
        super().__init__(path, endpoint, **rest)
        self.may = may
        self.roles = MAY.get(may, frozenset())
        self.takes = takes
        self.empty_too = empty_too
        self.once = once
        self.bare = bare  # the endpoint takes the body in itself, whatever it is
        self.entrance = entrance
        self.veiled = veiled  # its path holds a secret, which no log line may say
        self.refusing = refusing  # a wrong method in the words of whoever calls here
        self.most = most
        self.queries = frozenset(queries)
        self.shapes = shapes  # for the docs
        self.fixed = "{" not in path
        if self.fixed:
            self.exact.add(path)
        self.serve = endpoint
        self.app = self._answer  # FastAPI's own handler is never called

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self.fixed:  # most paths: no need for a regular expression
            if scope["path"] != self.path:
                return Match.NONE, {}
            match = Match.FULL if scope["method"] in (self.methods or ()) else Match.PARTIAL
            return match, {"path_params": {}, "route": self}
        if scope["path"] in self.exact:
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.veiled:
            scope[SHOWN_PATH] = self.path
        if scope["method"] not in (self.methods or ()):
            allowed = {"Allow": ", ".join(allowed_methods(scope))}
            # Under no name here: an error that is raised keeps the frames that it came through, and they their names.
            if self.refusing is None:
                raise errors.WrongMethod(headers=allowed)
            await self.refusing(errors.WrongMethod(headers=allowed), scope["request_id"])(scope, receive, send)
            return
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        service: Service | None = scope["app"].service
        call = Call(scope, receive, send)
        scope["route"] = self
        try:
            if service is None:
                raise errors.Unavailable("Tocsin has not been started: the server must run the app's lifespan.")
            answer = await self._admit(call, service)
        except errors.Problem as problem:
            answer = self._refused(call, problem)
        if "limit_headers" in scope:
            answer.raw_headers += scope["limit_headers"]
        await answer(scope, receive, send)

    async def _admit(self, call: Call, service: Service) -> Answer:
        call.service = service
        call.headers_seen = seen = dict(call.scope["headers"])
        call.allowed_queries = self.queries
        if self.may != "public":
            call.principal = await (self.entrance.caller(call) if self.entrance else caller(call, seen))
            count(call, call.principal.owner)
            if call.principal.role not in self.roles:
                raise errors.NotAllowed(_wrong_role(call.principal, self.may))
        if call.scope["method"] in WRITES and not self.bare:
            await self._take_body(call, service, seen)
        return await self.serve(call)

    def _refused(self, call: Call, problem: errors.Problem) -> Answer:
        if self.entrance is None or not hasattr(call, "service"):
            return problems.answer(problem, call.scope["request_id"])
        return self.entrance.refused(call, problem)

    async def _take_body(self, call: Call, service: Service, seen: dict[bytes, bytes]) -> None:
        if self.entrance is not None:
            await self.entrance.take_in(call, self.most)
            return
        given = idempotency_key(seen)  # also where nothing is written: a bad one is a slip of the caller's
        if given is not None and not self.once:
            raise errors.Invalid.field(
                "Idempotency-Key", "is not taken here: the answer holds a secret and is never kept"
            )
        settings = service.settings
        call.raw_body = await receiving.body(
            call.scope, call.receive, seen, most=self.most, chunk=settings.chunk_deadline, whole=settings.body_deadline
        )
        raw = call.raw_body
        if self.empty_too and not raw.strip():
            raw = b"{}"
        else:
            receiving.must_be_json(seen)
        call.content = self.takes.read(raw) if self.takes is not None else None


def _wrong_role(who: Principal, may: Permission) -> str:
    right = ", ".join(sorted(MAY[may]))
    return f"This key has the role `{who.role}`; {may.replace(':', ': ')} takes one of {right}."


def allowed_methods(scope: Scope) -> list[str]:
    """Every method that this path takes, over all routes."""
    methods: set[str] = set()
    for route in scope["app"].router.routes:
        if route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


class Routes(list[Guarded]):
    """A feature's routes under one heading of the docs; `app.py` puts all of them together."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag

    def add(
        self,
        methods: str,
        *paths: str,
        may: Permission,
        takes: type | None = None,
        shows: type | None = None,
        nested: bool = False,
        status: int = 200,
        parameters: Sequence[openapi.Parameter] = (),
        refuses: Sequence[type[errors.Problem]] = (),
        gives: type | None = None,
        shown: bool = True,
        **how: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Operations on one endpoint. The first path is the documented one, the others are aliases of it.

        `takes` is the body's shape (`shows` the one in the docs, where that is another), `gives` the answer's.
        """
        shape: Shape[Any] | None = Shape(takes, nested=nested) if takes is not None else None
        told = _Told(shows or takes, gives, status, parameters, refuses)
        queries = [parameter.name for parameter in parameters if parameter.place == "query"]

        def build(endpoint: Endpoint) -> Endpoint:
            for path, method in product(paths, methods.split()):
                documented = shown and path == paths[0]
                name = f"{endpoint.__name__}_{method.lower()}" if " " in methods else endpoint.__name__
                more: dict[str, Any] = told.operation(method, how) if documented else {}
                more |= {"tags": [self.tag], "operation_id": name, "include_in_schema": documented}
                self.append(
                    Guarded(path, endpoint, methods=[method], may=may, takes=shape, queries=queries, **how, **more)
                )
            return endpoint

        return build


@dataclass(frozen=True)
class _Told:
    """What the docs say of an operation."""

    takes: type | None
    gives: type | None
    status: int
    parameters: Sequence[openapi.Parameter]
    refuses: Sequence[type[errors.Problem]]

    def operation(self, method: str, how: Mapping[str, Any]) -> dict[str, Any]:
        writes = method in WRITES
        more = [openapi.IDEMPOTENCY] if writes and how.get("once", True) else []
        extra: dict[str, Any] = {"parameters": [parameter.said() for parameter in (*self.parameters, *more)]}
        if self.takes is not None:
            extra["requestBody"] = openapi.body(self.takes, optional=how.get("empty_too", False))
        refuses = [*ANY_CALL, *(WITH_BODY if writes else ()), *self.refuses]
        return {
            "status_code": self.status,
            "responses": openapi.answers(self.status, self.gives, "Done.", list(dict.fromkeys(refuses))),
            "openapi_extra": extra,
            "shapes": [kind for kind in (self.takes, self.gives) if kind is not None],
        }
