"""The grammar of a feature: the same four files everywhere, and a reason for every other."""

import ast
from pathlib import Path

import pytest

from tests.house.conftest import ROOT

PACKAGE = ROOT / "src" / "tocsin"
GRAMMAR = {"__init__", "model", "store", "actions", "http"}

# What outgrew the four files, or is a loop or pipeline of its own: named by what it does, with the reason.
MORE: dict[str, dict[str, str]] = {
    "access": {
        "guard": "every feature's routes are built by it: the permission, the limits, the body",
        "call": "a request that has passed the guard, as every feature's http.py gets it",
        "knocking": "whose key it is and how often one may come: every way in asks it, with a key in a header or not",
        "directory": "who is who, in memory, with the loops that keep it fresh",
    },
    "incidents": {
        "asking": "what a list may be asked: the longest part of http.py, and no route",
        "shapes": "what may be sent and what is said: http.py holds the routes",
        "adopt": "the pipeline that brings in what the original service kept",
        "reported": "what a report does to an incident: the rules for what machines say",
        "signals": "what many reports do in one transaction: intake calls it",
        "troubles": "how incidents are found by whose trouble they are: store.py is at its size",
        "lines": "a page as JSON from lines that were encoded once: what makes a list cheap",
    },
    "intake": {
        "dialect": "what a dialect is; each stands in `dialects/`",
        "doors": "which door a key opens, what was refused at it, and the loop that forgets raw payloads",
        "hiding": "keys go out of a request, however they are spelled; the pipeline's most delicate step",
        "wishes": "what a request says, each thing as a wish: doors, replays and dry runs share it",
        "receive": "the pipeline of a request through a dialect's door",
        "drafts": "what drafts of integrations and reports mean: http.py and the command line share it",
        "shapes": "what may be sent and what is said: http.py holds the routes",
    },
    "delivery": {
        "outbox": "what is to be sent: queued with the entry, and settled; actions.py has channels",
        "claiming": "what is due, leased fairly: the other half of outbox.py, which is at its size",
        "told": "the routes of what was told: http.py has those of channels",
        "shapes": "what may be sent and what is said: http.py holds the routes",
        "drafts": "what drafts of channels mean: http.py and the command line share it",
        "reach": "what a channel needs of the settings: start.py, http.py and the command line say it",
        "kind": "what a kind of channel is; each stands in `channels/`",
        "words": "what a message says to people, in both languages",
        "links": "signed links and buttons",
        "buttons": "pressed buttons, by webhook or by polling",
        "sender": "the loop that carries messages out",
        "transport": "the guarded way out: HTTP and mail",
        "heartbeat": "the loop that tells a watcher outside that we live",
        "recipients": "who of several has a mail",
        "addresses": "where the way out may lead, and the guard that sees to it",
        "names": "names looked up in threads that nobody waits for",
    },
    "timeline": {
        "bell": "rings when the log has grown, for all who wait",
        "log": "append: the one way into the timeline, in place of actions",
    },
    "live": {
        "hub": "one reader of the log for all who listen",
    },
}

# Folders under `src/tocsin` that are no features.
OTHERS = {"cli", "db", "demo", "kit", "web"}

FEATURES = sorted(model.parent for model in PACKAGE.glob("*/model.py"))


@pytest.mark.parametrize("feature", FEATURES, ids=lambda folder: folder.name)
def test_a_feature_has_the_four_files_and_reasons_for_more(feature: Path) -> None:
    files = {module.stem for module in feature.glob("*.py")}
    more = MORE.get(feature.name, {})
    assert files >= {"model", "store", "http"}
    assert files - GRAMMAR == set(more), "name the file and its reason in MORE, or put it into one of the four"
    assert all(more.values())


@pytest.mark.parametrize("feature", FEATURES, ids=lambda folder: folder.name)
def test_a_feature_s_init_says_what_it_is_and_does_nothing(feature: Path) -> None:
    tree = ast.parse((feature / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_every_folder_is_a_feature_or_a_room_with_a_name() -> None:
    folders = {module.parent.name for module in PACKAGE.glob("*/*.py")}
    assert folders == {feature.name for feature in FEATURES} | OTHERS


def test_an_action_takes_many_wishes() -> None:
    """One function, one transaction, many wishes: a public function of `actions.py` is `(tx, wishes) -> results`."""
    for feature in FEATURES:
        source = feature / "actions.py"
        if not source.exists():
            continue
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            names = [argument.arg for argument in function.args.args]
            if names[:1] == ["tx"] and not function.name.startswith("_"):
                assert names == ["tx", "wishes"], f"{feature.name}.actions.{function.name}"
