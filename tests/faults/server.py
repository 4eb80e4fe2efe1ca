"""A `tocsin serve` of our own, to be killed: started in a session of its own, and none of it is left behind.

It owns its port: the server takes a free one at its first start and the same one again later; a busy port ends a start.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.faults.client import KEY, Client, Unreachable

ROOT = Path(__file__).resolve().parents[2]
OURS = ("TOCSIN_", "DB_", "API_KEY", "DEBUG", "PG", "PROMETHEUS_")
SERVE = (sys.executable, "-m", "tocsin", "serve")
PATIENCE = 20.0  # seconds: the upper bound of every wait that is not a promise of its own
_PR_CAPBSET_DROP = 24
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what makes root pass every permission


def wait_until(true: Callable[[], object], within: float = PATIENCE, *, what: str) -> float:
    """Polls until `true` and gives the seconds that it took; fails with `what` when it takes longer than `within`."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def environment(**settings: object) -> dict[str, str]:
    """This process's, without any setting of Tocsin's but the given ones."""
    # With bytecode kept a start takes half a second instead of two.
    dropped = (*OURS, "PYTHONDONTWRITEBYTECODE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    given = {"TOCSIN_RATE_LIMIT": 0, "TOCSIN_ADDRESS_RATE_LIMIT": 0, "TOCSIN_ACCESS_LOG": "off", "API_KEY": KEY}
    chosen = {name: str(value) for name, value in (given | settings).items() if value is not None}
    return clean | {"PYTHONPATH": str(ROOT / "src")} | chosen


def run(home: Path, *command: str, mortal: bool = False, **settings: object) -> subprocess.CompletedProcess[str]:
    """A command to its end, such as `run(home, "keys", "list")`; `mortal`: even root obeys a file's permissions."""
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": PATIENCE, "check": False}
    whole = (*SERVE[:-1], *command)
    before = mortally if mortal else None
    return subprocess.run(whole, cwd=home, env=environment(**settings), preexec_fn=before, **how)


def mortally() -> None:
    """In a child about to become a program: root loses the right to pass by a file's permissions."""
    if os.geteuid() == 0:
        for right in _OVERRIDES:
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, right, 0, 0, 0)


class Server:
    """`with Server(home, TOCSIN_WORKERS=2) as server: server.client.ask("GET", "/readyz")`.

    `home` is its working directory: data and log lie there, and outlive a kill.
    """

    command: tuple[str, ...] = SERVE

    def __init__(self, home: Path, **settings: object) -> None:
        self.home = home
        self.port = 0
        self.settings: Any = settings
        self._log = home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    @property
    def client(self) -> Client:
        """A new connection to it."""
        return Client(self.port)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The living processes of its session but the first one."""
        return [pid for pid in session(self.pid) if pid != self.pid]

    def start(self) -> Self:
        """Starts it and returns when it is ready. After a kill the old workers may hold the port for a moment."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.launch()
            with contextlib.suppress(Died):
                self.wait_ready(deadline - time.monotonic())
                return self
            if "cannot listen" not in self.said() or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start:\n{self.said()}")

    def launch(self) -> None:
        """Starts it and does not wait."""
        with self._log.open("wb") as log:
            how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            # A killed one cannot tidy up: what it leaves among the temporary files goes with its home.
            env = environment(**{"TOCSIN_PORT": self.port, "TMPDIR": self.home, **self.settings})
            self._process = subprocess.Popen(self.command, cwd=self.home, env=env, **how)

    def wait_ready(self, within: float = PATIENCE) -> float:
        """Until `/readyz` says so; the seconds that it took. Raises `Died` when the process ends before."""
        return wait_until(self._is_ready, within, what=f"ready\n{self.said()}")

    def ready(self) -> bool:
        """Whether `/readyz` says so now."""
        with contextlib.suppress(Unreachable), self.client as client:
            return client.ask("GET", "/readyz").status == 200
        return False

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise Died
        self.port = self.port or self._told_port()
        return self.port != 0 and self.ready()

    def _told_port(self) -> int:
        for line in self.said().splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if said.get("event") == "starting":
                    return int(said["port"])
        return 0

    def said(self) -> str:
        """What it has said since its last start, stdout and stderr."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def signal(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """To the first process alone."""
        os.kill(self.pid, sign)

    def exit_code(self, within: float = PATIENCE) -> int:
        """Waits until it has ended."""
        assert self._process is not None
        return self._process.wait(within)

    def kill_parent(self) -> None:
        """SIGKILL to the first process. Its workers must go by themselves, and within five seconds."""
        self.signal(signal.SIGKILL)
        self.exit_code()
        wait_until(lambda: not session(self.pid), 5, what="the workers of a killed parent are gone")

    def kill_worker(self) -> None:
        """SIGKILL to one worker; its parent must start another, which this does not wait for."""
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(self.workers[0], signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL to every process of its session at once."""
        if self._process is None:
            return
        for pid in session(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.exit_code()
        wait_until(lambda: not session(self.pid), 5, what="killed processes are gone")


class Died(Exception):
    """The server ended when it should have become ready."""


def session(leader: int) -> list[int]:
    """The living processes of a session, oldest first."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # "pid (name) state parent group session …"; the name may hold anything.
            state, _, _, sid = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(sid) == leader and state != "Z":
                found.append(int(place.name))
    return sorted(found)
