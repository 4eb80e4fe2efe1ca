"""What one write of Tocsin leaves in its database: the very rows, which the engine's limit then writes by itself.

They are copied from what a running Tocsin wrote, so the limit writes the same columns with the same lengths, whatever
those are; only ids and times are new.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.scenario import draft
from bench.subjects import Dishonest, Subject

FRESH = ("id", "incident_id", "created_at", "updated_at", "at", "scope")  # what each write has of its own
Row = Mapping[str, object]


@dataclass(frozen=True)
class Written:
    """The rows of a filing under an Idempotency-Key, and the entry of a move."""

    incident: Row
    filed: Row
    kept: Row
    moved: Row


def file_one(tocsin: Subject) -> int:
    """Files an incident under a key of its own; its id."""
    key = {"idempotency-key": secrets.token_hex(16)}
    status, said = tocsin.call("POST", "/api/incidents", draft(1), key)
    if status != 201:
        raise Dishonest(f"Tocsin did not file under an Idempotency-Key: {status} {said}")
    tocsin.acknowledged += 1
    return int(said["incident"]["id"])


def written(row: Callable[[str], Row | None], incident_id: int) -> Written:
    """Finds them with `row`, which gives the first row of a query, without what each write has of its own."""

    def found(query: str) -> Row:
        whole = row(query)
        if not whole:
            raise Dishonest(f"Tocsin did not write what it acknowledged: nothing for {query}")
        return {name: value for name, value in whole.items() if name not in FRESH}

    return Written(
        found(f"SELECT * FROM incident WHERE id = {incident_id}"),
        found(f"SELECT * FROM entry WHERE incident_id = {incident_id} AND kind = 'filed'"),
        found("SELECT * FROM kept_answer ORDER BY created_at DESC LIMIT 1"),
        found("SELECT * FROM entry WHERE kind = 'moved' ORDER BY id DESC LIMIT 1"),
    )
