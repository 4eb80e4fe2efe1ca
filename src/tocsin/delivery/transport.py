"""The way out: HTTP through a guard that no address gets round, and mail.

A channel's address is a user's input. Every address that a name resolves to is checked, the connection goes to the
very address that was checked, nothing is redirected, and no proxy, cookie or password of the environment comes along.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpcore2

from tocsin.delivery.model import Answer, Mail, Request, waits
from tocsin.incidents.model import cut
from tocsin.kit.clock import Clock
from tocsin.settings import Settings

if TYPE_CHECKING:
    import aiosmtplib

MOST_READ = 64 * 1024  # bytes of an answer that are looked at
MOST_CONNECTIONS = 512  # more than `claiming.IN_FLIGHT` and all bots: nobody waits for a connection of another
LONGEST_REASON = 200
NAT64 = ipaddress.ip_network("64:ff9b::/96")
SMTP_PORTS = {"smtp": 587, "smtps": 465}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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
        if address.ipv4_mapped is not None:
            return outside(address.ipv4_mapped)
        if address.sixtofour is not None or address.teredo is not None or address.scope_id is not None:
            return False
        if address in NAT64:
            return outside(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if int(address) >> 32 == 0:  # the old form of an IPv4 address in IPv6
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class Guard(httpcore2.AsyncNetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, allow: Allowed) -> None:
        self._allow = allow
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To the first of the addresses, if all of them may be connected to."""
        if self._allow.ports is not None and port not in self._allow.ports:
            raise Refused(f"port {port} is not one of TOCSIN_ALLOWED_PORTS")
        found = await self._resolved(host, port)
        if not self._allow.host(host):
            for each in found:
                if not outside(each) and not self._allow.address(each):
                    raise Refused("it leads into a private network; TOCSIN_ALLOWED_TARGETS can allow it")
        return await self._inner.connect_tcp(str(found[0]), port, timeout, local_address, socket_options)

    async def _resolved(self, host: str, port: int) -> list[Address]:
        try:
            rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("its name is not known") from None
        return list(dict.fromkeys(ipaddress.ip_address(row[4][0]) for row in rows))

    async def connect_unix_socket(self, *args: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise Refused("only HTTP over TCP")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Way:
    """One for each process, shared by all channels."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        allow = allowed(settings)
        api = urlsplit(settings.telegram_api)
        # The administrator's own word for Telegram's address counts as much as the lists.
        self.allow = Allowed(
            allow.hosts | ({api.hostname} if api.hostname and api.hostname != "api.telegram.org" else set()),
            allow.networks,
            None if allow.ports is None else allow.ports | ({api.port} if api.port else set()),
        )

    @cached_property
    def _pool(self) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=15.0,
            network_backend=Guard(self.allow),
        )

    async def send(self, request: Request, deadline: float) -> tuple[Answer, bytes]:
        """What the other side said, and the beginning of its body. Raises nothing."""
        try:
            async with asyncio.timeout(deadline):
                return await self._sent(request, deadline)
        except Refused as why:
            return Answer(None, f"not sent: {why}", final=True), b""
        except (TimeoutError, httpcore2.TimeoutException):
            return Answer(None, f"no answer within {deadline:g} seconds", silent=True), b""
        except (httpcore2.ConnectError, OSError) as problem:
            # Neither holds the address; the one of TLS says what is wrong with the certificate.
            return Answer(None, cut(f"no connection: {problem}", LONGEST_REASON), silent=True), b""
        except httpcore2.UnsupportedProtocol:
            return Answer(None, "not sent: only http and https", final=True), b""
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            return Answer(None, "the connection broke off", silent=True), b""

    async def _sent(self, request: Request, deadline: float) -> tuple[Answer, bytes]:
        headers: list[tuple[bytes | str, bytes | str]] = [("user-agent", "Tocsin"), *request.headers.items()]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), deadline)
        body = b""
        async with self._pool.stream(
            request.method, request.url, headers=headers, content=request.body, extensions={"timeout": timeouts}
        ) as response:
            async for piece in response.aiter_stream():
                body += piece
                if len(body) >= MOST_READ:
                    break
        wait = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
        seconds = None if wait is None else waits(wait.decode("latin-1"), self._clock())
        return Answer(response.status, f"it answered {response.status}", seconds), body[:MOST_READ]

    async def mail(self, mail: Mail, deadline: float) -> Answer:
        """What the mail server said. Raises nothing."""
        import aiosmtplib

        if self._settings.smtp_url is None or self._settings.mail_from is None:
            return Answer(None, "not sent: TOCSIN_SMTP_URL and TOCSIN_MAIL_FROM say how mail goes out")
        try:
            async with asyncio.timeout(deadline):
                await aiosmtplib.send(written(mail, self._settings.mail_from, self._clock), **self._smtp(deadline))
        except aiosmtplib.SMTPRecipientsRefused as problem:
            return _mail_refused(problem.recipients[0])
        except aiosmtplib.SMTPResponseException as problem:
            return _mail_refused(problem)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as problem:
            return Answer(None, f"the mail server cannot be reached: {type(problem).__name__}", silent=True)
        return Answer(250, "the mail server took it")

    def _smtp(self, deadline: float) -> dict[str, Any]:
        assert self._settings.smtp_url is not None
        parts = urlsplit(self._settings.smtp_url.get_secret_value())
        return {
            "hostname": parts.hostname,
            "port": parts.port or SMTP_PORTS[parts.scheme],
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": parts.scheme == "smtps",
            "timeout": deadline,
        }

    async def close(self) -> None:
        """Ends every connection."""
        if "_pool" in self.__dict__:
            await self._pool.aclose()


def written(mail: Mail, sender: str, clock: Clock) -> EmailMessage:
    """A mail as it goes out. No text from outside can become a header: line breaks are taken out."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "tocsin"
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = ", ".join(mail.to)
    message["Subject"] = " ".join(mail.subject.split())
    message["Date"] = format_datetime(clock())
    message["Message-ID"] = f"<{mail.message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.thread is not None:
        message["References"] = message["In-Reply-To"] = f"<{mail.thread}@{domain}>"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _mail_refused(problem: "aiosmtplib.SMTPResponseException") -> Answer:
    """4xx of SMTP is for now, 5xx for good."""
    reason = cut(f"the mail server said {problem.code}: {problem.message}", LONGEST_REASON)
    return Answer(None, " ".join(reason.split()), final=problem.code >= 500)
