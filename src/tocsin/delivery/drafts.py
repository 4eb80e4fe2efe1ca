"""What drafts of channels mean: checked, their secrets sealed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tocsin.db.transaction import Actor
from tocsin.delivery import actions, reach
from tocsin.delivery.channels import KINDS
from tocsin.delivery.channels.webhook import rotated
from tocsin.delivery.model import Channel
from tocsin.kit.clock import Clock
from tocsin.kit.errors import Invalid, Sealed
from tocsin.kit.keyring import Keyring, Unsealable
from tocsin.settings import Settings

SEALED = "Its secrets were sealed with another TOCSIN_SECRET_KEY: put that one back"


def new_channel(
    name: str,
    kind: str,
    config: Mapping[str, Any],
    by: Actor,
    keyring: Keyring,
    settings: Settings,
    request_id: str | None = None,
) -> tuple[actions.AddChannel, str | None]:
    """The wish that a draft means, and what its owner sees once; raises `Invalid`."""
    prepared = _kind(kind).prepared(config)
    reach.must_be_allowed(prepared.config, settings)
    sealed = keyring.seal(prepared.secrets) if prepared.secrets else None
    return actions.AddChannel(name, kind, prepared.config, sealed, by, request_id), prepared.shown


def changed_channel(
    before: Channel,
    name: str | None,
    config: Mapping[str, Any] | None,
    by: Actor,
    keyring: Keyring,
    settings: Settings,
    request_id: str | None = None,
) -> tuple[actions.ChangeChannel, str | None]:
    """The wish that an edit means, and what its owner sees once, if there is something new to see.

    Settings are given as a whole; secrets that are left out stay as they are. Raises `Invalid`, or `Sealed`.
    """
    if config is None:
        return actions.ChangeChannel(before.id, name, None, None, by, request_id), None
    kept = _kept(before, config, keyring)
    given = {**config, **({"token": kept["token"]} if "token" in kept and "token" not in config else {})}
    prepared = _kind(before.kind).prepared(given)
    reach.must_be_allowed(prepared.config, settings)
    # A webhook's secret changes only by `rotate`; Telegram's is made on going over to a webhook, and goes on leaving.
    gone = {"token"} | ({"hook"} - set(prepared.secrets))
    secrets = {**prepared.secrets, **{each: value for each, value in kept.items() if each not in gone}}
    sealed = keyring.seal(secrets) if secrets else None
    shown = prepared.shown if prepared.shown in secrets.values() else None
    return actions.ChangeChannel(before.id, name, prepared.config, sealed, by, request_id), shown


def rotated_channel(
    before: Channel, overlap: timedelta, by: Actor, keyring: Keyring, clock: Clock, request_id: str | None = None
) -> tuple[actions.ChangeChannel, str]:
    """A new signing secret for a webhook; meanwhile each message is signed with both. Raises `Invalid`, or `Sealed`."""
    if before.kind != "webhook" or before.sealed is None:
        raise Invalid.field("channel_id", "is no webhook: only those have a secret of ours to rotate")
    try:
        former = keyring.unseal(before.sealed)
    except Unsealable:
        if overlap:
            raise Sealed(
                f"{SEALED}, or rotate with `overlap_seconds` 0: a new secret alone needs no old one."
            ) from None
        former = {"secret": ""}
    secrets = rotated(former, clock() + overlap)
    return actions.ChangeChannel(before.id, None, None, keyring.seal(secrets), by, request_id), secrets["secret"]


def _kept(before: Channel, config: Mapping[str, Any], keyring: Keyring) -> Mapping[str, Any]:
    """The secrets that it has, as far as they are needed: an edit that brings the token does without."""
    try:
        return {} if before.sealed is None else keyring.unseal(before.sealed)
    except Unsealable:
        if "token" in config:
            return {}
        raise Sealed(f"{SEALED}, or give the token anew; a webhook's secret is rotated first.") from None


def _kind(name: str) -> Any:
    if name not in KINDS:
        raise Invalid.field("kind", f"must be one of {', '.join(KINDS)}")
    return KINDS[name]
