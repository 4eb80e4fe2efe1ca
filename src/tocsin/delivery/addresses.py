"""Where messages may go: to plain addresses of the open internet, and to what the settings allow beyond it.

Every address that a name resolves to is checked, and the connection goes to the very address that was checked.
"""

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore2

from tocsin.delivery.names import Address, Names
from tocsin.settings import Settings

MOST_TRIED = 4  # addresses of one host, one after another
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Counted as global by the standard library, and yet not of the open internet.
INSIDE = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure: what a machine asks about itself
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, given up
    ipaddress.ip_network("64:ff9b:1::/48"),  # NAT64 within a network (RFC 8215)
    ipaddress.ip_network("3fff::/20"),  # documentation (RFC 9637)
    ipaddress.ip_network("5f00::/16"),  # segment routing (RFC 9602)
)
ISATAP = (0x00005EFE, 0x02005EFE)  # what stands before an IPv4 address in the second half (RFC 5214)


class Refused(Exception):
    """The guard lets nothing out to there; the message says why and holds no address."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the settings allow beyond the open internet; `ports` None means any."""

    hosts: frozenset[str]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    ports: frozenset[int] | None

    def host(self, name: str) -> bool:
        return name.rstrip(".").lower() in self.hosts

    def address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def allowed(settings: Settings) -> Allowed:
    """The settings' lists, read."""
    hosts, networks = set(), []
    for each in filter(None, (part.strip() for part in settings.allowed_targets.split(","))):
        try:
            networks.append(ipaddress.ip_network(each, strict=False))
        except ValueError:
            hosts.add(each.rstrip(".").lower())
    ports = [part.strip() for part in settings.allowed_ports.split(",") if part.strip()]
    return Allowed(frozenset(hosts), tuple(networks), None if "*" in ports else frozenset(map(int, ports)))


def outside(address: Address) -> bool:
    """Whether this is a plain address of the open internet. Addresses wrapped in addresses are unwrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = _wrapped(address)
        if wrapped is not None:
            return outside(wrapped)
        if address.sixtofour is not None or address.teredo is not None or address.scope_id is not None:
            return False
        if int(address) >> 32 == 0 or address.is_site_local:  # the old forms of IPv4 in IPv6, and of private
            return False
    if any(address in network for network in INSIDE):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that this one leads to, where its form says so."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64 or int(address) >> 32 & 0xFFFFFFFF in ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class Guard(httpcore2.AsyncNetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, allow: Allowed) -> None:
        self._allow = allow
        self._names = Names()
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To the first of the addresses that answers, if all of them may be connected to."""
        if self._allow.ports is not None and port not in self._allow.ports:
            raise Refused(f"port {port} is not one of TOCSIN_ALLOWED_PORTS")
        found = await self._names.addresses(host)
        if not self._allow.host(host):
            for each in found:
                if not outside(each) and not self._allow.address(each):
                    raise Refused("it leads into a private network; TOCSIN_ALLOWED_TARGETS can allow it")
        *others, last = found[:MOST_TRIED]
        share = None if timeout is None else timeout / (len(others) + 1)
        for each in others:
            try:
                return await self._inner.connect_tcp(str(each), port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout, OSError):
                continue
        return await self._inner.connect_tcp(str(last), port, share, local_address, socket_options)

    async def connect_unix_socket(self, *args: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise Refused("only HTTP over TCP")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
