"""What many reports do to the register in one transaction: held, decided one after another, written once.

Called by `intake.actions`, which keeps the reports themselves and tells the timeline which report it was.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.db.transaction import Writer
from tocsin.incidents import store, troubles
from tocsin.incidents.model import Incident
from tocsin.incidents.reported import Heard, Signal, heard


class Slot(msgspec.Struct):
    """One incident of the batch: as it was, as it is now. A new one has no `before`, and an id only at the end."""

    before: Incident | None
    now: Incident


class Effect(msgspec.Struct, frozen=True):
    """What came of one signal; `slot` is shared by all that concern the same incident."""

    heard: Heard
    slot: Slot | None

    @property
    def incident(self) -> Incident | None:
        """The incident as the whole batch leaves it, with its id."""
        return None if self.slot is None else self.slot.now


def receive(tx: Writer, signals: Sequence[Signal]) -> list[Effect]:
    """Decides every signal in turn and writes what changed; the caller tells the timeline."""
    slots = _Slots(tx, signals)
    effects = []
    for signal in signals:
        slot = slots.of(signal)
        described = slot is not None and slot.now.id in slots.described
        decision = heard(None if slot is None else slot.now, signal, at=tx.now, described=described)
        effects.append(Effect(decision, slots.after(slot, decision)))
    slots.write(tx)
    return effects


class _Slots:
    """The incidents that a batch of signals is about."""

    def __init__(self, tx: Writer, signals: Sequence[Signal]) -> None:
        self._tx = tx
        wanted = [(each.sender.owner, each.dedup_key) for each in signals if each.dedup_key and not each.incident_id]
        named = [each.incident_id for each in signals if each.incident_id is not None]
        found = troubles.active_troubles(tx, wanted) if wanted else []
        if named:
            found += store.hold(tx, [id for id in named if id not in {each.id for each in found}]).values()
        self._all = [Slot(each, each) for each in found]
        self._by_id = {slot.now.id: slot for slot in self._all}
        amended = any(each.action == "amend" for each in signals)
        self.described = troubles.described_by_people(tx, list(self._by_id)) if amended else frozenset()
        self._active = {(slot.now.dedup_owner, slot.now.dedup_key): slot for slot in self._all if slot.now.active}

    def of(self, signal: Signal) -> Slot | None:
        """The incident that a signal names or joins. One that another owner's reports opened is not there for it."""
        if signal.incident_id is not None:
            slot = self._by_id.get(signal.incident_id)
            return slot if slot is not None and slot.now.dedup_owner == signal.sender.owner else None
        if not signal.dedup_key:
            return None
        slot = self._active.get((signal.sender.owner, signal.dedup_key))
        return slot or (self._ended(signal.sender.owner, signal.dedup_key) if signal.action == "note" else None)

    def _ended(self, owner: str, dedup_key: str) -> Slot | None:
        """The latest incident of a trouble that is over: a note changes nothing, so it need not be held."""
        latest = troubles.latest_trouble(self._tx, owner, dedup_key)
        return None if latest is None or latest.active else Slot(latest, latest)

    def after(self, slot: Slot | None, decision: Heard) -> Slot | None:
        """Writes a decision down in memory."""
        if decision.incident is None:
            return None
        if slot is None:
            slot = Slot(None, decision.incident)
            self._all.append(slot)
        slot.now = decision.incident
        trouble = slot.now.dedup_owner, slot.now.dedup_key
        if slot.now.active:
            self._active[trouble] = slot
        elif self._active.get(trouble) is slot:
            del self._active[trouble]
        return slot

    def write(self, tx: Writer) -> None:
        """What was there is saved, each with what changed; then new incidents get their ids.

        In this order: of one trouble the active incident may have ended and a new one begun.
        """
        pairs = [(slot.before, slot.now) for slot in self._all if slot.before is not None]
        newer = [now for before, now in pairs if now.version != before.version]
        reworded = [now for before, now in pairs if now.description != before.description]
        store.save(tx, newer, reworded)
        troubles.amend(
            tx, [now for before, now in pairs if (now.summary, now.labels) != (before.summary, before.labels)]
        )
        troubles.count(tx, [now for before, now in pairs if now.reports_count != before.reports_count])
        fresh = [slot for slot in self._all if slot.before is None]
        if fresh:
            for slot, id in zip(fresh, store.add(tx, [_row(slot.now) for slot in fresh]), strict=True):
                slot.now = slot.now._replace(id=id)


def _row(incident: Incident) -> dict[str, Any]:
    """The columns of a new incident; the partner's slug stands in its own table."""
    row = incident._asdict()
    del row["id"], row["partner"]
    return row
