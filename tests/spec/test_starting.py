"""An application that was not started says so, on every route."""

import asyncio
import json
from typing import Any

from fastapi.routing import iter_route_contexts

from tests.running import Clock
from tocsin.app import Tocsin, create_app
from tocsin.settings import Settings


def ask(app: Tocsin, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """One request without a server, and so without the lifespan."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "scheme": "http"}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_without_its_lifespan_every_route_is_503_and_says_why() -> None:
    app = create_app()
    seen = 0
    for context in iter_route_contexts(app.router.routes):
        route: Any = context.original_route
        for method in route.methods:
            status, said = ask(app, method, route.path.replace("{path:path}", "x"))
            assert (status, said["type"]) == (503, "/errors/unavailable"), route.path
            assert "lifespan" in said["detail"]
            seen += 1
    assert seen > 30


def test_making_the_application_reads_no_settings_and_opens_nothing(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOCSIN_PORT", "no number")
    create_app()
    create_app(Settings.model_validate({"data_dir": tmp_path / "data"}), clock=Clock())
    assert list(tmp_path.iterdir()) == []
