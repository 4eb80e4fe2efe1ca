"""Random histories, step by step: whatever people and machines do, the register is what the model says it is.

The model is `register.py`. All examples share one server and its database: each has ids, dedup keys and idempotency
keys of its own, and looks only at what is newer than its beginning.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import SystemRandom
from typing import Any, ClassVar

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.faults.conftest import Figures, Say, Size
from tests.faults.register import SEVERITIES, STATUSES, Caller, Incident, Refused, Register, Told, shown, view
from tests.people import Answer, Person
from tests.senders import Alertmanager
from tests.world import World
from tocsin.timeline.store import newest

CAST = ("admin", "ada", "bob", "vera", "probe", "acme", "globex")
ROLES = dict(zip(CAST, ("admin", "operator", "operator", "viewer", "monitoring", "partner", "partner"), strict=True))
KEPT_FOR = timedelta(hours=24)

WORDS = (
    "Scooter 875643 is offline",
    "POS 12 does not answer\n\nIt was restarted twice.",
    "",
    "  \n\n Ночная выгрузка не прошла  \nвторой раз",
    "x" * 140,
    "Ё" * 141 + "\nthe rest",
    'quotes " and \\ and \u2028 and 🛴',
)

people = st.sampled_from(CAST)
# Mostly those who may, at what is new: with all alike seven of 2,784 steps reopened something.
hands = st.sampled_from((*CAST, "ada", "ada", "bob", "bob", "admin"))
workers = st.sampled_from(("ada", "bob", "admin", "probe", "acme"))
often = st.sampled_from((True, True, True, False))
which = st.integers(0, 12)
recent = st.integers(0, 3)
statuses = st.sampled_from(STATUSES)
severities = st.sampled_from(SEVERITIES)
words = st.sampled_from(WORDS)
onces = st.sampled_from((None, None, None, "one", "two"))
matches = st.sampled_from((None, None, None, "*", "right", "wrong", "weak", "several"))
drafts = st.fixed_dictionaries(
    {"description": words, "source": st.sampled_from(("operator", "monitoring", "partner"))},
    optional={
        "status": statuses,
        "severity": severities,
        "summary": st.sampled_from(("Offline", "Не отвечает")),
        "asset": st.sampled_from(("875643", "pos/12")),
        "labels": st.dictionaries(st.sampled_from(("city", "line")), st.sampled_from(("Kazan", "2")), max_size=2),
    },
)
edits = st.fixed_dictionaries({}, optional={"status": statuses, "description": words, "severity": severities})
alerts = st.tuples(st.integers(0, 2), st.sampled_from(("firing", "firing", "resolved")), st.none() | severities)


@dataclass(frozen=True)
class Request:
    """One write, as it is sent; `decide` asks the model what is to come of it, and compares."""

    who: str
    method: str
    path: str
    body: Any
    decide: Callable[[Answer], None]
    once: str | None = None
    if_match: str | None = None

    @property
    def slot(self) -> tuple[str, str, str, str | None]:
        return self.who, self.method, self.path, self.once

    @property
    def fingerprint(self) -> str:
        return json.dumps([self.body, self.if_match])


class Scene:
    """What all examples share: the world, who is in it, two monitorings, and how much was done."""

    def __init__(self, world: World) -> None:
        world.restarts(rate_limit=0)
        self.world = world
        self.people: dict[str, Person] = {name: getattr(world, name) for name in CAST}
        ids = {key["name"]: key["id"] for key in world.admin.get("/api/keys").json["keys"]}
        names = {name: name for name in CAST} | {"admin": "first key"}
        self.callers = {
            name: Caller("key", ids[names[name]], names[name], role, name if role == "partner" else None)
            for name, role in ROLES.items()
        }
        self.machines: list[tuple[Alertmanager, Caller]] = []
        for name, more in (("prometheus", {}), ("careful", {"settings": {"when_taken": "note"}})):
            machine = Alertmanager(world.admin, name, **more)
            self.machines.append((machine, Caller("integration", machine.id, name, "machine", ends=not more)))
        self.examples = self.steps = self.restarts = 0


class Machine(RuleBasedStateMachine):
    """One history."""

    scene: ClassVar[Scene]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.scene.world
        self.world.hang_up()  # a line that nobody used for 75 seconds is cut by the server
        self.scene.examples += 1
        self.example = self.scene.examples
        self.register = Register()
        there = self.world.admin.lists(limit=1).ids
        self.before = there[0] if there else 0
        self.cursor = self.beginning = self.world.reads(newest)
        self.compared = 0
        self.touched = True  # since the last look at everything
        self.kept: dict[tuple[str, str, str, str | None], tuple[Request, Answer, datetime]] = {}
        self.walks: dict[str, tuple[str | None, list[int], list[int]]] = {}
        self.followed: dict[str, list[dict[str, Any]]] = defaultdict(list)

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    # What people do

    @rule(who=people, draft=drafts, partner=st.sampled_from((None, None, "acme")), properly=often, once=onces)
    def file(self, who: str, draft: dict[str, Any], partner: str | None, properly: bool, once: str | None) -> None:
        if partner is not None and ROLES[who] in ("admin", "operator"):
            draft = draft | {"partner": partner}
        if properly and ROLES[who] in ("monitoring", "partner"):
            draft = draft | {"source": ROLES[who]}

        def decide(answer: Answer) -> None:
            filed = self.register.file(self.scene.callers[who], draft, self.now, lambda: answer.incident["id"])
            self.is_said(answer, 201, who, filed)
            assert answer.headers["location"] == f"/api/incidents/{filed.id}"

        self.send(Request(who, "POST", "/api/incidents", draft, decide, self.own(once)))

    @rule(who=people, many=st.lists(drafts, max_size=3), once=onces)
    def file_many(self, who: str, many: list[dict[str, Any]], once: str | None) -> None:
        def decide(answer: Answer) -> None:
            if ROLES[who] == "viewer":
                raise Refused(403, "not-allowed")
            assert answer.status == 200, answer
            for draft, result in zip(many, answer.json["results"], strict=True):
                self.is_result(who, draft, result)

        self.send(Request(who, "POST", "/api/incidents/batch", {"incidents": many}, decide, self.own(once)))

    @precondition(lambda self: self.register.incidents)
    @rule(
        who=hands, which=recent, to=statuses, once=onces, match=matches,
        by=st.sampled_from(("PATCH /api", "PUT /api", "PATCH ", "PUT ", "edit")),
    )  # fmt: skip
    def move(self, who: str, which: int, to: str, once: str | None, match: str | None, by: str) -> None:
        if by == "edit":
            self.edit(who, which, {"status": to}, once, match)
            return
        incident, (method, root) = self.chosen(which), by.split(" ")
        if_match = header(match, incident)

        def decide(answer: Answer) -> None:
            caller, versions = self.scene.callers[who], versions_in(if_match)
            moved = self.register.edit(caller, incident.id, self.now, status=to, versions=versions)
            self.is_said(answer, 200, who, moved)

        body = {"incident_id": incident.id, "status": to}
        self.send(Request(who, method, f"{root}/incidents/status", body, decide, self.own(once), if_match))

    @precondition(lambda self: self.register.incidents)
    @rule(who=hands, which=recent, changes=edits, once=onces, match=matches)
    def edit(self, who: str, which: int, changes: dict[str, Any], once: str | None, match: str | None) -> None:
        self.send(self.an_edit(who, self.chosen(which), changes, once, match))

    @precondition(lambda self: self.register.incidents)
    @rule(who=hands, which=recent, back=st.booleans(), once=onces, match=matches)
    def acknowledge(self, who: str, which: int, back: bool, once: str | None, match: str | None) -> None:
        self.send(self.an_acknowledgement(who, self.chosen(which), back, once, match))

    @precondition(lambda self: self.register.incidents)
    @rule(which=recent, moves=st.lists(st.tuples(hands, statuses), min_size=3, max_size=6))
    def pass_it_on(self, which: int, moves: list[tuple[str, str]]) -> None:
        """One incident goes through many hands."""
        incident = self.chosen(which)
        for who, to in moves:
            self.send(self.an_edit(who, incident, {"status": to}, None, None))

    @precondition(lambda self: self.of_acme)
    @rule(
        which=recent, edits=st.lists(st.tuples(st.sampled_from(("acme", "acme", "ada", "globex")), words), min_size=2)
    )
    def put_it_in_other_words(self, which: int, edits: list[tuple[str, str]]) -> None:
        """A partner and the people who work on its incident: whose words are whose?"""
        incident = self.of_acme[which % len(self.of_acme)]
        for who, description in edits[:4]:
            self.send(self.an_edit(who, incident, {"description": description}, None, None))

    @rule(who=people, path=st.sampled_from(("", "/timeline", "/descriptions")), far=st.booleans())
    def look_for_what_is_not_there(self, who: str, path: str, far: bool) -> None:
        missing = 2**63 - 1 if far else max(self.register.incidents, default=self.before) + 1_000_000
        assert self.scene.people[who].get(f"/api/incidents/{missing}{path}").problem == "not-found"

    @precondition(lambda self: self.register.incidents)
    @rule(
        many=st.lists(
            st.tuples(workers, st.integers(0, 1), edits | st.sampled_from(("take note", "take back")), matches),
            min_size=2,
            max_size=4,
        )
    )
    def several_at_once(self, many: list[tuple[str, int, Any, str | None]]) -> None:
        """They find the database busy, and are decided in one transaction, in the order of their arrival."""
        requests = []
        for who, which, what, match in many:
            incident = self.chosen(which)
            if isinstance(what, dict):
                requests.append(self.an_edit(who, incident, what, None, match))
            elif who != "acme":  # a partner's would be refused at the door, and never wait
                requests.append(self.an_acknowledgement(who, incident, what == "take back", None, match))
        if requests:
            answers = self.world.together([partial(self.asked, each) for each in requests])
            for each, answer in zip(requests, answers, strict=True):
                self.compare(each, answer)

    # What machines say

    @rule(
        who=people, key=st.none() | st.integers(0, 2), once=onces, severity=st.none() | severities,
        action=st.sampled_from(("trigger", "trigger", "acknowledge", "resolve")),
        said=st.fixed_dictionaries({"summary": st.just("It is down")}, optional={"description": words}),
    )  # fmt: skip
    def report(
        self, who: str, key: int | None, once: str | None, severity: str | None, action: str, said: dict[str, Any]
    ) -> None:
        name = f"{self.example}/{key or 0}" if key is not None or action != "trigger" else None
        said = said if severity is None else said | {"severity": severity}

        self.send(self.a_report(who, action, name, said, once))

    @rule(
        who=st.sampled_from(("ada", "probe", "acme")), key=st.integers(0, 2), ends=st.booleans(), by=hands, to=statuses
    )
    def begin_anew(self, who: str, key: int, ends: bool, by: str, to: str) -> None:
        """It is over, and comes again; then somebody reopens what was over, beside the one that is active."""
        name, said = f"{self.example}/{key}", {"summary": "It is down"}
        self.send(self.a_report(who, "trigger", name, said))
        first = self.register.active((f"key {self.scene.callers[who].id}", name))
        assert first is not None
        if ends:
            self.send(self.a_report(who, "resolve", name, said))
        else:
            self.send(self.an_edit("bob", first, {"status": "closed"}, None, None))
        self.send(self.a_report(who, "trigger", name, said))
        self.send(self.an_edit(by, self.register.incidents[first.id], {"status": to}, None, None))

    @rule(careful=st.booleans(), group=st.lists(alerts, min_size=1, max_size=4))
    def alert(self, careful: bool, group: list[tuple[int, str, str | None]]) -> None:
        machine, caller = self.scene.machines[careful]
        sent, said = [], []
        for key, status, severity in group:
            each = machine.alert(f"{self.example}/{key}", status, "It is down")
            more = {} if severity is None else {"severity": severity}
            each["labels"] |= more
            sent.append(each)
            said.append(("trigger" if status == "firing" else "resolve", each["fingerprint"], more))
        assert machine.group(sent).status == 200
        self.touched = True
        opened = self.new_ones(len(group))
        ids = iter(opened)
        self.register.reports_of_one_request(caller, said, self.now, lambda: next(ids))
        assert list(ids) == [], "more were opened than there was reason for"
        for id, seen in opened.items():
            # What the dialect makes of its words is its own tests' matter.
            there = self.register.incidents[id]
            there.description, there.summary = seen["description"], seen["summary"]
            there.asset, there.labels = seen["asset"], seen["labels"]

    # What happens besides

    @precondition(lambda self: self.kept)
    @rule(which=which, other=st.booleans())
    def send_again(self, which: int, other: bool) -> None:
        """The line broke, and nobody knows whether it was done; or the value is used for something else."""
        request, _, _ = list(self.kept.values())[which % len(self.kept)]
        if other and self.kept_answer(request) is not None:
            request = replace(request, if_match='"1000000"', decide=unheard)
        self.send(request)

    @rule(by=st.sampled_from((0.0004, 1, 301, 50_000)))
    def time_passes(self, by: float) -> None:
        self.world.clock.forward(seconds=by)

    @rule(now=st.sampled_from((False,) * 7 + (True,)))  # it takes as long as fifty other steps
    def restart(self, now: bool) -> None:
        if now:
            self.scene.restarts += 1
            self.world.restarts(rate_limit=0)
            self.touched = True

    # What people see

    @precondition(lambda self: self.register.incidents)
    @rule(who=people, which=which)
    def look(self, who: str, which: int) -> None:
        incident, person, caller = self.chosen(which), self.scene.people[who], self.scene.callers[who]
        answers = person.sees(incident.id), person.timeline_of(incident.id), person.descriptions_of(incident.id)
        if not caller.sees(incident):
            assert [answer.problem for answer in answers] == ["not-found"] * 3
            return
        one, timeline, former = answers
        self.is_said(one, 200, who, incident)
        assert of_each(timeline.entries) == self.expected(self.register.told, caller, incident.id)
        told = [each["description"] for each in former.json["descriptions"]]
        assert told == ([] if caller.role == "partner" else incident.former)

    @rule(
        who=people, since=which,
        status=st.none() | st.just(["active"]) | st.lists(statuses, unique=True, min_size=1),
        source=st.none() | st.lists(st.sampled_from(("operator", "monitoring", "partner")), unique=True, min_size=1),
        edge=st.sampled_from((None, None, "created_after", "created_before")),
    )  # fmt: skip
    def narrow(
        self, who: str, since: int, status: list[str] | None, source: list[str] | None, edge: str | None
    ) -> None:
        asked: dict[str, Any] = {"status": status, "source": source and ",".join(source)}
        wanted = self.register.seen_by(self.scene.callers[who])
        if edge is not None and self.register.incidents:
            asked[edge] = at = str(shown(self.chosen(since).created_at))
            wanted = [each for each in wanted if (str(shown(each.created_at)) >= at) == (edge == "created_after")]
        if status is not None:
            wanted = [each for each in wanted if each.status in status or ("active" in status and each.active)]
        if source is not None:
            wanted = [each for each in wanted if each.source in source]
        query = {name: value for name, value in asked.items() if value is not None}
        found = self.scene.people[who].lists(limit=len(wanted) + 1, **query).incidents
        views = [view(each, self.scene.callers[who]) for each in wanted]
        assert [each for each in found if each["id"] > self.before] == views

    @rule(who=people, limit=st.integers(1, 4), pages=st.integers(1, 4))
    def turn_pages(self, who: str, limit: int, pages: int) -> None:
        """Page by page, while things go on: everything that was there at the beginning comes once, and nothing else."""
        begun = (None, [each.id for each in self.register.seen_by(self.scene.callers[who])], list[int]())
        cursor, there, seen = self.walks.pop(who, begun)
        for _ in range(pages):
            page = self.scene.people[who].lists(limit=limit, **({} if cursor is None else {"cursor": cursor}))
            seen = seen + [id for id in page.ids if id > self.before]
            cursor = page.next
            if cursor is None or min(page.ids) <= self.before:
                assert seen == there
                return
        self.walks[who] = cursor, there, seen

    @rule(who=people, limit=st.integers(2, 40))
    def follow(self, who: str, limit: int) -> None:
        """Who follows by cursor has, from the beginning on, everything that is for its eyes, once and in order."""
        read, caller = self.followed[who], self.scene.callers[who]
        while True:
            page = self.scene.people[who].timeline(after=read[-1]["id"] if read else self.beginning, limit=limit)
            read += page.entries
            if page.next is None:
                break
            assert page.next == str(read[-1]["id"])
        ids = [each["id"] for each in read]
        assert ids == sorted(set(ids))
        assert of_each(read) == self.expected(self.register.told, caller)

    # What holds after every step

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        self.scene.steps += 1
        if self.touched:
            self.the_register_is_what_the_model_says()
            self.everything_that_happened_is_told_once_and_in_order()
        self.touched = False

    def the_register_is_what_the_model_says(self) -> None:
        admin = self.scene.callers["admin"]
        there = self.register.seen_by(admin)
        found = self.world.admin.lists(limit=len(there) + 1).incidents
        assert [each for each in found if each["id"] > self.before] == [view(each, admin) for each in there]

    def everything_that_happened_is_told_once_and_in_order(self) -> None:
        told = self.register.told[self.compared :]
        entries = self.world.admin.timeline(after=self.cursor).entries
        assert of_each(entries) == self.expected(told, self.scene.callers["admin"])
        self.compared += len(told)
        self.cursor = entries[-1]["id"] if entries else self.cursor

    # Inside

    def own(self, once: str | None) -> str | None:
        return None if once is None else f"{self.example}-{once}"

    @property
    def of_acme(self) -> list[Incident]:
        return [each for each in self.register.incidents.values() if each.partner == "acme"]

    def chosen(self, which: int) -> Incident:
        ids = list(self.register.incidents)
        return self.register.incidents[ids[-1 - which % len(ids)]]

    def an_edit(
        self, who: str, incident: Incident, changes: dict[str, Any], once: str | None, match: str | None
    ) -> Request:
        if_match = header(match, incident)

        def decide(answer: Answer) -> None:
            caller, versions = self.scene.callers[who], versions_in(if_match)
            edited = self.register.edit(caller, incident.id, self.now, versions=versions, **changes)
            self.is_said(answer, 200, who, edited)

        return Request(who, "PATCH", f"/api/incidents/{incident.id}", changes, decide, self.own(once), if_match)

    def a_report(
        self, who: str, action: str, key: str | None, said: dict[str, Any], once: str | None = None
    ) -> Request:
        def decide(answer: Answer) -> None:
            def id() -> int:
                return int(answer.report["incident_id"])

            outcome = self.register.report(self.scene.callers[who], action, key, self.now, id, **said)
            assert (answer.status, answer.report["outcome"]) == (201, outcome), answer

        body = {"action": action, "dedup_key": key, **said}
        return Request(who, "POST", "/api/reports", body, decide, self.own(once))

    def an_acknowledgement(
        self, who: str, incident: Incident, back: bool, once: str | None, match: str | None
    ) -> Request:
        if_match = header(match, incident)

        def decide(answer: Answer) -> None:
            caller, versions = self.scene.callers[who], versions_in(if_match)
            noted = self.register.acknowledge(caller, incident.id, self.now, back=back, versions=versions)
            self.is_said(answer, 200, who, noted)

        path = f"/api/incidents/{incident.id}/acknowledge"
        if back:
            return Request(who, "DELETE", path, None, decide, None, if_match)
        return Request(who, "POST", path, None, decide, self.own(once), if_match)

    def send(self, request: Request) -> None:
        self.compare(request, self.asked(request))

    def asked(self, request: Request) -> Answer:
        person = self.scene.people[request.who]
        return person.ask(request.method, request.path, request.body, once=request.once, if_match=request.if_match)

    def compare(self, request: Request, answer: Answer) -> None:
        """What the model says of this request is what came back."""
        self.touched = True
        kept = self.kept_answer(request)
        if kept is not None and kept[0].fingerprint == request.fingerprint:
            first = kept[1]
            assert (answer.status, answer.body) == (first.status, first.body), answer
            assert answer.headers["idempotency-replayed"] == "true"
            assert answer.headers["etag"] == first.headers["etag"]
            return
        assert answer.headers["idempotency-replayed"] is None
        refusal = Refused(422, "idempotency-key-reused") if kept is not None else refused(request.decide, answer)
        if refusal is not None:
            assert (answer.status, answer.problem) == (refusal.status, refusal.problem), answer
        elif request.once is not None:
            self.kept[request.slot] = request, answer, self.now

    def kept_answer(self, request: Request) -> tuple[Request, Answer, datetime] | None:
        kept = self.kept.get(request.slot) if request.once is not None else None
        return kept if kept is not None and self.now - kept[2] < KEPT_FOR else None

    def is_said(self, answer: Answer, status: int, who: str, incident: Incident) -> None:
        assert (answer.status, answer.json["incident"]) == (status, view(incident, self.scene.callers[who])), answer
        assert answer.headers["etag"] == f'"{incident.version}"'

    def is_result(self, who: str, draft: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """One draft of a batch."""
        caller = self.scene.callers[who]

        def decide(_: Any) -> None:
            filed = self.register.file(caller, draft, self.now, lambda: int(result["incident"]["id"]))
            assert (result["status"], result["incident"]) == (201, view(filed, caller))

        refusal = refused(decide, result)
        if refusal is not None:
            assert (result["status"], result["problem"]["type"]) == (refusal.status, f"/errors/{refusal.problem}")

    def expected(self, told: Sequence[Told], who: Caller, only: int | None = None) -> dict[int, list[tuple[Any, ...]]]:
        """What the model says was told, as far as this caller may know."""
        found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for each in told:
            if who.sees(self.register.incidents[each.incident_id]) and only in (None, each.incident_id):
                found[each.incident_id].append((each.kind, each.changes, actor(each.by, who)))
        return found

    def new_ones(self, most: int) -> dict[int, dict[str, Any]]:
        """Incidents that the model has not heard of yet, oldest first."""
        known = max(self.register.incidents, default=self.before)
        found = self.world.admin.lists(limit=most + 1).incidents
        return {each["id"]: each for each in reversed(found) if each["id"] > known}


def header(match: str | None, incident: Incident) -> str | None:
    """`If-Match` for this incident as it is now."""
    version = incident.version
    forms = {
        "right": f'"{version}"',
        "wrong": f'"{version + 1}"',
        "weak": f'W/"{version}"',
        "several": f'"{version + 5}", "{version}"',
    }
    return match if match is None else forms.get(match, match)


def versions_in(if_match: str | None) -> list[int] | None:
    """The versions that a header of ours allows; a weak one allows none."""
    if if_match is None or if_match == "*":
        return None
    return [int(part.strip('"')) for part in if_match.split(", ") if not part.startswith("W/")]


def refused(decide: Callable[[Any], None], answer: Any) -> Refused | None:
    """What the model says against it, if anything."""
    try:
        decide(answer)
    except Refused as refusal:
        return refusal
    return None


def unheard(answer: Answer) -> None:
    raise AssertionError(f"this was to be refused for its Idempotency-Key: {answer}")


def actor(by: Caller, who: Caller) -> dict[str, Any]:
    """Who did it; a partner does not hear who."""
    outside = who.role == "partner"
    return {"type": by.kind, "id": None if outside else by.id, "name": None if outside else by.name}


def of_each(entries: Sequence[Mapping[str, Any]]) -> dict[int, list[tuple[Any, ...]]]:
    """Each incident's entries, in their order."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for each in entries:
        found[each["incident_id"]].append((each["kind"], each["changes"], each["actor"]))
    return found


def test_random_histories(world: World, size: Size, figures: Figures, say: Say) -> None:
    stage = Scene(world)
    number = size(0, SystemRandom().getrandbits(32))
    if number:
        say(f"histories from the seed {number}")

    @seed(number)
    class Here(Machine):
        scene = stage

    examples, steps = size(100, 500), size(30, 50)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=chosen)
    assert stage.examples >= examples
    assert stage.steps >= 0.8 * examples * steps
    figures(
        "random histories of people, machines, time and restarts, against a model",
        f"{stage.examples} histories, {stage.steps} steps, {stage.restarts} restarts; the same as the model after each",
    )
