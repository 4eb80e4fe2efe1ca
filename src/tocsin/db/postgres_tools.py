"""PostgreSQL's own programs, `pg_dump`, `pg_restore` and `psql`: which of them, and how they are told where to go.

A password reaches them by the environment: a command line can be read by everybody on the machine.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tocsin.db.contents import CannotCopy

PROGRAMS = ("pg_dump", "pg_restore", "psql")
# Where Debian and Red Hat put those of each version; what stands in PATH may be a chooser of Debian's.
PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
VERSION = re.compile(r"\) (\d+)")

# What libpq knows. asyncpg takes any other parameter of a URL as a setting of the session; libpq refuses those.
PARAMETERS = (
    "host hostaddr port dbname user passfile channel_binding connect_timeout client_encoding options application_name "
    "fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout "
    "replication gssencmode sslmode requiressl sslcompression sslcert sslkey sslrootcert sslcrl sslcrldir sslsni "
    "sslcertmode requirepeer ssl_min_protocol_version ssl_max_protocol_version krbsrvname gsslib gssdelegation "
    "service target_session_attrs load_balance_hosts require_auth"
)
OF_LIBPQ = frozenset(PARAMETERS.split())


@dataclass(frozen=True)
class Tools:
    """The programs of one version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


def tools_for(server: int) -> list[Tools]:
    """Those that can serve this server, the nearest version first; raises `CannotCopy` where there are none.

    A script that a much newer `pg_restore` writes begins with settings that an older server does not know.
    """
    found = _found(os.environ.get("PATH", ""))
    good = sorted((each for each in found if each.major >= server), key=lambda each: each.major)
    if not good:
        had = ", ".join(f"{each.major} in {each.folder}" for each in found) or "none"
        raise CannotCopy(
            f"PostgreSQL's programs {', '.join(PROGRAMS)} of version {server} or newer are needed (found: {had}). "
            f"Debian: apt install postgresql-client-{server}"
        )
    return good


def way_to(url: str) -> tuple[str, dict[str, str]]:
    """What a program's `--dbname` is to say, without the password, and the environment that has it."""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError as problem:
        raise CannotCopy(f"the database's URL cannot be understood: {problem}") from None
    who, at, where = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    environment = dict(os.environ)
    password = dict(given).get("password") or unquote(password)
    if password:
        environment["PGPASSWORD"] = password
    if "sslpassword" in dict(given):
        raise CannotCopy("PostgreSQL's programs cannot be handed `sslpassword` safely: use a key file without one")
    ours = [f"-c {name}={_escaped(value)}" for name, value in given if name not in OF_LIBPQ and name != "password"]
    if ours:
        environment["PGOPTIONS"] = " ".join([environment.get("PGOPTIONS", ""), *ours]).strip()
    query = urlencode([(name, value) for name, value in given if name in OF_LIBPQ], quote_via=quote)
    return f"{parts.scheme}://{user}{at}{where}{parts.path}{'?' if query else ''}{query}", environment


class Program:
    """One of them at work; when the block ends it has ended, and `code` and `complaint` say how."""

    def __init__(
        self, command: Sequence[str], *, fed: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the program has ended
        inward, outward = (subprocess.PIPE, subprocess.DEVNULL) if fed else (subprocess.DEVNULL, subprocess.PIPE)
        streams: dict[str, Any] = {"stdin": inward, "stdout": outward, "stderr": self._errors}
        self._process = subprocess.Popen(command, env=environment, **streams)  # noqa: S603
        self.code = -1
        self.complaint = ""

    def __enter__(self) -> IO[bytes]:
        stream = self._process.stdin or self._process.stdout
        assert stream is not None
        return stream

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self.code = self._process.wait()
        self._errors.seek(0)
        self.complaint = first_line(self._errors.read().decode(errors="replace"))
        self._errors.close()


def first_line(said: str) -> str:
    """Of what a program said: its first complaint, without its name."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(ERROR|FATAL|error):", line)]
    line = (errors or lines or ["it ended without a word"])[0]
    return re.sub(r"^(\w+:)+(<\w+>:\d+: )?\s*((error|ERROR|FATAL):\s*)?", "", line).strip().removesuffix(".")


def _escaped(value: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", value)


@cache
def _found(path: str) -> list[Tools]:
    """Of each version one, the places' before those of `path`."""
    by_version: dict[int, Tools] = {}
    for folder in _folders(path):
        if all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
            major = _major(folder)
            if major:
                by_version.setdefault(major, Tools(folder, major))
    return list(by_version.values())


def _folders(path: str) -> Iterator[Path]:
    for place in PLACES:
        yield from sorted(Path("/").glob(place))
    yield from (Path(folder) for folder in path.split(os.pathsep) if folder)


def _major(folder: Path) -> int:
    try:
        said = subprocess.run([folder / "pg_dump", "--version"], check=False, capture_output=True, text=True)  # noqa: S603
    except OSError:
        return 0
    match = VERSION.search(said.stdout)
    return int(match[1]) if match else 0
