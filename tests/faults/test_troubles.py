"""One trouble, one incident: 64 triggers at once on a new key, for many keys, at one process and at two."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults.client import Client
from tests.faults.conftest import Figures
from tests.faults.figures import size
from tests.faults.ground import Ground

KEYS = size(10, 200)
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


def test_64_triggers_at_once_on_a_new_key_make_one_incident(ground: Ground, figures: Figures) -> None:
    with ground.server() as server:
        ground.served(server)
        told = {f"trouble {n}": all_at_once(server.port, f"trouble {n}") for n in range(KEYS)}
        with server.client as client:
            incidents = client.ask("GET", "/api/incidents?limit=1000").body["incidents"]
        again = server.said().count("a batch is run again")
        server.kill_all()
    assert sorted(incident["dedup_key"] for incident in incidents) == sorted(told)
    for incident in incidents:
        reports = told[incident["dedup_key"]]
        assert incident["reports_count"] == AT_ONCE
        assert {report["incident_id"] for report in reports} == {incident["id"]}
        assert sorted(report["outcome"] for report in reports) == ["joined"] * (AT_ONCE - 1) + ["opened"]
    assert ground.register.rows("SELECT count(*) FROM report") == [[str(KEYS * AT_ONCE)]]
    ground.register.check_itself()
    made = (
        f"{KEYS} × {AT_ONCE} triggers made {len(incidents)} incidents, every report counted; {again} batches run again"
    )
    figures("64 triggers at once on a new key", made)
