"""One trouble, one incident: 64 triggers at once on a new key, for ten keys, at one process and at two."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client import Client
from tests.faults.conftest import Say
from tests.faults.server import Server, wait_until

KEYS = 10
AT_ONCE = 64


def all_at_once(port: int, key: str) -> list[dict[str, Any]]:
    """Each on a connection of its own, made before all of them are let go."""
    ready = threading.Barrier(AT_ONCE)

    def trigger(number: int) -> dict[str, Any]:
        with Client(port) as client:
            client.ask("GET", "/livez")
            ready.wait()
            answer = client.ask("POST", "/api/reports", {"summary": f"report {number}", "dedup_key": key})
            assert answer.status == 201, answer
            report: dict[str, Any] = answer.body["report"]
            return report

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return list(crowd.map(trigger, range(AT_ONCE)))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_64_triggers_at_once_on_each_of_ten_new_keys_make_ten_incidents(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, say: Say
) -> None:
    where: dict[str, Any] = {"TOCSIN_RATE_LIMIT": 0}
    if engine == "postgresql":
        where |= {"TOCSIN_DATABASE_URL": request.getfixturevalue("database"), "TOCSIN_WORKERS": 2}
    with Server(tmp_path, **where) as server:
        if engine == "postgresql":
            wait_until(lambda: len(server.workers) == 2, what="two workers")
        told = {f"trouble {n}": all_at_once(server.port, f"trouble {n}") for n in range(KEYS)}
        with server.client as client:
            incidents = client.ask("GET", "/api/incidents?limit=1000").body["incidents"]
        again = server.said().count("a batch is run again")
    assert sorted(incident["dedup_key"] for incident in incidents) == sorted(told)
    for incident in incidents:
        reports = told[incident["dedup_key"]]
        assert incident["reports_count"] == AT_ONCE
        assert {report["incident_id"] for report in reports} == {incident["id"]}
        assert sorted(report["outcome"] for report in reports) == ["joined"] * (AT_ONCE - 1) + ["opened"]
    say(f"{engine}: {KEYS} x {AT_ONCE} triggers at once made {len(incidents)} incidents; {again} batches run again")
