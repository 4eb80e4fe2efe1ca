"""What drafts of channels mean: checked, their secrets sealed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tocsin.db.transaction import Actor
from tocsin.delivery import actions
from tocsin.delivery.channels import KINDS
from tocsin.delivery.channels.webhook import rotated
from tocsin.delivery.model import Channel
from tocsin.kit.clock import Clock
from tocsin.kit.errors import Invalid
from tocsin.kit.keyring import Keyring


def new_channel(
    name: str, kind: str, config: Mapping[str, Any], by: Actor, keyring: Keyring, request_id: str | None = None
) -> tuple[actions.AddChannel, str | None]:
    """The wish that a draft means, and what its owner sees once; raises `Invalid`."""
    prepared = _kind(kind).prepared(config)
    sealed = keyring.seal(prepared.secrets) if prepared.secrets else None
    return actions.AddChannel(name, kind, prepared.config, sealed, by, request_id), prepared.shown


def changed_channel(
    before: Channel,
    name: str | None,
    config: Mapping[str, Any] | None,
    by: Actor,
    keyring: Keyring,
    request_id: str | None = None,
) -> actions.ChangeChannel:
    """The wish that an edit means. Settings are given as a whole; secrets that are left out stay as they are."""
    if config is None:
        return actions.ChangeChannel(before.id, name, None, None, by, request_id)
    kept = {} if before.sealed is None else keyring.unseal(before.sealed)
    given = {**config, **({"token": kept["token"]} if "token" in kept and "token" not in config else {})}
    prepared = _kind(before.kind).prepared(given)
    # A webhook's secret changes only by `rotate`, and Telegram's by going from polling to webhook.
    secrets = {**prepared.secrets, **{name: value for name, value in kept.items() if name != "token"}}
    sealed = keyring.seal(secrets) if secrets else None
    return actions.ChangeChannel(before.id, name, prepared.config, sealed, by, request_id)


def rotated_channel(
    before: Channel, overlap: timedelta, by: Actor, keyring: Keyring, clock: Clock, request_id: str | None = None
) -> tuple[actions.ChangeChannel, str]:
    """A new signing secret for a webhook; meanwhile each message is signed with both."""
    if before.kind != "webhook" or before.sealed is None:
        raise Invalid.field("channel_id", "is no webhook: only those have a secret of ours to rotate")
    secrets = rotated(keyring.unseal(before.sealed), clock() + overlap)
    return actions.ChangeChannel(before.id, None, None, keyring.seal(secrets), by, request_id), secrets["secret"]


def _kind(name: str) -> Any:
    if name not in KINDS:
        raise Invalid.field("kind", f"must be one of {', '.join(KINDS)}")
    return KINDS[name]
