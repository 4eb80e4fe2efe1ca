"""Histories: eight clients change the same few incidents, each only the version that it has seen (`If-Match`).

Every version is made once, none is lost, and nobody reads what is older than what had been answered before they asked.
On PostgreSQL one commit in twenty fails with 40001: no client may hear of it.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.client import Client
from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.faults.ground import Ground
from tests.faults.ledger import Register

CLIENTS = 8
INCIDENTS = 5
OPERATIONS = size(2_000, 16_000)
MOODY = """
CREATE FUNCTION moody() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  IF random() < 0.05 THEN RAISE EXCEPTION 'not today' USING ERRCODE = '40001'; END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER moody_commit AFTER INSERT OR UPDATE ON last_batch DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION moody();
"""


@dataclass(frozen=True)
class Step:
    """One operation on one incident: what its client knew when it was answered, and when. `wrote` or only read."""

    incident: int
    version: int
    text: str
    wrote: bool
    began: float
    ended: float


class Editor(threading.Thread):
    """Reads an incident, and writes on from what it has read; somebody else may have been quicker."""

    def __init__(self, name: str, client: Client, incidents: Sequence[int], operations: int) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.steps: list[Step] = []
        self.late = 0
        self._incidents = incidents
        self._operations = operations
        self._chance = random.Random(name)

    def run(self) -> None:
        known: dict[int, Step] = {}
        with self.client:
            for number in range(self._operations):
                id = self._chance.choice(self._incidents)
                if id not in known or self._chance.random() < 0.2:
                    known[id] = self._read(id)
                elif (written := self._write(known[id], f"{self.name}-{number}")) is not None:
                    known[id] = written
                else:
                    del known[id]
                    self.late += 1

    def _read(self, id: int) -> Step:
        began = time.monotonic()
        answer = self.client.ask("GET", f"/api/incidents/{id}")
        assert answer.status == 200, answer
        return self._step(answer.incident, began, wrote=False)

    def _write(self, before: Step, text: str) -> Step | None:
        began = time.monotonic()
        path, body = f"/api/incidents/{before.incident}", {"description": f"{text} after {before.text.split()[0]}"}
        answer = self.client.insist("PATCH", path, body, once=text, version=before.version)
        if answer.status == 412:
            return None
        assert answer.status == 200, answer
        assert answer.incident["version"] == before.version + 1
        return self._step(answer.incident, began, wrote=True)

    def _step(self, incident: dict[str, object], began: float, *, wrote: bool) -> Step:
        id, version, text = incident["id"], incident["version"], incident["description"]
        assert isinstance(id, int)
        assert isinstance(version, int)
        step = Step(id, version, str(text), wrote, began, time.monotonic())
        self.steps.append(step)
        return step


def test_every_version_is_seen_once_and_no_update_is_lost(ground: Ground, figures: Figures) -> None:
    with ground.server() as server:
        ground.served(server)
        with server.client as client:
            incidents = [client.file(f"first-{number}").incident["id"] for number in range(INCIDENTS)]
        if ground.engine == "postgresql":
            ground.register.rows(MOODY)
        editors = [Editor(f"e{n}", server.client, incidents, OPERATIONS // CLIENTS) for n in range(CLIENTS)]
        for editor in editors:
            editor.start()
        for editor in editors:
            editor.join(OPERATIONS / 10)
            assert not editor.is_alive(), f"{editor.name} found no end"
        again = server.said().count("a batch is run again")
        server.kill_all()
    steps = [step for editor in editors for step in editor.steps]
    late = sum(editor.late for editor in editors)
    assert len(steps) + late == OPERATIONS, "every operation ended"
    assert sum(editor.client.repeats for editor in editors) == 0
    assert (again > 0) == (ground.engine == "postgresql")
    for id in incidents:
        _check(ground.register, id, sorted((s for s in steps if s.incident == id), key=lambda s: s.began))
    writes = sum(step.wrote for step in steps)
    told = f"{CLIENTS} clients, {OPERATIONS:,} operations: {writes:,} writes, {late:,} told 412, "
    told += f"{again} batches run again; every version seen once, in order"
    figures("changes under If-Match; on PostgreSQL 1 COMMIT in 20 fails", told)


def _check(register: Register, id: int, steps: Sequence[Step]) -> None:
    """The answers make one history, the clients could see no other, and the database holds just this one."""
    texts: dict[int, set[str]] = defaultdict(set)
    for step in steps:
        texts[step.version].add(step.text)
    newest = max(texts)
    assert all(len(said) == 1 for said in texts.values()), "one version, one text"
    written = sorted(step.version for step in steps if step.wrote)
    assert written == list(range(2, newest + 1)), "each version was answered to exactly one writer"
    chain = [next(iter(texts[version])) for version in written]
    for before, after in itertools.pairwise(chain):
        assert after.endswith(f" after {before.split()[0]}"), "an update was lost"
    _in_real_time(steps)
    register.check_itself()
    assert register.rows(f"SELECT version, description FROM incident WHERE id = {id}") == [[str(newest), chain[-1]]]
    assert register.rows(f"SELECT count(*) FROM entry WHERE incident_id = {id}") == [[str(newest)]]
    former = register.rows(f"SELECT description FROM former_description WHERE incident_id = {id} ORDER BY id")
    assert [row[0] for row in former][1:] == chain[:-1], "every former text is kept"


def _in_real_time(steps: Sequence[Step]) -> None:
    """What was answered before an operation began is the least that it may see, and a write is beyond it."""
    ended = sorted((step.ended, step.version) for step in steps)
    moments = [moment for moment, _ in ended]
    newest = list(itertools.accumulate((version for _, version in ended), max))
    for step in steps:
        done = bisect_left(moments, step.began)
        known = newest[done - 1] if done else 0
        assert step.version >= known + step.wrote, f"{step} is older than version {known}, which had been answered"
