"""What is measured: three scenarios, each an endless ring of requests over a register that is already filled.

A change of status must always be a change. The ring of moves goes over all filled incidents again and again and gives
each the next of three active statuses; so even a request that was cut off never turns a later one into no move.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILLED = 12_000  # incidents in the register before anything is measured
LISTED = 50
RING = ("open", "in_progress", "on_hold")
DESCRIPTIONS = (
    "Самокат {n} не в сети: последний сигнал десять минут назад, район вокзала",
    "Point of sale {n} does not answer, the shop calls for the second time",
    'Night export {n} failed: "disk quota exceeded" on the third volume',
    "Клиент сообщает, что заявка {n} висит без ответа со вчерашнего дня",
)
SOURCES = ("operator", "monitoring", "partner")


@dataclass(frozen=True)
class Scenario:
    """`requests` lie one per line in `file`, as `METHOD PATH BODY`; `size` is how many before the ring starts again."""

    name: str
    file: Path
    size: int
    creates: bool = False
    moves: bool = False


def drafts(count: int = FILLED) -> list[dict[str, str]]:
    """The incidents that the register is filled with; each stands one step before its first move in the ring."""
    return [
        {"description": _description(n), "status": RING[(n - 1) % 3], "source": SOURCES[n % 3]} for n in range(count)
    ]


def scenarios(folder: Path, ids: range) -> list[Scenario]:
    """Writes the rings into `folder`; `ids` are the filled incidents, in the order of `drafts`."""
    creates = [_create(n) for n in range(4_000)]
    lists = [f"GET /api/incidents?status={status}&limit={LISTED}" for status in RING]
    moves = [_move(incident_id, status) for incident_id, status in ring_of_moves(ids)]
    return [
        Scenario("create", _written(folder / "create", creates), len(creates), creates=True),
        Scenario(f"list of {LISTED}", _written(folder / "list", lists), len(lists)),
        Scenario("change status", _written(folder / "moves", moves), len(moves), moves=True),
    ]


def ring_of_moves(ids: range) -> Iterable[tuple[int, str]]:
    for lap in range(len(RING)):
        for n, incident_id in enumerate(ids):
            yield incident_id, RING[(lap + n) % 3]


def statuses_after(ids: range, moves: int) -> dict[int, str]:
    """What the filled incidents' statuses are when the first `moves` requests of the ring were all carried out."""
    expected = {incident_id: RING[(n - 1) % 3] for n, incident_id in enumerate(ids)}
    ring = list(ring_of_moves(ids))
    for step in range(max(0, moves - len(ids)), moves):
        incident_id, status = ring[step % len(ring)]
        expected[incident_id] = status
    return expected


def _create(n: int) -> str:
    body = {"description": _description(n), "source": SOURCES[n % 3]}
    return f"POST /api/incidents {json.dumps(body, ensure_ascii=False)}"


def _move(incident_id: int, status: str) -> str:
    return f"PATCH /api/incidents/status {json.dumps({'incident_id': incident_id, 'status': status})}"


def _description(n: int) -> str:
    return DESCRIPTIONS[n % len(DESCRIPTIONS)].format(n=800_000 + n)


def _written(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join(lines) + "\n")
    return file
