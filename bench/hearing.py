"""How soon others hear of it: a thousand listeners of the stream, and the receiver of a message.

The clock starts when a request is sent, so every figure holds the write, its commit and its answer too: what is
measured is never less than the way from the commit to whoever hears of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.processes import HOST
from bench.stage import Stage
from bench.subjects import Dishonest, Subject

GAP = 0.2  # seconds between two writes: the server is idle in between
ENTRY = re.compile(rb'event: entry\ndata: {"id":\d+,"at":"[^"]*","kind":"filed","incident_id":(\d+),')
LONGEST = 30.0  # seconds after which something has been lost


@dataclass(frozen=True)
class Heard:
    """One engine's figures. Latencies in milliseconds, each one's own; memory in KiB for each listener."""

    engine: str
    listeners: int
    at_listeners: Sequence[float]
    memory: float
    at_receiver: Sequence[float]


def hearing(stage: Stage) -> list[Heard]:
    """Measures both; raises Dishonest when an entry or a message did not come, or came twice."""
    subject, listeners, writes = stage.ours, stage.plan.listeners, stage.plan.writes
    stage.say(f"{listeners} listeners, {writes} writes")
    at_listeners, memory = asyncio.run(_listened(subject, listeners, writes))
    stage.say(f"{writes} messages")
    return [Heard(stage.engine, listeners, at_listeners, memory, asyncio.run(_told(subject, writes)))]


@dataclass
class _Listener(asyncio.Protocol):
    """One open stream. `came` has the moment at which each incident was heard of."""

    request: bytes
    came: dict[int, float] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.rest += data
        *whole, self.rest = self.rest.split(b"\n\n")
        for event in whole:
            if b"event: hello" in event:
                self.ready.set()
            elif found := ENTRY.search(event):
                if int(found[1]) in self.came:
                    raise Dishonest(f"incident {found[1].decode()} came twice to one listener")
                self.came[int(found[1])] = now


async def _listened(subject: Subject, count: int, writes: int) -> tuple[list[float], float]:
    before = subject.server.memory()
    head = f"GET /api/stream HTTP/1.1\r\nhost: {HOST}\r\nx-api-key: {subject.key}\r\n\r\n".encode()
    listeners = [_Listener(head) for _ in range(count)]
    loop = asyncio.get_running_loop()
    for each in listeners:
        await loop.create_connection(lambda each=each: each, HOST, subject.server.port)  # type: ignore[misc]
    async with asyncio.timeout(LONGEST):
        for each in listeners:
            await each.ready.wait()
    asked = await _write(subject, writes)
    await _until(lambda: all(len(each.came) >= writes for each in listeners), "an entry did not come")
    memory = (subject.server.memory() - before) / count / 1024
    for each in listeners:
        each.transport.abort()
    return [(each.came[id] - at) * 1000 for each in listeners for id, at in asked.items()], memory


async def _told(subject: Subject, writes: int) -> list[float]:
    """A webhook of one's own hears of each incident."""
    came: dict[int, float] = {}
    lines: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                now = time.perf_counter()
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                said = json.loads(await reader.readexactly(length))
                came.setdefault(said["data"]["incident"]["id"], now)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    receiver = await asyncio.start_server(take, HOST, 0)
    url = f"http://{HOST}:{receiver.sockets[0].getsockname()[1]}/"
    channel = {"name": "bench", "kind": "webhook", "config": {"url": url}}
    status, made = await asyncio.to_thread(subject.call, "POST", "/api/channels", channel)
    if status != 201:
        raise Dishonest(f"no channel could be made: {status} {made}")
    id = made["channel"]["id"]
    await asyncio.to_thread(subject.call, "POST", "/api/subscriptions", {"channel_id": id})
    asked = await _write(subject, writes)
    await _until(lambda: asked.keys() <= came.keys(), "a message did not come")
    # What is measured next must not be told to a receiver that is gone.
    status, said = await asyncio.to_thread(subject.call, "DELETE", f"/api/channels/{id}")
    if not 200 <= status < 300:
        raise Dishonest(f"the channel could not be removed: {status} {said}")
    receiver.close()
    for line in lines:
        line.close()
        await line.wait_closed()
    return [(came[id] - at) * 1000 for id, at in asked.items()]


async def _write(subject: Subject, writes: int) -> dict[int, float]:
    """Files one incident after the other, with a pause between; when each was asked for."""
    asked: dict[int, float] = {}
    for number in range(writes):
        await asyncio.sleep(GAP)
        began = time.perf_counter()
        draft = {"description": f"Point of sale {number} does not answer", "source": "operator"}
        status, said = await asyncio.to_thread(subject.call, "POST", "/api/incidents", draft)
        if status != 201:
            raise Dishonest(f"an incident was not filed: {status} {said}")
        asked[said["incident"]["id"]] = began
        subject.acknowledged += 1
    return asked


async def _until(true: Callable[[], bool], otherwise: str) -> None:
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > LONGEST:
            raise Dishonest(otherwise)
        await asyncio.sleep(0.05)
