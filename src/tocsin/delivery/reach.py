"""What a channel needs of the settings, heard of when it is made and not when the first message fails."""

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from tocsin.delivery.model import MACHINES
from tocsin.kit.errors import Invalid
from tocsin.settings import Settings

PORTS = {"http": 80, "https": 443}


def missing(settings: Settings, kinds: Collection[str]) -> list[str]:
    """What should be set for channels of these kinds, a sentence each."""
    said = []
    if _only_here(urlsplit(settings.address).hostname or "") and set(kinds) - MACHINES:
        said.append(
            f"links and buttons in messages lead to {settings.address}, which no phone can reach: "
            "set TOCSIN_PUBLIC_URL to where people reach this server"
        )
    if "email" in kinds and (settings.smtp_url is None or settings.mail_from is None):
        said.append("mail cannot go out: set TOCSIN_SMTP_URL and TOCSIN_MAIL_FROM")
    return said


def must_be_allowed(config: Mapping[str, Any], settings: Settings) -> None:
    """Raises `Invalid` where the guard could never let anything out to there; names are looked up only then."""
    # Only here: the way out brings an HTTP client along, which the short commands should not wait for.
    from tocsin.delivery.addresses import allowed, outside

    if "url" not in config:
        return
    parts, allow = urlsplit(config["url"]), allowed(settings)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    if allow.ports is not None and port not in allow.ports:
        raise Invalid.field("config.url", f"leads to port {port}, which is not one of TOCSIN_ALLOWED_PORTS")
    address = _literal(host)
    inside = host == "localhost" if address is None else not (outside(address) or allow.address(address))
    if inside and not allow.host(host):
        raise Invalid.field("config.url", "leads into a private network; TOCSIN_ALLOWED_TARGETS can allow it")


def _only_here(host: str) -> bool:
    address = _literal(host)
    return host == "localhost" if address is None else address.is_loopback


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
