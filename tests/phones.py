"""The other ends of the test language: `world.phone.texts == ["CRITICAL: POS 12 is down"]`, `world.mailbox.mails`.

A receiver is a real HTTP server on a port of its own: it stands for Telegram, ntfy and whatever takes webhooks.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

BOT = "4242:" + "A" * 35


@dataclass(frozen=True)
class Came:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Said = tuple[int, dict[str, str], bytes]
Says = Callable[[Came], Said]


def taken(came: Came) -> Said:
    return 200, {"content-type": "application/json"}, b'{"ok":true,"result":[]}'


def breaks_off(came: Came) -> Said:
    raise ConnectionAbortedError


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # with the usual 5, of 64 that come together some are never heard

    def handle_error(self, *about: Any) -> None:
        """A caller that has gone is none."""


class Receiver:
    """Takes everything; `says` decides what it answers."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.says: Says = taken
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms: it is written in two parts

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                came = Came(self.command, self.path, headers, body)
                with receiver._lock:
                    receiver.came.append(came)
                status, more, said = receiver.says(came)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *about: Any) -> None:
                """Nothing: the test asks for what came."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Phone(Receiver):
    """A phone with Telegram: messages come by a bot, buttons are pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[dict[str, Any]] = []
        self.says = self._as_telegram

    def _as_telegram(self, came: Came) -> Said:
        if came.path.endswith("/getUpdates"):
            offset = came.json["offset"]
            found = [each for each in self.updates if each["update_id"] >= offset]
            return 200, {}, json.dumps({"ok": True, "result": found[: came.json.get("limit", 100)]}).encode()
        return taken(came)

    def calls(self, method: str) -> list[Any]:
        """What the bot was told to do."""
        return [each.json for each in self.came if each.path == f"/bot{BOT}/{method}"]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.calls("sendMessage")

    @property
    def texts(self) -> list[str]:
        """The first line of each message."""
        return [each["text"].split("\n")[0].removeprefix("<b>").removesuffix("</b>") for each in self.messages]

    def press(self, message: dict[str, Any], number: int = 1) -> dict[str, Any]:
        """The update that Telegram makes of a pressed button."""
        ((button, *_), *_) = message["reply_markup"]["inline_keyboard"]
        return {
            "update_id": number,
            "callback_query": {
                "id": "q1",
                "data": button["callback_data"],
                "message": {"message_id": 7, "chat": {"id": 1}, "reply_markup": message["reply_markup"]},
            },
        }


class Mailbox:
    """A real mail server on a port of its own."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses: str | None = None
        self.refuses_for: dict[str, str] = {}  # what is said of an address
        self.to: list[list[str]] = []  # whom each mail came for
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)
        self._controller.start()

    async def handle_RCPT(  # noqa: N802 - the library's
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refuses_for:
            return self.refuses_for[address]
        envelope.rcpt_tos.append(address)
        return "250 taken"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the library's
        if self.refuses is not None:
            return self.refuses
        await asyncio.sleep(0)
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.to.append(list(envelope.rcpt_tos))
        return "250 taken"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    def close(self) -> None:
        self._controller.stop()
