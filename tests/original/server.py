"""A Tocsin of our own, started by any command line, and what it answers.

It owns its port: a busy one ends the start, and so does a listener that is not the process we started.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("TOCSIN_", "DB_", "API_KEY", "DEBUG", "PG")
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


class Server:
    """`with Server([...], cwd=…, environment=…, port=…) as server: server.ask("GET", "/readyz")`."""

    def __init__(self, command: list[str] | str, *, cwd: Path, environment: Mapping[str, str], port: int) -> None:
        self.port = port
        self.folder = cwd
        self._log = cwd / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command if isinstance(command, list) else ["/bin/sh", "-c", f"exec {command}"],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 60
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the server did not start:\n{self.said()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def said(self) -> str:
        """Everything that it has printed and logged."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        for number, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 5)):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                try:
                    self._process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        return self._process.wait(1)

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """One request. `body` is sent as JSON, bytes as they are; redirects are not followed."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if sent is not None else {}
        if key is not None:
            headers["x-api-key"] = key
        line = http.client.HTTPConnection(ADDRESS, self.port, timeout=30)
        try:
            line.request(method, path, sent, headers)
            answer = line.getresponse()
            text = answer.read()
            said = json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else text
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, said)
        finally:
            line.close()

    def _ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == 200 and listens(self._process.pid, self.port)
        except (OSError, http.client.HTTPException):
            return False


def clean_environment() -> dict[str, str]:
    """This process's environment without the settings and the virtual environment that it may hold."""
    gone = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    return {n: v for n, v in os.environ.items() if not n.upper().startswith(SETTINGS) and n not in gone}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def listens(pid: int, port: int) -> bool:
    """Whether the listener on this port is that process (known on Linux only; elsewhere the bind must do)."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return True
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    return any(str(file.readlink()) in sockets for file in Path(f"/proc/{pid}/fd").iterdir())
