"""Settings as people read them: the tables of `docs/settings.md`, and `.env.example`.

Both come from `tocsin/settings.py`; here stand only their order and what to write where there is no default.
"""

import textwrap
from collections.abc import Iterator
from typing import Any

from tocsin.settings import NAMES, Settings

# The first lines are the original service's own file, word for word: its README prints them.
ORIGINAL = """\
# App config
DEBUG=False
api_key=your_api_key_here

# Database
DB_NAME=database
DB_USER=user
DB_PASSWORD=password
DB_HOST=localhost
DB_PORT=5432
"""

OURS = """\
# Tocsin's own settings, each with its default: take away the `#` in front of a name to change it.
# The environment wins over this file. Write a value with `$`, `#` or spaces in single quotes.
"""

GROUPS: dict[str, tuple[str, ...]] = {
    "Where it listens": ("TOCSIN_HOST", "TOCSIN_PORT", "TOCSIN_PUBLIC_URL", "TOCSIN_TRUSTED_PROXIES"),
    "The database": (
        "TOCSIN_DATA_DIR",
        "TOCSIN_DATABASE_URL",
        "TOCSIN_WORKERS",
        "TOCSIN_DATABASE_POOLER",
        "TOCSIN_LOCK_TIMEOUT",
        "TOCSIN_STATEMENT_TIMEOUT",
        "TOCSIN_IDLE_IN_TRANSACTION_TIMEOUT",
    ),
    "Keys": ("API_KEY", "TOCSIN_SECRET_KEY"),
    "Limits and deadlines": (
        "TOCSIN_RATE_LIMIT",
        "TOCSIN_ADDRESS_RATE_LIMIT",
        "TOCSIN_HEADER_DEADLINE",
        "TOCSIN_CHUNK_DEADLINE",
        "TOCSIN_BODY_DEADLINE",
        "TOCSIN_STOP_GRACE",
    ),
    "What is kept": ("TOCSIN_KEEP_RAW", "TOCSIN_RAW_CAP", "TOCSIN_FREE_SPACE_FLOOR"),
    "Who is told": (
        "TOCSIN_SMTP_URL",
        "TOCSIN_MAIL_FROM",
        "TOCSIN_ALLOWED_TARGETS",
        "TOCSIN_ALLOWED_PORTS",
        "TOCSIN_TELEGRAM_API",
    ),
    "Who watches Tocsin": ("TOCSIN_HEARTBEAT_URL", "TOCSIN_HEARTBEAT_EVERY"),
    "The log": ("TOCSIN_LOG_FORMAT", "TOCSIN_LOG_LEVEL", "TOCSIN_ACCESS_LOG", "DEBUG"),
    "The original service's database": ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT"),
}

# For `.env.example`, where there is no default to show.
EXAMPLES = {
    "TOCSIN_DATABASE_URL": "postgresql://user:password@localhost:5432/database",
    "TOCSIN_PUBLIC_URL": "https://tocsin.example.com",
    "TOCSIN_SECRET_KEY": "",
    "TOCSIN_SMTP_URL": "smtp://user:password@mail.example.com:587",
    "TOCSIN_MAIL_FROM": "'Tocsin <tocsin@example.com>'",
    "TOCSIN_HEARTBEAT_URL": "https://hc-ping.com/your-check",
}

FIELDS = {str(field.alias): field for field in Settings.model_fields.values()}


def default(name: str) -> str:
    """A setting's default as one would write it; empty where there is none."""
    value: Any = FIELDS[name].default
    if isinstance(value, bool):  # first: True is also the number 1
        return "on" if value else "off"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def table_rows(names: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Each setting's name, default and sentence, for a table."""
    for name in names:
        shown = default(name)
        yield f"`{name}`", f"`{shown}`" if shown else "", str(FIELDS[name].description)


def env_example() -> str:
    """The whole file."""
    parts = [ORIGINAL, OURS]
    for title, names in GROUPS.items():
        ours = [name for name in names if name.startswith("TOCSIN_")]
        if ours:
            parts.append("".join([f"## {title}\n", *map(_with_its_sentence, ours)]))
    return "\n".join(parts)


def _with_its_sentence(name: str) -> str:
    sentence = textwrap.fill(
        str(FIELDS[name].description), 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return f"{sentence}\n#{name}={EXAMPLES.get(name, default(name))}\n"


def left_out() -> set[str]:
    """Settings that stand in no group, or in two, or that a group names and that are none."""
    listed = [name for names in GROUPS.values() for name in names]
    return set(listed) ^ set(NAMES) | {name for name in listed if listed.count(name) > 1}
