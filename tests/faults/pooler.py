"""A PgBouncer of our own before a PostgreSQL, in transaction mode."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.postgres import ADDRESS, USER, Postgres, _die_with_parent, _free_port, _identity, _unprivileged

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
INSTALL = "behind a pooler: install PgBouncer (Debian: `apt install pgbouncer`)"
CONFIG = """
[databases]
* = host={address} port={upstream} user={user} password={password}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
server_idle_timeout = 5
ignore_startup_parameters = extra_float_digits
"""


class Pooler:
    """`with Pooler(postgres, pool=3) as pooler: pooler.url(url)`; `pool` connections serve every client."""

    def __init__(self, postgres: Postgres, *, pool: int) -> None:
        assert PROGRAM is not None
        user = _unprivileged()
        self._postgres = postgres
        self.port = _free_port()
        self._home = Path(tempfile.mkdtemp(prefix="tocsin-pool-", dir="/tmp"))
        facts = {"upstream": postgres.port, "password": postgres.password, "port": self.port, "pool": pool}
        config = self._home / "pgbouncer.ini"
        config.write_text(CONFIG.format(address=ADDRESS, user=USER, **facts))
        if user is not None:
            shutil.chown(self._home, user)
            shutil.chown(config, user)
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, str(config)], stdout=log, stderr=log, preexec_fn=_die_with_parent, **_identity(user)
            )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((ADDRESS, self.port), 1):
                return self
            time.sleep(0.02)
        self.__exit__()
        raise AssertionError(f"pgbouncer did not start: {(self._home / 'log').read_text()}")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(5)
        shutil.rmtree(self._home, ignore_errors=True)

    def url(self, url: str) -> str:
        """The same database through the pooler."""
        return url.replace(f":{self._postgres.port}/", f":{self.port}/")
