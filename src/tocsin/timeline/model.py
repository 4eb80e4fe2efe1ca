"""Entry: one line of the timeline, never changed.

An entry holds no personal data and no free text; it refers to them by id. Its canonical form is what a hash
chain can be laid over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

# Every kind of entry: what happened, in one sentence. `docs/timeline.md` lists them and a test compares.
KINDS: dict[str, str] = {
    "filed": "An incident was filed.",
    "imported": "An incident of the original service was brought in.",
    "moved": "The status changed; `reopened` in `changes` counts a way back out of resolved or closed.",
    "described": "The description changed; `refs.former_description` names the words before.",
    "acknowledged": "Somebody took note of the incident.",
    "unacknowledged": "An acknowledgement was taken back.",
    "rated": "The severity changed.",
    "reported": "The source said it again; `reports` in `changes` counts, once for each batch.",
    "amended": "The source put its report in other words.",
    "noted": "A source sent a note; `refs.report` names it.",
    "over": "The source says that it is over; a person has it in hand and decides.",
    "notified": "Somebody was told; `refs` names the notification and the channel.",
    "not_notified": "Somebody could not be told, and it is not tried again.",
    "integration_created": "A door for machines was made.",
    "integration_changed": "Its settings changed.",
    "integration_rotated": "It got a new secret.",
    "integration_removed": "It was closed for good.",
    "channel_created": "A channel was made.",
    "channel_changed": "Its settings changed.",
    "channel_removed": "It was removed.",
    "subscribed": "A subscription was made.",
    "unsubscribed": "A subscription was removed.",
    "signed_in": "Somebody signed in to the page with a key.",
    "signed_out": "Somebody signed out.",
    "key_created": "A key was made.",
    "key_rotated": "A key got a new secret.",
    "key_revoked": "A key was revoked.",
    "partner_created": "A partner was added.",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `actor_name` is looked up when read and is no part of the entry itself."""

    id: int
    at: datetime
    kind: str
    incident_id: int | None
    actor_type: str
    actor_id: int | None
    actor_name: str | None
    changes: Mapping[str, Sequence[Any]]
    refs: Mapping[str, int]
    request_id: str | None


_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: Mapping[str, Any]) -> str:
    """JSON in the one form that is kept: sorted names, no spaces, no escapes beyond JSON's own."""
    return _encode(value).decode()
