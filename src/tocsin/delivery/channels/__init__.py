"""Every kind of channel, a line each: by what people and machines are told."""

from collections.abc import Mapping

from tocsin.delivery.channels.email import EMAIL
from tocsin.delivery.channels.ntfy import NTFY
from tocsin.delivery.channels.telegram import TELEGRAM
from tocsin.delivery.channels.webhook import WEBHOOK
from tocsin.delivery.kind import Kind

_EVERY: tuple[Kind, ...] = (TELEGRAM, NTFY, EMAIL, WEBHOOK)

KINDS: Mapping[str, Kind] = {each.name: each for each in _EVERY}
