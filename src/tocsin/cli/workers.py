"""Several workers under one parent: started, watched, started again when one dies, stopped together.

A worker is a fresh process that is handed the listening socket. It goes when its parent is gone, however that ended.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from types import FrameType

import structlog
from prometheus_client import multiprocess

from tocsin.kit import logs
from tocsin.settings import Settings

log = structlog.get_logger("tocsin")

PR_SET_PDEATHSIG = 1
WORK = "from tocsin.cli.serve import work; work()"
SOON = 1.0  # a worker that died this quickly is started again only after a pause


class Workers:
    """`settings.workers` processes that share `listener`."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._stopping = False

    def run(self) -> None:
        """Until told to stop; then until every worker has ended."""
        logs.set_up(self._settings.log_format, self._settings.log_level)
        self._listener.set_inheritable(True)
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, self._stop)
        for _ in range(self._settings.workers):
            self._start()
        while self._running:
            self._wait_for_one()
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

    def _start(self) -> None:
        descriptor = self._listener.fileno()
        command = [sys.executable, "-c", WORK, str(descriptor), str(os.getpid())]
        # A group of its own: Ctrl-C in the terminal goes to the parent alone, which tells them all.
        worker = subprocess.Popen(command, pass_fds=[descriptor], env=self._environment(), process_group=0)  # noqa: S603
        self._running[worker.pid] = (worker, time.monotonic())
        if self._stopping:  # the signal came while this one was being started
            os.kill(worker.pid, signal.SIGTERM)

    def _environment(self) -> dict[str, str]:
        return dict(os.environ) | {"TOCSIN_HOST": self._settings.host, "TOCSIN_PORT": str(self._settings.port)}

    def _wait_for_one(self) -> None:
        pid, _ = os.wait()
        worker, since = self._running.pop(pid, (None, 0.0))
        if worker is None:
            return
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        if self._stopping:
            return
        log.warning("a worker died and is started again", pid=pid)
        if time.monotonic() - since < SOON:
            time.sleep(SOON)
        if not self._stopping:
            self._start()

    def _stop(self, sign: int, frame: FrameType | None) -> None:
        self._stopping = True
        for pid in list(self._running):
            # Not `Popen.send_signal`, which would take a dead worker away from `os.wait`.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def live_with(parent: int) -> None:
    """Arranges that this process is told to stop when its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent-watch").start()


def _watch(parent: int) -> None:
    """The slow way, for systems without the signal and for a parent that died before it was asked for."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def handed_over() -> socket.socket:
    """In a worker: the listening socket that its parent has handed it, and from here on it lives with that parent."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    live_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener
