"""A Tocsin that is thrown away afterwards, and somebody who takes its messages: real processes, real requests."""

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

ADDRESS = "127.0.0.1"
PATIENCE = 20.0  # seconds in which it must be ready
OURS = ("TOCSIN_", "DB_", "API_KEY", "DEBUG")


class NotReady(Exception):
    """It did not start; the message is what it said."""


class Throwaway:
    """`with Throwaway() as tocsin:` data, key and process are gone afterwards."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
        self.key = f"demo-{secrets.token_hex(8)}"
        with socket.create_server((ADDRESS, 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self) -> str:
        return f"http://{ADDRESS}:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> float:
        """Starts it on its data; the seconds until it is ready."""
        began = time.monotonic()
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        own = {
            "TOCSIN_DATA_DIR": str(self.data),
            "TOCSIN_PORT": str(self.port),
            "TOCSIN_RATE_LIMIT": "0",
            "TOCSIN_ALLOWED_TARGETS": ADDRESS,
            "TOCSIN_ALLOWED_PORTS": "*",
            "API_KEY": self.key,
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "serve"],
                cwd=self.folder, env=clean | own, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise NotReady((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL to all of it at once: nothing is said, nothing is finished."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """One request that must go well; the answer's JSON."""
        line = http.client.HTTPConnection(ADDRESS, self.port, timeout=30)
        headers = {"x-api-key": key or self.key, "content-type": "application/json"}
        line.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = line.getresponse()
        said = answer.read()
        line.close()
        if answer.status >= 300:
            raise NotReady(f"{method} {path}: {answer.status} {said.decode(errors='replace')}")
        return json.loads(said)

    def _ready(self) -> bool:
        try:
            self.ask("GET", "/readyz")
        except (OSError, http.client.HTTPException, NotReady):
            return False
        return True


class Listener:
    """Takes messages as a webhook's receiver and as an ntfy server would, and counts them."""

    def __init__(self) -> None:
        self.told: Mapping[tuple[int, str], set[str]] = defaultdict(set)  # message ids, by incident and event
        self.hooks = 0
        self.phone: list[str] = []  # titles
        self._lock = threading.Lock()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                listener.take(self.headers.get("webhook-id"), said)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet: the demo says what came."""

        self._server = ThreadingHTTPServer((ADDRESS, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self._server.server_address[1]}"

    def take(self, message: str | None, said: Any) -> None:
        """One message."""
        with self._lock:
            if message is None:
                self.phone.append(said["title"])
            else:
                self.hooks += 1
                self.told[(said["data"]["incident"]["id"], said["type"])].add(message)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
