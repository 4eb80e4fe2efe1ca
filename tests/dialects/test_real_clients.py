"""Real clients against a running Tocsin: what others ship, pointed at us, and what came of it.

Each test notes what was seen; `docs/senders.md` must say so, line by line. With WRITE_DOCS=1 the page is written from
the run instead.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.house.conftest import ROOT
from tests.people import Incident
from tests.senders import Opsgenie, PagerDuty
from tests.world import World

PATIENCE = 30.0
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
CONFIG = """
global: {{resolve_timeout: 1h}}
route:
  receiver: tocsin
  group_by: ['group']
  group_wait: 50ms
  group_interval: 1s
  repeat_interval: 1s
receivers:
  - name: tocsin
    {receiver}
"""

TABLE_ENDS = "<!-- end -->"
Noted = Callable[[str, str, str, str], None]


@pytest.fixture
def noted() -> Noted:
    """`noted(sender, version, dialect, what was seen)`: the docs say the same, of whatever version."""

    def look(sender: str, its_version: str, dialect: str, seen: str) -> None:
        page = ROOT / "docs" / "senders.md"
        docs = page.read_text(encoding="utf-8")
        line = f"| {sender} | {its_version} | {dialect} | {seen} |"
        if os.environ.get("WRITE_DOCS"):
            former = rf"^\| {re.escape(sender)} \|.*\n"
            kept = re.sub(former, "", docs, flags=re.MULTILINE)
            page.write_text(kept.replace(TABLE_ENDS, f"{line}\n{TABLE_ENDS}"), encoding="utf-8")
            return
        pattern = re.escape(line).replace(re.escape(its_version), r"[\w.+-]+", 1)
        assert re.search(pattern, docs), f"docs/senders.md should have: {line}; WRITE_DOCS=1 writes it"

    return look


def until(true: Callable[[], Any], what: str) -> Any:
    """Another program works at its own pace: looks until it is so."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


class RealAlertmanager:
    """Debian's Alertmanager with one receiver; alerts go in by its own API."""

    def __init__(self, folder: Path, receiver: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG.format(receiver=receiver))
        assert ALERTMANAGER is not None
        listen = f"--web.listen-address=127.0.0.1:{self._port}"
        command = [
            ALERTMANAGER,
            f"--config.file={config}",
            f"--storage.path={folder}",
            listen,
            "--cluster.listen-address=",
        ]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until(self._ready, "Alertmanager is up")

    def fires(self, name: str, *, over: bool = False, **labels: str) -> None:
        """One alert; `over` says that it has ended."""
        now = datetime.now(UTC)
        alert = {
            "labels": {"alertname": name, "group": "g", "severity": "critical", **labels},
            "annotations": {"summary": f"{name} is down", "description": "Nothing answers."},
            "startsAt": (now - timedelta(minutes=5)).isoformat(),
            "endsAt": (now - timedelta(seconds=1) if over else now + timedelta(hours=1)).isoformat(),
        }
        assert self._ask("POST", "/api/v2/alerts", json.dumps([alert])) == 200

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def _ready(self) -> bool:
        try:
            return self._ask("GET", "/-/ready", None) == 200
        except OSError:
            return False

    def _ask(self, method: str, path: str, body: str | None) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as line:
            line.request(method, path, body, {"content-type": "application/json"})
            return line.getresponse().status


@contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[RealAlertmanager]:
    if ALERTMANAGER is None:
        reason = "NOT TESTED with a real Alertmanager (Debian: apt-get install prometheus-alertmanager)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    running = RealAlertmanager(folder, receiver)
    try:
        yield running
    finally:
        running.close()


