"""What is due, leased to whoever sends it: a fair share for each channel, and room for those that are quiet.

A channel that hangs costs one message in flight and not the whole process: see `Load`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tocsin.db.transaction import Writer
from tocsin.delivery import model, store
from tocsin.delivery.model import Channel, Notification

IN_FLIGHT = 64  # messages at once, of one process
OF_ONE = 4  # of one channel
KEPT = 16  # of those in flight: for channels that answer and have nothing in flight
PROBES = 16  # of those in flight: for channels that did not answer


@dataclass(frozen=True, slots=True)
class Load:
    """What a process has in flight, by channel.

    `silent` are the channels that gave no answer the last time, longest ago first: each gets one message at a time, as
    a probe, until it answers. 16 hanging ones with 4 messages each were all that a process could have in flight.
    """

    busy: Mapping[int, int]
    silent: Sequence[int] = ()

    def room(self, channel_id: int) -> int:
        """How many more messages of this channel may go out now."""
        free = IN_FLIGHT - sum(self.busy.values())
        own = self.busy.get(channel_id, 0)
        if channel_id in self.silent:
            probes = sum(self.busy.get(each, 0) for each in self.silent)
            return int(own == 0 and probes < PROBES and free > KEPT)
        least = 1 if own == 0 and free > 0 else 0
        return max(least, min(OF_ONE - own, free - KEPT))

    @property
    def full(self) -> list[int]:
        """The channels that get nothing more now."""
        return [each for each in dict.fromkeys([*self.busy, *self.silent]) if self.room(each) == 0]

    def turn(self, channel_id: int) -> tuple[int, int]:
        """Who comes first: those with the least in flight; silent ones last, each in its turn."""
        place = self.silent.index(channel_id) + 1 if channel_id in self.silent else 0
        return place, self.busy.get(channel_id, 0)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to be sent: the notification that leads it, and those that it carries."""

    leader: Notification
    carried: tuple[Notification, ...] = ()

    @property
    def attempt(self) -> int:
        return self.leader.attempts + 1

    @property
    def incident_ids(self) -> list[int]:
        return [each.incident_id for each in (self.leader, *self.carried) if each.incident_id is not None]


def claim(tx: Writer, wishes: Sequence[Load]) -> list[list[Claimed]]:
    """What is due now, leased to this process; messages for people of the same event are folded into one."""
    return [_claim(tx, wish) for wish in wishes]


def release(tx: Writer, wishes: Sequence[None]) -> list[None]:
    """Every lease ends: for a process that has just started and knows that it is alone."""
    store.release(tx)
    return [None for _ in wishes]


def catch_up(tx: Writer, wishes: Sequence[None]) -> list[None]:
    """The clock went back: what was to be tried again by the old one is tried now, or it would wait for as long more.

    Nobody can tell by how much each is too late. Several processes that notice do no harm.
    """
    store.bring_forward(tx, tx.now + model.LEASE)
    return [None for _ in wishes]


def _claim(tx: Writer, load: Load) -> list[Claimed]:
    busy = Counter(load.busy)
    due = store.hold_channels_due(tx, load.full)
    share = max(1, (IN_FLIGHT - busy.total()) // max(1, len(due)))
    leaders: list[Notification] = []
    for channel in sorted(due, key=lambda each: load.turn(each.id)):
        if room := Load(busy, load.silent).room(channel.id):
            taken = _of_channel(tx, channel, min(room, share))
            busy[channel.id] += len(taken)
            leaders += taken
    if not leaders:
        return []
    ids = [each.id for each in leaders]
    store.lease(tx, ids, tx.now + model.LEASE)
    carried = store.carried(tx, ids)
    return [Claimed(each, tuple(carried.get(each.id, ()))) for each in leaders]


def _of_channel(tx: Writer, channel: Channel, most: int) -> list[Notification]:
    """Its next messages. One that is told to people for the first time carries all that is due of the same event."""
    due = store.hold_due(tx, channel.id, most)
    if channel.kind in model.MACHINES:
        return due
    leaders: dict[object, Notification] = {}
    for each in due:
        fresh = each.attempts == 0 and each.event != "test"
        leaders.setdefault(each.event if fresh else each.id, each)
    for event, leader in leaders.items():
        if isinstance(event, str):
            store.carry_all_due(tx, leader)
    return list(leaders.values())
