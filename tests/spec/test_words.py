"""A source's words: none are lost where a summary is cut, and none replace what a person has written."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.people import Answer
from tests.world import World

LONG = "POS 12 does not answer: " + ", ".join(f"port {number} is shut" for number in range(50))
LINES = "POS 12 does not answer\nits router neither\n\nsince 8:15"
SENDERS: dict[str, Callable[[World, str], Answer]] = {
    "pagerduty": lambda world, text: world.pagerduty.triggers(summary=text),
    "opsgenie": lambda world, text: world.opsgenie.creates(message=text, description="Ask Ada."),
    "generic": lambda world, text: world.generic.says({"id": 1, "message": text, "description": "Ask Ada."}),
    "alertmanager": lambda world, text: world.alertmanager.group(
        [world.alertmanager.alert("a", "firing", None) | {"annotations": {"description": text}}]
    ),
}


def incident(world: World) -> Any:
    (id,) = [each["id"] for each in world.ada.lists().incidents]
    return world.ada.sees(id).incident


def puts(world: World, word: str, text: str) -> None:
    assert world.opsgenie.does(word, "pos/12", {word: text}, "PUT").status == 202


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("text", [LONG, LINES])
def test_the_whole_of_a_summary_that_was_cut_heads_the_description(world: World, sender: str, text: str) -> None:
    assert SENDERS[sender](world, text).status < 300
    made = incident(world)
    assert len(made["summary"]) <= 140
    assert made["summary"].startswith("POS 12 does not answer")
    assert made["description"].startswith(text)
    assert made["description"].count("POS 12") == 1


def test_a_description_that_says_it_already_is_left_alone(world: World) -> None:
    world.opsgenie.creates(message=LONG, description=f"It is so: {LONG}")
    assert incident(world)["description"] == f"It is so: {LONG}"


def test_the_same_holds_where_a_source_changes_its_words(world: World) -> None:
    world.opsgenie.creates(description="Ask Ada.")
    puts(world, "message", LONG)
    assert incident(world)["description"] == f"{LONG}\n\nAsk Ada."
    puts(world, "description", "Ask Bob.")
    assert incident(world)["description"] == f"{LONG}\n\nAsk Bob."
    other = LONG.replace("shut", "open")
    puts(world, "message", other)
    assert incident(world)["description"] == f"{other}\n\nAsk Bob."
    puts(world, "message", "POS 12 is slow")
    assert (incident(world)["summary"], incident(world)["description"]) == ("POS 12 is slow", "Ask Bob.")


def test_a_source_changes_its_own_words_and_never_a_person_s(world: World) -> None:
    world.opsgenie.creates(description="By the source.")
    puts(world, "description", "By the source again.")
    id = incident(world)["id"]
    assert incident(world)["description"] == "By the source again."
    world.ada.edits(id, description="By Ada.")
    version = incident(world)["version"]
    puts(world, "description", "By the source at last.")
    assert (incident(world)["description"], incident(world)["version"]) == ("By Ada.", version)
    report = world.ada.reports_of(id).reports[0]
    assert (report["outcome"], report["words"]) == ("noted", "By the source at last.")
    assert report["reason"] == f"a person has described incident {id}: the source's words stay here"
    puts(world, "message", LONG)
    assert incident(world)["summary"].startswith("POS 12 does not answer")
    assert incident(world)["description"] == "By Ada."
