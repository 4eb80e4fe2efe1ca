"""The way out: HTTP through a guard that no address gets round, and mail.

A channel's address is a user's input: see `addresses.py`. Nothing is redirected, and no proxy, cookie or password of
the environment comes along.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpcore2

from tocsin.delivery.addresses import Allowed, Guard, Refused, allowed
from tocsin.delivery.model import Answer, Mail, Request, waits
from tocsin.delivery.recipients import Recipients
from tocsin.incidents.model import cut
from tocsin.kit.clock import Clock
from tocsin.settings import Settings

if TYPE_CHECKING:
    import aiosmtplib

MOST_READ = 64 * 1024  # bytes of an answer that are looked at
MOST_CONNECTIONS = 512  # more than `claiming.IN_FLIGHT` and all bots: nobody waits for a connection of another
LONGEST_REASON = 200
LONGEST_LIST = 2000  # of addresses that a mail was refused for, each with what was said
GOODBYE = 1.0  # seconds that a mail server gets for its last word
SMTP_PORTS = {"smtp": 587, "smtps": 465}

# Whatever a request may end with instead of an answer.
LOST = (
    Refused,
    TimeoutError,
    OSError,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


@dataclass(slots=True)
class Heard:
    """What the other side has said so far."""

    answer: Answer | None = None
    body: bytes = b""


class Way:
    """One for each process, shared by all channels; `allow` is for what is none, and stands in place of their lists."""

    def __init__(self, settings: Settings, clock: Clock, allow: Allowed | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self.allow = allow or channels_may(settings)

    @cached_property
    def _pool(self) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=15.0,
            network_backend=Guard(self.allow),
        )

    async def send(self, request: Request, deadline: float, most: int = MOST_READ) -> tuple[Answer, bytes]:
        """What the other side said, and the beginning of its body: at most so many bytes. Raises nothing.

        A status that came counts, whatever becomes of the body: who said 200 and then stalls has taken the message.
        """
        heard = Heard()
        try:
            async with asyncio.timeout(deadline):
                await self._hear(heard, request, deadline, most)
        except LOST as problem:
            return heard.answer or _lost(problem, deadline), heard.body
        return heard.answer or Answer(None, "the connection broke off", silent=True), heard.body

    async def _hear(self, heard: Heard, request: Request, deadline: float, most: int) -> None:
        headers: list[tuple[bytes | str, bytes | str]] = [("user-agent", "Tocsin"), *request.headers.items()]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), deadline)
        async with self._pool.stream(
            request.method, request.url, headers=headers, content=request.body, extensions={"timeout": timeouts}
        ) as response:
            wait = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
            seconds = None if wait is None else waits(wait.decode("latin-1"), self._clock())
            heard.answer = Answer(response.status, f"it answered {response.status}", seconds)
            async for piece in response.aiter_stream():
                heard.body = (heard.body + piece)[:most]
                if len(heard.body) == most:
                    break

    async def mail(self, mail: Mail, deadline: float) -> Answer:
        """What the mail server said. Raises nothing."""
        import aiosmtplib

        if self._settings.smtp_url is None or self._settings.mail_from is None:
            return Answer(None, "not sent: TOCSIN_SMTP_URL and TOCSIN_MAIL_FROM say how mail goes out")
        whom = mail.recipients.whom(mail.to)
        said: dict[str, tuple[int, str]] = {}
        client = aiosmtplib.SMTP(**self._smtp(deadline))
        try:
            async with asyncio.timeout(deadline):
                await client.connect()
                message = written(mail, self._settings.mail_from, self._clock)
                found, _ = await client.send_message(message, recipients=whom)
            said |= {each: (response.code, response.message) for each, response in found.items()}
            # Whatever becomes of it, the mail was taken: a server that stalls here must not be sent it again.
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await client.quit()
        except aiosmtplib.SMTPRecipientsRefused as problem:
            said |= {each.recipient: (each.code, each.message) for each in problem.recipients}
        except aiosmtplib.SMTPResponseException as problem:
            return _mail_refused(problem)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as problem:
            return Answer(None, f"the mail server cannot be reached: {type(problem).__name__}", silent=True)
        finally:
            client.close()
        return _mail_taken(mail.recipients.after(whom, said))

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


def channels_may(settings: Settings) -> Allowed:
    """Where channels may send to."""
    allow = allowed(settings)
    api = urlsplit(settings.telegram_api)
    # The administrator's own word for Telegram's address counts as much as the lists.
    return Allowed(
        allow.hosts | ({api.hostname} if api.hostname and api.hostname != "api.telegram.org" else set()),
        allow.networks,
        None if allow.ports is None else allow.ports | ({api.port} if api.port else set()),
    )


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


def _lost(problem: BaseException, deadline: float) -> Answer:
    """Why there is no answer. No reason holds an address; the one of TLS says what is wrong with the certificate."""
    if isinstance(problem, Refused):
        return Answer(None, f"not sent: {problem}", final=True)
    if isinstance(problem, TimeoutError | httpcore2.TimeoutException):
        return Answer(None, f"no answer within {deadline:g} seconds", silent=True)
    if isinstance(problem, httpcore2.UnsupportedProtocol):
        return Answer(None, "not sent: only http and https", final=True)
    if isinstance(problem, httpcore2.ConnectError | OSError):
        return Answer(None, cut(f"no connection: {problem}", LONGEST_REASON), silent=True)
    return Answer(None, "the connection broke off", silent=True)


def _mail_taken(after: Recipients) -> Answer:
    """Done when nobody is left; given up when nobody ever had it."""
    done = bool(after.taken) and not after.left
    final = not after.taken and not after.left
    return Answer(250 if done else None, cut(after.reason, LONGEST_LIST), final=final, recipients=after)


def _mail_refused(problem: "aiosmtplib.SMTPResponseException") -> Answer:
    """4xx of SMTP is for now, 5xx for good."""
    reason = cut(f"the mail server said {problem.code}: {problem.message}", LONGEST_REASON)
    return Answer(None, " ".join(reason.split()), final=problem.code >= 500)
