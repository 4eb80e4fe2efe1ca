"""Signed reports: Grafana signs with a secret that its integration shares, and with the time where it is told to."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.people import Answer
from tests.senders import Grafana
from tests.world import World
from tocsin.settings import Settings

SECRET = "a long enough secret"
STAMP = "X-Grafana-Timestamp"
SIGNATURE = "X-Grafana-Alerting-Signature"


def sends(machine: Grafana, secret: str, stamp: str | None = None, header: str = SIGNATURE) -> Answer:
    body = json.dumps({"alerts": [machine.alert("a", "firing", "POS 12 is down")]}).encode()
    signed = body if stamp is None else stamp.encode() + b":" + body
    headers = {header: hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}
    return machine.sends(body, "/in/grafana", headers=headers | ({} if stamp is None else {STAMP: stamp}))


def test_a_signed_door_takes_nothing_unsigned(world: World) -> None:
    machine = Grafana(world.admin, signing_secret=SECRET)
    assert machine.fires().status == 403
    assert sends(machine, "another secret").status == 403
    assert sends(machine, SECRET).status == 200


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (-299, 200), (299, 200), (-302, 403), (302, 403)])
def test_with_the_time_a_request_is_good_for_five_minutes(world: World, seconds: int, status: int) -> None:
    machine = Grafana(world.admin, signing_secret=SECRET, settings={"timestamp_header": STAMP})
    stamp = str(int(world.clock().timestamp()) + seconds)
    assert sends(machine, SECRET, stamp).status == status


@pytest.mark.parametrize("stamp", [None, "", "now", "-1", "1e9", "9" * 400])
def test_a_time_that_is_none_is_refused(world: World, stamp: Any) -> None:
    machine = Grafana(world.admin, signing_secret=SECRET, settings={"timestamp_header": STAMP})
    assert sends(machine, SECRET, stamp).status == 403


def test_another_signing_secret_takes_the_place_of_the_old_one(world: World) -> None:
    machine = Grafana(world.admin, signing_secret=SECRET)
    path = f"/api/integrations/{machine.id}"
    assert world.admin.ask("PATCH", path, {"signing_secret": "another secret"}).status == 200
    world.run(world.refresh_doors())
    assert sends(machine, SECRET).status == 403
    assert sends(machine, "another secret").status == 200
    assert world.admin.ask("PATCH", path, {"signing_secret": "short"}).fields == ["signing_secret"]
    other = f"/api/integrations/{world.pagerduty.id}"
    assert world.admin.ask("PATCH", other, {"signing_secret": "another secret"}).fields == ["signing_secret"]


def test_the_lines_to_paste_say_how_to_sign(world: World) -> None:
    settings = {"timestamp_header": STAMP}
    signed = Grafana(world.admin, signing_secret=SECRET, settings=settings)
    assert f"HMAC Signature - Header: {SIGNATURE}" in signed.lines
    assert f"HMAC Signature - Timestamp Header: {STAMP}" in signed.lines
    assert SECRET not in signed.lines
    assert "HMAC" not in world.grafana.lines


def test_the_command_line_makes_a_signed_door(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from tocsin.cli import app

    settings: Settings = world.service.settings
    monkeypatch.setattr("tocsin.settings.load", lambda: settings)
    how = ["--signing-secret", SECRET, "--signature-header", "X-Signed", "--timestamp-header", STAMP]
    made = CliRunner().invoke(app, ["integrations", "create", "--dialect", "grafana", "--name", "G", *how])
    assert "HMAC Signature - Header: X-Signed" in made.stderr
    machine = Grafana(world.admin)
    machine.key = made.stdout.strip()
    assert sends(machine, SECRET, str(int(world.clock().timestamp())), "X-Signed").status == 200