def version_of_alertmanager() -> str:
    said = subprocess.run([str(ALERTMANAGER), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version ([\d.]+)", said.stdout + said.stderr)
    assert found
    return found[1]


def only(world: World) -> Incident:
    (incident,) = world.ada.lists().incidents
    return incident


def test_alertmanager_by_its_webhook(world: World, tmp_path: Path, noted: Noted) -> None:
    lines = [line for line in world.alertmanager.lines.splitlines() if line.strip()]
    # What the integration printed, pasted as it is below `receivers:`.
    receiver = "\n".join(line for line in lines if "receivers:" not in line and "- name:" not in line).strip()
    with alertmanager(tmp_path, receiver) as sender:
        sender.fires("pos", unit="12")
        one = until(lambda: world.ada.lists().incidents, "it opens")[0]
        assert (one["summary"], one["severity"], one["source"]) == ("pos is down", "critical", "monitoring")
        until(lambda: only(world)["reports_count"] > 1, "repeats join")
        sender.fires("gate", unit="7")
        until(lambda: len(world.ada.lists().incidents) == 2, "another alert of the group opens its own")
        sender.fires("pos", over=True, unit="12")
        until(lambda: world.ada.sees(one).incident["status"] == "resolved", "one of a mixed group is over")
        assert len(world.ada.lists(status="active").incidents) == 1
        sender.fires("gate", over=True, unit="7")
        until(lambda: not world.ada.lists(status="active").incidents, "the other is over")
    seen = "fires, repeats, a mixed group, resolves: an incident for each alert"
    noted("Alertmanager, webhook", version_of_alertmanager(), "alertmanager", seen)


def test_alertmanager_as_if_we_were_pagerduty(world: World, tmp_path: Path, noted: Noted) -> None:
    home = f"http://127.0.0.1:{world.port}/v2/enqueue"
    receiver = f"pagerduty_configs: [{{routing_key: {world.pagerduty.key}, url: '{home}'}}]"
    group_through(world, tmp_path, receiver)
    noted(
        "Alertmanager, PagerDuty",
        version_of_alertmanager(),
        "pagerduty",
        "fires, repeats, resolves: an incident for each group",
    )


def test_alertmanager_as_if_we_were_opsgenie(world: World, tmp_path: Path, noted: Noted) -> None:
    home = f"http://127.0.0.1:{world.port}/"
    receiver = f"opsgenie_configs: [{{api_key: {world.opsgenie.key}, api_url: '{home}', update_alerts: true}}]"
    group_through(world, tmp_path, receiver)
    seen = "fires, repeats, updates, closes: an incident for each group"
    noted("Alertmanager, Opsgenie", version_of_alertmanager(), "opsgenie", seen)


def group_through(world: World, folder: Path, receiver: str) -> None:
    """A group fires, grows, and is over: one incident."""
    with alertmanager(folder, receiver) as sender:
        sender.fires("pos", unit="12")
        until(lambda: world.ada.lists().incidents, "it opens")
        sender.fires("gate", unit="7")
        until(lambda: only(world)["reports_count"] > 1, "what follows joins")
        sender.fires("pos", over=True, unit="12")
        sender.fires("gate", over=True, unit="7")
        until(lambda: only(world)["status"] == "resolved", "the end resolves")


def pagerduty_through(world: World, session: Any) -> None:
    """Triggers, repeats, acknowledges, resolves."""
    key = session.trigger("POS 12 is down", "pos-12", severity="error", custom_details={"shift": "2"})
    assert session.trigger("POS 12 is down", "pos-12", dedup_key=key, severity="error") == key
    assert (only(world)["summary"], only(world)["severity"], only(world)["reports_count"]) == (
        "POS 12 is down",
        "high",
        2,
    )
    session.acknowledge(key)
    assert only(world)["acknowledged_at"]
    session.resolve(key)
    assert only(world)["status"] == "resolved"


def test_pagerduty_s_client(world: World, noted: Noted) -> None:
    from pagerduty import EventsApiV2Client

    with _quiet():
        session = EventsApiV2Client(world.pagerduty.key)
        session._url = f"http://127.0.0.1:{world.port}"  # it takes https alone; TLS is a proxy's work here
        pagerduty_through(world, session)
    noted("pagerduty (PyPI)", version("pagerduty"), "pagerduty", "trigger, repeat, acknowledge, resolve")


def test_pdpyras(world: World, noted: Noted) -> None:
    with _quiet():
        from pdpyras import EventsAPISession  # type: ignore[import-untyped]

        session = EventsAPISession(world.pagerduty.key)
        session.url = f"http://127.0.0.1:{world.port}"
        pagerduty_through(world, session)
    noted("pdpyras (PyPI)", version("pdpyras"), "pagerduty", "trigger, repeat, acknowledge, resolve")


def test_a_wrong_key_is_pagerduty_s_own_error(world: World) -> None:
    from pagerduty import EventsApiV2Client, HttpError

    assert isinstance(world.pagerduty, PagerDuty)
    session = EventsApiV2Client("0" * 32)
    session._url = f"http://127.0.0.1:{world.port}"
    with pytest.raises(HttpError) as refusal:
        session.trigger("POS 12 is down", "pos-12")
    assert refusal.value.response is not None
    assert refusal.value.response.status_code == 403


def test_opsgenie_s_sdk(world: World, noted: Noted) -> None:
    with _quiet():
        import opsgenie_sdk  # type: ignore[import-untyped]

        assert isinstance(world.opsgenie, Opsgenie)
        settings = opsgenie_sdk.Configuration()
        settings.host = f"http://127.0.0.1:{world.port}"
        settings.api_key["Authorization"] = world.opsgenie.key
        alerts = opsgenie_sdk.AlertApi(opsgenie_sdk.ApiClient(configuration=settings))
        draft = opsgenie_sdk.CreateAlertPayload(message="POS 12 is down", alias="pos/12", priority="P2", tags=["shop"])
        made = alerts.create_alert(create_alert_payload=draft)
        asked = alerts.get_request_status(request_id=made.request_id)
        assert asked.data.is_success
        alerts.create_alert(create_alert_payload=draft)
        assert (only(world)["severity"], only(world)["reports_count"]) == ("high", 2)
        named: dict[str, Any] = {"identifier": "pos/12", "identifier_type": "alias"}
        found = alerts.get_alert(**named)
        assert (found.data.message, found.data.alias, found.data.count) == ("POS 12 is down", "pos/12", 2)
        assert len(alerts.list_alerts(limit=10).data) == 1
        alerts.acknowledge_alert(**named, acknowledge_alert_payload=opsgenie_sdk.AcknowledgeAlertPayload(user="ada"))
        assert only(world)["acknowledged_at"]
        alerts.add_note(**named, add_note_to_alert_payload=opsgenie_sdk.AddNoteToAlertPayload(note="on the way"))
        alerts.close_alert(**named, close_alert_payload=opsgenie_sdk.CloseAlertPayload(user="ada"))
        assert only(world)["status"] == "resolved"
    seen = "create, request status, repeat, get, list, acknowledge, note, close"
    noted("opsgenie-sdk (PyPI)", version("opsgenie-sdk"), "opsgenie", seen)


@contextmanager
def _quiet() -> Iterator[None]:
    """The clients warn of their own age and of each other; that is theirs to mend."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
