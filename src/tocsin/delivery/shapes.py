"""The shapes of channels, subscriptions and notifications: what may be sent, what is said."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from tocsin.access.model import MAY, Principal
from tocsin.delivery.channels import KINDS
from tocsin.delivery.model import LONGEST_NAME, Channel, Delivery, Notification, Subscription
from tocsin.incidents.model import SEVERITIES, SOURCES
from tocsin.incidents.shapes import AnId
from tocsin.kit import openapi
from tocsin.kit.clock import rfc3339, rfc3339_or_none

AKind = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(KINDS)})]
ASeverity = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(SEVERITIES)})]
AName = Annotated[str, msgspec.Meta(extra_json_schema=openapi.one_line(LONGEST_NAME), examples=["Night shift"])]
AtLeast = Annotated[
    str, msgspec.Meta(extra_json_schema={"pattern": rf"^({'|'.join(SEVERITIES)})\+?$"}, examples=["high"])
]
ASource = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(SOURCES)})]


class ChannelDraft(msgspec.Struct, forbid_unknown_fields=True):
    """A channel to be made; what stands in `config` depends on its kind: `docs/channels.md`."""

    name: AName
    kind: AKind
    config: dict[str, Any]


class ChannelEdit(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change; `config` is set as a whole, but a token that is left out stays."""

    name: AName | None = None
    config: dict[str, Any] | None = None


class ChannelView(msgspec.Struct):
    """A channel without its secrets."""

    id: int
    name: str
    kind: str
    config: Mapping[str, Any]
    created_at: str
    removed_at: str | None


class ChannelAnswer(msgspec.Struct):
    channel: ChannelView


class NewChannelAnswer(msgspec.Struct):
    """`secret` is what the receiver needs: what a webhook is signed with, what Telegram sends. Shown this once."""

    channel: ChannelView
    secret: str | None


class ChannelList(msgspec.Struct):
    channels: list[ChannelView]


class SubscriptionDraft(msgspec.Struct, forbid_unknown_fields=True):
    """From this severity on, of these sources; none means all."""

    channel_id: AnId
    severity: AtLeast = "info"
    sources: list[ASource] = []


class SubscriptionView(msgspec.Struct):
    id: int
    channel_id: int
    severity: str
    sources: Sequence[str]
    created_at: str
    removed_at: str | None


class SubscriptionAnswer(msgspec.Struct):
    subscription: SubscriptionView


class SubscriptionList(msgspec.Struct):
    subscriptions: list[SubscriptionView]


class AttemptView(msgspec.Struct):
    """One attempt: `sent`, `again` or `dead`, and why."""

    at: str
    outcome: str
    status: int | None
    reason: str
    milliseconds: int


class NotificationView(msgspec.Struct):
    """Something that a channel is told. `carried_by` names the notification whose message told it too."""

    id: int
    channel_id: int
    incident_id: int | None
    event: str
    message_id: str
    state: str
    reason: str | None
    created_at: str
    due_at: str
    settled_at: str | None
    carried_by: int | None
    attempts: list[AttemptView]


class NotificationAnswer(msgspec.Struct):
    notification: NotificationView


class NotificationPage(msgspec.Struct):
    """Notifications, newest first. `next` goes into `before=`; null at the end."""

    notifications: list[NotificationView]
    next: str | None


def channel_view(each: Channel, who: Principal) -> ChannelView:
    """A channel as this caller may see it."""
    made, gone = rfc3339(each.created_at), rfc3339_or_none(each.removed_at)
    return ChannelView(each.id, each.name, each.kind, shown_config(each, who), made, gone)


def shown_config(each: Channel, who: Principal) -> Mapping[str, Any]:
    """Its settings. Of an address whoever does not manage channels sees the host: many a path holds a token."""
    if who.role in MAY["channels:manage"] or "url" not in each.config:
        return each.config
    parts = urlsplit(each.config["url"])
    hidden = "/…" if parts.path.strip("/") or parts.query or parts.fragment else parts.path
    return {**each.config, "url": f"{parts.scheme}://{parts.netloc}{hidden}"}


def subscription_view(each: Subscription) -> SubscriptionView:
    made, gone = rfc3339(each.created_at), rfc3339_or_none(each.removed_at)
    return SubscriptionView(each.id, each.channel_id, each.severity, each.sources, made, gone)


def notification_view(each: Notification, attempts: Sequence[Delivery]) -> NotificationView:
    """A notification with its attempts."""
    return NotificationView(
        each.id,
        each.channel_id,
        each.incident_id,
        each.event,
        each.message_id,
        each.state,
        each.reason,
        rfc3339(each.created_at),
        rfc3339(each.due_at),
        rfc3339_or_none(each.settled_at),
        each.carried_by,
        [attempt_view(attempt) for attempt in attempts],
    )


def attempt_view(each: Delivery) -> AttemptView:
    return AttemptView(rfc3339(each.at), each.outcome, each.status, each.reason, each.milliseconds)
