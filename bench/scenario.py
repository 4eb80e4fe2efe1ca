"""What is measured: scenarios, each an endless ring of requests over a register that is already filled.

A change of status must always be a change. The ring of moves goes over all filled incidents again and again and gives
each the next of three active statuses; so even a request that was cut off never turns a later one into no move.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.plan import LISTED

RING = ("open", "in_progress", "on_hold")
DESCRIPTIONS = (
    "Самокат {n} не в сети: последний сигнал десять минут назад, район вокзала",
    "Point of sale {n} does not answer, the shop calls for the second time",
    'Night export {n} failed: "disk quota exceeded" on the third volume',
    "Клиент сообщает, что заявка {n} висит без ответа со вчерашнего дня",
)
SOURCES = ("operator", "monitoring", "partner")

CREATE, KEYED, LIST, ONE, MOVE = "create", "create, Idempotency-Key", f"list of {LISTED}", "get one", "change status"
HUNDRED, THOUSAND = "batch of 100", "batch of 1,000"
THE_THREE = (CREATE, LIST, MOVE)
ALONE = (CREATE, LIST, ONE, MOVE)
IN_ONE = {HUNDRED: 100, THOUSAND: 1_000}


@dataclass(frozen=True)
class Scenario:
    """`requests` lie one per line in `file`, as `METHOD PATH BODY`; `size` is how many before the ring starts again.

    `creates` counts the incidents that one request files; `keyed` gives each request an Idempotency-Key of its own.
    """

    name: str
    file: Path
    size: int
    creates: int = 0
    moves: bool = False
    keyed: bool = False


def drafts(count: int) -> list[dict[str, str]]:
    """The incidents that the register is filled with; each stands one step before its first move in the ring."""
    return [
        {"description": description(n), "status": RING[(n - 1) % 3], "source": SOURCES[n % 3]} for n in range(count)
    ]


def scenarios(folder: Path, ids: range) -> dict[str, Scenario]:
    """Writes the rings into `folder`; `ids` are the filled incidents, in the order of `drafts`."""
    lists = [f"GET /api/incidents?status={status}&limit={LISTED}" for status in RING]
    moves = [_move(incident_id, status) for incident_id, status in ring_of_moves(ids)]
    ones = [f"GET /api/incidents/{incident_id}" for incident_id in ids]
    made = [
        _scenario(CREATE, folder, creates := [_create(n) for n in range(4_000)], creates=1),
        _scenario(KEYED, folder, creates, creates=1, keyed=True),
        _scenario(LIST, folder, lists),
        _scenario(ONE, folder, ones),
        _scenario(MOVE, folder, moves, moves=True),
        *(_scenario(name, folder, [_batch(n, size) for n in range(10)], creates=size) for name, size in IN_ONE.items()),
    ]
    return {each.name: each for each in made}


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


def draft(n: int) -> dict[str, str]:
    return {"description": description(n), "source": SOURCES[n % 3]}


def description(n: int) -> str:
    return DESCRIPTIONS[n % len(DESCRIPTIONS)].format(n=800_000 + n)


def _scenario(name: str, folder: Path, lines: Sequence[str], **kind: int) -> Scenario:
    file = folder / name.replace(" ", "-")
    file.write_text("\n".join(lines) + "\n")
    return Scenario(name, file, len(lines), kind.get("creates", 0), bool(kind.get("moves")), bool(kind.get("keyed")))


def _create(n: int) -> str:
    return f"POST /api/incidents {json.dumps(draft(n), ensure_ascii=False)}"


def _batch(n: int, size: int) -> str:
    incidents = [draft(n * size + each) for each in range(size)]
    return f"POST /api/incidents/batch {json.dumps({'incidents': incidents}, ensure_ascii=False)}"


def _move(incident_id: int, status: str) -> str:
    return f"PATCH /api/incidents/status {json.dumps({'incident_id': incident_id, 'status': status})}"
