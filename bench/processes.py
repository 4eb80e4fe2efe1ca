"""A server under measurement: started on a port of its own, watched through /proc, ended with all that it started.

A stranger that answers on the port would be measured in its place, so the listener must be our own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"
START = 60  # seconds; one on a busy machine, with its tables to make, has taken 30
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on loopback
OURS = ("TOCSIN_", "EVERYDAY_", "DB_", "API_KEY", "PG")  # settings of the caller's shell that must not leak in


class NotStarted(Exception):
    """The server did not come up, or somebody else has its port."""


class Server:
    """One server process in the working directory `home`; used in a `with`, ready inside it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], home: Path, port: int, ready: str):
        self._command, self._environment, self._home = command, environment, home
        self.port, self._ready = port, f"http://{HOST}:{port}{ready}"
        self._process: subprocess.Popen[bytes] | None = None
        self.ready_after = 0.0  # seconds from its start to its first good answer

    def __enter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(OURS)}
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**inherited, **self._environment},
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def memory(self) -> int:
        return memory(self.pid)

    def log_end(self) -> str:
        return (self._home / "log").read_text(errors="replace")[-1_000:]

    def _wait(self) -> None:
        began = time.monotonic()
        while not _answers(self._ready):
            if self._process is None or self._process.poll() is not None:
                raise NotStarted(f"the server ended at once:\n{self.log_end()}")
            if time.monotonic() > began + START:
                raise NotStarted(f"the server was not ready within {START} s:\n{self.log_end()}")
            time.sleep(0.01)
        self.ready_after = time.monotonic() - began
        if not self._listens_itself():
            raise NotStarted(f"port {self.port} is served by a process that is not ours")

    def _listens_itself(self) -> bool:
        return bool(_listening(self.port)) and _listening(self.port) <= {
            inode for pid in family(self.pid) for inode in _sockets(pid)
        }


def family(pid: int) -> set[int]:
    """The process and everything below it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = {pid}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time, user and system, of the process and all that it ever started.

    Those that have ended are in the count of whoever waited for them: PostgreSQL ends a process with each connection.
    """
    ticks = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            ticks += sum(int(field) for field in _stat(each)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Bytes of the process and all below it, what they share counted once (PSS)."""
    kilobytes = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            kilobytes += int(re.findall(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[0])
    return kilobytes * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold blanks and brackets: state, ppid, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _listening(port: int) -> set[str]:
    """The inodes of all sockets that listen on `port`."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            inodes |= {row[9] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    return inodes


def _sockets(pid: int) -> set[str]:
    inodes = set()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                    inodes.add(match[1])
    return inodes


def _answers(url: str) -> bool:
    try:
        with _direct.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def call(
    port: int, method: str, path: str, key: str, body: object = None, more: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """One request by itself: the status, and the answer's JSON. `more` are further headers."""
    headers = {"content-type": "application/json", "x-api-key": key, **(more or {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", data, headers, method=method)
    try:
        with _direct.open(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
