"""The original's README as data: its blocks, word for word.

`README.original.md` beside this file is a byte-for-byte copy of the README of the service that Tocsin takes over from
(the answer to buildin.ai's case task); `schema.sql` is what its only migration makes in PostgreSQL. Neither is edited.
"""

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = (HERE / "README.original.md").read_text(encoding="utf-8")
SCHEMA = (HERE / "schema.sql").read_text(encoding="utf-8")
KEY = "your_api_key_here"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in the README's order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def env() -> str:
    """The `.env` that it prints, once for Docker Compose and once for a local start."""
    first, second = (block for block in blocks("json") if block.startswith("# App config"))
    assert first == second
    return first


def curls() -> list[str]:
    """Create, list, change status."""
    return [block for block in blocks("shell") if block.startswith("curl ")]


def command(beginning: str) -> str:
    """The one shell block that begins with these words."""
    [found] = [block.strip() for block in blocks("shell") if block.startswith(beginning)]
    return found


def documents() -> list[dict[str, Any]]:
    """Its examples of bodies, each request followed by its answer: create, list, change status."""
    return [json.loads(block) for block in blocks("json") if block.startswith("{")]
