"""Dedup keys of any length and script: refused by the sender's own rules, or made to fit; never an error of ours."""

import random

import pytest

from tests.world import World


def rare(count: int) -> str:
    """Characters of four bytes, in no order that a database could pack."""
    dice = random.Random(count)
    return "".join(chr(dice.randrange(0x20000, 0x2A6D0)) for _ in range(count))


@pytest.mark.parametrize("key", [rare(5000), rare(513), "k" * 2049], ids=["very long", "rare", "plain"])
def test_a_long_key_of_a_sender_without_a_limit_is_made_to_fit_and_stays_one(world: World, key: str) -> None:
    for _ in range(2):
        assert world.generic.says({"id": key, "title": "t"}).status == 200
    assert world.generic.says({"id": key + "!", "title": "t"}).status == 200
    log = world.ada.log_of(world.generic.id).reports
    assert [each["outcome"] for each in reversed(log)] == ["opened", "joined", "opened"]
    assert log[0]["dedup_key"].startswith(key[:200])
    alert = {"labels": {"alertname": "A"}, "fingerprint": key, "status": "firing"}
    assert world.alertmanager.group([alert, {**alert, "status": "resolved"}]).status == 200
    outcomes = [each["outcome"] for each in world.ada.log_of(world.alertmanager.id).reports]
    assert outcomes == ["resolved", "opened"]


@pytest.mark.parametrize("key", [rare(512), "k" * 2048])
def test_a_key_that_just_fits_is_kept_as_it_is(world: World, key: str) -> None:
    assert world.generic.says({"id": key, "title": "t"}).status == 200
    assert world.ada.log_of(world.generic.id).reports[0]["dedup_key"] == key
    assert world.probe.reports("t", dedup_key=key).report["outcome"] == "opened"


def test_the_longest_alias_and_the_longest_event_key_fit(world: World) -> None:
    assert world.opsgenie.creates(rare(512)).status == 202
    assert world.pagerduty.triggers(rare(255)).status == 202
    assert world.opsgenie.creates(rare(513)).status == 422
    assert world.pagerduty.triggers(rare(256)).status == 400
