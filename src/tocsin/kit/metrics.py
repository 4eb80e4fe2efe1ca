"""Figures for Prometheus. With several workers they are shared through files, so `/metrics` answers for all."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest, multiprocess

REQUESTS = Counter(
    "tocsin_requests_total", "Requests answered, by method, route and status.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "tocsin_request_seconds",
    "Time from a request's headers to its answer, by method and route.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BATCHES = Counter(
    "tocsin_batches_total", "Write transactions, by outcome: committed, refused, unavailable.", ["outcome"]
)
WISHES = Counter("tocsin_wishes_total", "Writes that were decided; divided by batches it is the mean size of a batch.")
READY = Gauge(
    "tocsin_ready", "1 while the last look at the database was good, by process.", multiprocess_mode="livemin"
)

DELIVERIES = Counter(
    "tocsin_deliveries_total",
    "Attempts to tell somebody, by kind of channel and outcome: sent, again, dead.",
    ["kind", "outcome"],
)
DELIVERY_SECONDS = Histogram(
    "tocsin_delivery_seconds",
    "Time from the commit that causes a message to its being taken, by kind of channel.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
LISTENERS = Gauge("tocsin_listeners", "Open streams.", multiprocess_mode="livesum")
NOTIFICATIONS_WAITING = Gauge(
    "tocsin_notifications_waiting", "Messages that are not settled yet.", multiprocess_mode="mostrecent"
)

HEARTBEATS = Counter(
    "tocsin_heartbeats_total", "Signs of life for the watcher, by outcome: sent, failed, withheld.", ["outcome"]
)
ALIVE_AT = Gauge(
    "tocsin_alive_at_seconds",
    "Unix time of the last sign of life, a write to the disk and back, the oldest of all processes'; 0 without them.",
    multiprocess_mode="livemin",
)

NAMES = (
    "tocsin_requests_total",
    "tocsin_request_seconds",
    "tocsin_batches_total",
    "tocsin_wishes_total",
    "tocsin_ready",
    "tocsin_deliveries_total",
    "tocsin_delivery_seconds",
    "tocsin_notifications_waiting",
    "tocsin_listeners",
    "tocsin_heartbeats_total",
    "tocsin_alive_at_seconds",
)


def request_seen(method: str, route: str, status: int, seconds: float) -> None:
    """One request was answered. It is counted with others: alone, between other work, it takes five times as long."""
    _seen.append((method, route, status, seconds))
    if len(_seen) >= MOST_SEEN:
        count_seen()


def count_seen() -> None:
    """Counts what was seen; unknown paths are one route, so that strangers cannot make new series."""
    while _seen:
        method, route, status, seconds = _seen.pop()
        count, duration = _series(method if method in KNOWN_METHODS else "other", route or "none", status)
        count.inc()
        duration.observe(seconds)


async def count_soon() -> None:
    """Loop: other workers' `/metrics` answers for this one too."""
    count_seen()


@lru_cache(maxsize=4096)
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Looking a series up by its labels costs more than counting in it."""
    return REQUESTS.labels(method, route, str(status)), SECONDS.labels(method, route)


def batch_seen(outcome: str, wishes: int = 0) -> None:
    """One write transaction has ended; `wishes` were decided in it."""
    BATCHES.labels(outcome).inc()
    WISHES.inc(wishes)


def shared() -> bool:
    """Whether this is one of several workers, whose figures meet in files."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def exposition() -> bytes:
    """Everything in Prometheus's text format."""
    count_seen()
    if not shared():
        return generate_latest()
    registry = CollectorRegistry()
    _Collector(registry)
    return generate_latest(registry)


def signs_of_life() -> dict[int, float]:
    """When each process of this server gave its last, by its number: Unix time, 0 where it gave none."""
    if not shared():
        return {os.getpid(): _value(ALIVE_AT.collect())}
    all_of_them = _Collector(CollectorRegistry())
    found = all_of_them.files("gauge_livemin_*.db")
    return {int(file.stem.rpartition("_")[2]): _value(all_of_them.read(file)) for file in found}


def _value(families: Iterable[Metric]) -> float:
    samples = (sample for family in families for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == "tocsin_alive_at_seconds"), 0.0)


class _Collector(multiprocess.MultiProcessCollector):
    """Reads the files of all workers, but for one that a worker has just opened: it is empty, and reading it fails."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)  # type: ignore[no-untyped-call]
        self._folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])

    def collect(self) -> Iterable[Metric]:
        return self.read(*self.files("*.db"))

    def files(self, pattern: str) -> list[Path]:
        return [file for file in self._folder.glob(pattern) if _begun(file)]

    def read(self, *files: Path) -> Iterable[Metric]:
        merged: Iterable[Metric] = self.merge([str(file) for file in files])  # type: ignore[no-untyped-call]
        return merged


def _begun(file: Path) -> bool:
    """Files only grow. A dead worker's live figures are removed, maybe since they were listed."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


_seen: list[tuple[str, str, int, float]] = []  # method, route, status, seconds: requests that are not counted yet
MOST_SEEN = 1000
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
