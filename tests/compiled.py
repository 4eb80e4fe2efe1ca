"""SQL is compiled once for all worlds of a test run, as in a server that runs for days.

Each world has engines of its own, and an engine keeps what it has compiled for itself and its dialect: a quarter of the
processor time of the behaviour tests went into compiling the same statements again and again.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T", Engine, AsyncEngine)


def once(create: Callable[..., T]) -> Callable[..., T]:
    """`create_engine`, or its sister, but all engines of one kind share what the first of them has compiled."""
    first: dict[object, tuple[Any, Any]] = {}

    def shared(url: str, **options: Any) -> T:
        made = create(url, **options)
        engine = made.sync_engine if isinstance(made, AsyncEngine) else made
        kind = url, options.get("isolation_level")
        dialect, _ = first.setdefault(kind, (engine.dialect, engine._compiled_cache))
        if getattr(dialect, "default_isolation_level", None) is None:  # never connected: it knows no server yet
            first[kind] = engine.dialect, engine._compiled_cache
        else:
            engine.dialect, engine._compiled_cache = first[kind]
        return made

    return shared
