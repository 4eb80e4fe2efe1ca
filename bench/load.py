"""The load: connections that each ask, wait for the answer and ask again, for a fixed time.

wrk where it is installed; else a generator in Python, which is slower than what it measures and is said to be so.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from bench.scenario import Scenario

PATIENCE = 30  # seconds for one answer; later is a failure


@dataclass(frozen=True)
class Run:
    """One run's result: `sent` counts what was asked, `requests` what was answered; milliseconds for the latencies."""

    requests: int
    sent: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failures: Mapping[str, int]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Target:
    host: str
    port: int
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "application/json"} | ({"x-api-key": self.key} if self.key else {})


class Generator(Protocol):
    name: str

    def run(self, target: Target, scenario: Scenario, start: int, seconds: float, connections: int) -> Run: ...


def generator() -> Generator:
    found = shutil.which("wrk")
    return Wrk(found) if found else InPython()


def percentile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


class Wrk:
    """One thread of wrk: more would only take the processor away from the server. It knows whole seconds only."""

    def __init__(self, program: str) -> None:
        self._program = program
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        self.name = " ".join(said.split()[:2]) or "wrk"

    def run(self, target: Target, scenario: Scenario, start: int, seconds: float, connections: int) -> Run:
        shape = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", f"{PATIENCE}s", "--latency"]
        headers = [part for name, value in target.headers.items() for part in ("-H", f"{name}: {value}")]
        script = ["-s", str(Path(__file__).with_name("replay.lua"))]
        url = f"http://{target.host}:{target.port}"
        replayed = [str(scenario.file), str(start), *([secrets.token_hex(8)] if scenario.keyed else [])]
        command = [self._program, *shape, *headers, *script, url, "--", *replayed]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 2 * PATIENCE)
        if done.returncode or not done.stdout.strip():
            raise RuntimeError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
        return Run(**json.loads(done.stdout.strip().splitlines()[-1]))


class InPython:
    """The fall-back, on one asyncio loop."""

    name = "Python (asyncio)"

    def run(self, target: Target, scenario: Scenario, start: int, seconds: float, connections: int) -> Run:
        return asyncio.run(_Clients(target, _ring(target, scenario, start)).run(seconds, connections))


def _ring(target: Target, scenario: Scenario, start: int) -> Iterator[bytes]:
    lines = scenario.file.read_text().splitlines()
    token = secrets.token_hex(8)
    for n in count(start):
        yield raw(target, lines[n % len(lines)], {"idempotency-key": f"{token}-{n}"} if scenario.keyed else {})


class _Clients:
    def __init__(self, target: Target, requests: Iterator[bytes]) -> None:
        self._target, self._requests = target, requests
        self._sent = 0
        self._waits: list[float] = []
        self._failures: Counter[str] = Counter()

    async def run(self, seconds: float, connections: int) -> Run:
        began = time.perf_counter()
        await asyncio.gather(*(self._client(began + seconds) for _ in range(connections)))
        took = time.perf_counter() - began
        p50, p99 = (percentile(self._waits, part) * 1000 for part in (0.5, 0.99))
        return Run(len(self._waits), self._sent, took, p50, p99, dict(self._failures))

    async def _client(self, until: float) -> None:
        try:
            reader, writer = await asyncio.open_connection(self._target.host, self._target.port)
            # At least one each, however late it is: a run without an answer says nothing.
            while (asked := time.perf_counter()) < until or not self._waits:
                writer.write(next(self._requests))
                self._sent += 1
                status = await asyncio.wait_for(_answer(reader), PATIENCE)
                self._waits.append(time.perf_counter() - asked)
                if not 200 <= status < 300:
                    self._failures["status"] += 1
            writer.close()
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self._failures[type(error).__name__] += 1


async def _answer(reader: asyncio.StreamReader) -> int:
    """Reads one answer and returns its status; every server here sends Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head[9:12])


def raw(target: Target, line: str, more: Mapping[str, str]) -> bytes:
    """A request as it goes over the wire."""
    method, path, *rest = line.split(" ", 2)
    body = "".join(rest).encode()
    headers = {"host": f"{target.host}:{target.port}", **target.headers, **more}
    if body:
        headers["content-length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
