"""`append`: the one way into the timeline. The batcher calls it as the last statement of every transaction.

Features do not call it: they `tx.tell(Happening(…))`, and what they told arrives here.
"""

from collections.abc import Sequence

from tocsin.db.schema import entry
from tocsin.db.transaction import Happening, Writer
from tocsin.timeline.model import canonical


def append(tx: Writer, told: Sequence[Happening]) -> list[int]:
    """One entry for each happening, in the order in which they were told; the entries' ids."""
    return tx.append(
        entry,
        [
            {
                "at": tx.now,
                "kind": happening.kind,
                "incident_id": happening.incident_id,
                "actor_type": happening.actor.type,
                "actor_id": happening.actor.id,
                "changes": canonical(happening.changes) if happening.changes else "{}",
                "refs": canonical(happening.refs) if happening.refs else "{}",
                "request_id": happening.request_id,
            }
            for happening in told
        ],
    )
