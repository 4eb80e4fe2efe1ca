"""The lifecycle and every rule about an incident: `incidents/model.py`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tocsin.access.model import ROLES, Principal, Role
from tocsin.incidents import model
from tocsin.incidents.model import STATUSES, Change, Incident
from tocsin.incidents.reported import COUNTED, Sender, Signal, heard
from tocsin.kit.errors import Invalid, NotAllowed, RefusedMove

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ADA = Principal(1, "operator", "ada")
PROBE = Principal(4, "monitoring", "probe")
ACME = Principal(5, "partner", "acme", 50, "acme")

# What a move does, from each status (the rows) to each (the columns): `.` nothing, it has that status already,
# `y` it moves, `o` it moves and that is a reopening, `n` it is refused.
MATRIX = """
              new  open  in_progress  on_hold  resolved  closed
new           .    y     y            y        y         y
open          n    .     y            y        y         y
in_progress   n    y     .            y        y         y
on_hold       n    y     y            .        y         y
resolved      n    o     o            o        .         y
closed        n    o     o            n        n         .
"""
HEAD, *ROWS = (line.split() for line in MATRIX.strip().splitlines())
MOVES = [(row[0], to, what) for row in ROWS for to, what in zip(HEAD, row[1:], strict=True)]


def incident(status: str = "new", **other: Any) -> Incident:
    values: dict[str, Any] = dict.fromkeys(Incident._fields)
    values |= {"id": 1, "description": "it burns", "status": status, "source": "operator", "created_at": NOW}
    values |= {"filed_by": 1, "updated_at": NOW, "reopened_count": 0, "version": 1}
    return Incident(**(values | model.times_implied(status, NOW, ADA) | other))


def moved(before: Incident, to: str, by: Principal = ADA) -> Incident:
    decision = model.moved(before, to, at=LATER, by=by)
    return decision.after if isinstance(decision, Change) else decision


def test_one_more_report_changes_the_fields_that_are_said_to_count() -> None:
    before = incident("open", reports_count=1)
    after = heard(before, Signal("trigger", Sender("k", "monitoring")), at=LATER).incident
    assert after == before._replace(reports_count=2, last_reported_at=LATER)
    assert tuple(name for name in Incident._fields if getattr(before, name) != getattr(after, name)) == COUNTED


def test_the_matrix_is_complete() -> None:
    assert tuple(HEAD) == STATUSES == tuple(row[0] for row in ROWS)
    assert len(MOVES) == 36


@pytest.mark.parametrize(("status", "to", "what"), MOVES)
def test_every_move_is_as_the_matrix_says(status: str, to: str, what: str) -> None:
    before = incident(status)
    if what == "n":
        with pytest.raises(RefusedMove) as refusal:
            model.moved(before, to, at=LATER, by=ADA)
        allowed = [each for _, each, how in MOVES if _ == status and how in "yo"]
        assert refusal.value.more["allowed"] == allowed
        return
    decision = model.moved(before, to, at=LATER, by=ADA)
    if what == ".":
        assert decision is before
        return
    assert isinstance(decision, Change)
    assert (decision.kind, decision.changes["status"]) == ("moved", [status, to])
    assert decision.after.reopened_count == (1 if what == "o" else 0)
    assert decision.changes.get("reopened") == ([0, 1] if what == "o" else None)
    assert (decision.after.version, decision.after.updated_at) == (2, LATER)


@pytest.mark.parametrize(("status", "to", "what"), [case for case in MOVES if case[2] in "yo"])
def test_times_fit_the_status_after_every_move(status: str, to: str, what: str) -> None:
    after = moved(incident(status), to)
    assert (after.resolved_at is not None) == (to in ("resolved", "closed"))
    assert (after.closed_at is not None) == (to == "closed")
    assert after.active == (to not in ("resolved", "closed"))


def test_active_is_all_but_resolved_and_closed() -> None:
    assert model.ACTIVE == ("new", "open", "in_progress", "on_hold")


def test_closing_keeps_the_time_of_resolution() -> None:
    assert moved(incident("resolved"), "closed").resolved_at == NOW
    assert moved(incident("resolved"), "closed").closed_at == LATER
    assert moved(incident("open"), "closed").resolved_at == LATER


@pytest.mark.parametrize("role", ["admin", "operator", "monitoring"])
@pytest.mark.parametrize("to", ["open", "in_progress", "on_hold", "resolved", "closed"])
def test_only_a_persons_move_to_in_progress_acknowledges(role: Role, to: str) -> None:
    after = moved(incident(), to, Principal(9, role, "x"))
    if to == "in_progress" and role != "monitoring":
        assert (after.acknowledged_at, after.acknowledged_by) == (LATER, 9)
    else:
        assert (after.acknowledged_at, after.acknowledged_by) == (None, None)


def test_the_first_acknowledgement_stays() -> None:
    taken = incident(acknowledged_at=NOW, acknowledged_by=3)
    assert (moved(taken, "in_progress").acknowledged_at, moved(taken, "in_progress").acknowledged_by) == (NOW, 3)
    assert model.acknowledged(taken, at=LATER, by=ADA) is taken


def test_acknowledging_and_taking_it_back() -> None:
    change = model.acknowledged(incident(), at=LATER, by=ADA)
    assert isinstance(change, Change)
    assert (change.after.acknowledged_at, change.after.acknowledged_by) == (LATER, 1)
    back = model.unacknowledged(change.after, at=LATER)
    assert isinstance(back, Change)
    assert (back.after.acknowledged_at, back.after.acknowledged_by) == (None, None)
    assert model.unacknowledged(incident(), at=LATER) == incident()


@pytest.mark.parametrize(("status", "to", "what"), MOVES)
def test_a_partner_only_reopens(status: str, to: str, what: str) -> None:
    mine = incident(status, partner_id=50)
    if what == "o":
        assert moved(mine, to, ACME).status == to
    elif what == ".":
        assert moved(mine, to, ACME) is mine
    else:
        with pytest.raises((NotAllowed, RefusedMove)):
            model.moved(mine, to, at=LATER, by=ACME)


# filed by, partner, and which of admin, operator, viewer, probe (4), acme (50) see it
VISIBLE = [
    (1, None, "yes yes yes no no"),
    (4, None, "yes yes yes yes no"),
    (4, 50, "yes yes yes yes yes"),
    (5, 50, "yes yes yes no yes"),
    (6, 51, "yes yes yes no no"),
    (None, None, "yes yes yes no no"),
]


@pytest.mark.parametrize(("filed_by", "partner", "row"), VISIBLE)
def test_who_sees_what(filed_by: int | None, partner: int | None, row: str) -> None:
    cast = [Principal(7, "admin", "x"), ADA, Principal(8, "viewer", "vera"), PROBE, ACME]
    there = incident(filed_by=filed_by, partner_id=partner)
    assert " ".join("yes" if model.visible_to(there, who) else "no" for who in cast) == row


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("source", model.SOURCES)
def test_who_files_under_which_source(role: Role, source: str) -> None:
    who = Principal(1, role, "x", 50 if role == "partner" else None)
    if role in ("admin", "operator") or role == source:
        model.may_file(who, source, None)
    else:
        with pytest.raises(NotAllowed):
            model.may_file(who, source, None)


def test_a_partner_names_no_partner() -> None:
    model.may_file(ADA, "operator", "acme")
    with pytest.raises(NotAllowed):
        model.may_file(ACME, "partner", "acme")


def test_describing() -> None:
    assert model.described(incident(), "it burns", at=LATER, by=ADA) == incident()
    change = model.described(incident(), "it burns more", at=LATER, by=ADA)
    assert isinstance(change, Change)
    assert (change.after.description, change.after.version, change.changes) == ("it burns more", 2, {})
    with pytest.raises(NotAllowed):
        model.described(incident(), "x", at=LATER, by=PROBE)


# the description, the partner's words before; the description after the partner says "new"
PARTNER_SAYS = [
    ("old", "old", "new"),
    ("ours", "old", "ours"),
    ("ours", None, "ours"),
    ("", None, "new"),
]


@pytest.mark.parametrize(("words", "theirs", "after"), PARTNER_SAYS)
def test_a_partners_words_never_overwrite_ours(words: str, theirs: str | None, after: str) -> None:
    change = model.described(incident(description=words, partner_words=theirs), "new", at=LATER, by=ACME)
    assert isinstance(change, Change)
    assert (change.after.description, change.after.partner_words) == (after, "new")


@pytest.mark.parametrize(
    ("description", "given", "summary"),
    [
        ("one line", None, "one line"),
        ("first\nsecond", None, "first"),
        ("\n\n  first  \nsecond", None, "first"),
        ("", None, ""),
        ("x" * 140, None, "x" * 140),
        ("x" * 141, None, "x" * 139 + "…"),
        ("first", "given", "given"),
    ],
)
def test_the_summary(description: str, given: str | None, summary: str) -> None:
    assert model.summary_of(incident(description=description, summary=given)) == summary


@pytest.mark.parametrize("text", ["", "x" * 65_536])
def test_good_descriptions(text: str) -> None:
    assert model.good_description(text) == text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (model.good_description, "x" * 65_537),
        (model.good_summary, ""),
        (model.good_summary, " "),
        (model.good_summary, "a\nb"),
        (model.good_summary, "x" * 141),
        (model.good_status, "NEW"),
        (model.good_status, "active"),
        (model.good_source, "Operator"),
        (model.good_source, ""),
    ],
)
def test_values_that_cannot_be(rule: Any, text: str) -> None:
    with pytest.raises(Invalid):
        rule(text)


def test_no_rule_changes_its_incident() -> None:
    before = incident("closed")
    copy = before._replace()
    moved(before, "open")
    model.acknowledged(before, at=LATER, by=ADA)
    model.described(before, "x", at=LATER, by=ADA)
    assert before == copy
