"""What was found, as tables: which columns, how many digits, and a note to each."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.findings import Findings
from bench.hearing import Heard
from bench.large import Grown
from bench.load import percentile
from bench.measure import Clients, Comparison, Figures, ratios
from bench.plan import Plan
from bench.section import Lines, Section, spread
from bench.start import Started
from bench.storm import SENDERS, TROUBLES, Storm
from bench.workers import Pair

COMPARED = (
    "engine", "scenario", "Tocsin/s", "p50 ms", "p99 ms", "CPU s/1000", "of it database",
    "everyday/s", "p50 ms", "p99 ms", "CPU s/1000", "of it database",
    "limit/s", "times the everyday form (each repeat)", "part of the limit (each repeat)",
)  # fmt: skip
MIB = 1024 * 1024


def sections(found: Findings, plan: Plan) -> list[Section]:
    """A table for each part that was measured."""
    return [section for section in _all(found, plan) if section.lines]


def _all(found: Findings, plan: Plan) -> list[Section]:
    return [
        Section(
            f"{plan.connections} connections",
            "Requests a second. The limit is the engine by itself with the same rows, one commit for each request: "
            "one thread of the bare driver on SQLite, pgbench with as many clients on PostgreSQL. `CPU s/1000` is the "
            "processor time for 1,000 requests, database server included.",
            COMPARED,
            _compared([each for each in found.load if each.connections > 1]),
        ),
        Section("1 connection", "The same.", COMPARED, _compared(_single(found))),
        _clients(found.clients),
        _workers(found.workers),
        _starts(found.start),
        _hearing(found.hearing),
        _storms(found.storm),
        _large(found.large),
    ]


def _single(found: Findings) -> list[Comparison]:
    return [*found.alone, *(each for each in found.load if each.connections == 1)]


def _compared(found: Sequence[Comparison]) -> Lines:
    return [
        [
            each.engine,
            each.scenario,
            *_figures(each.ours),
            *(_figures(each.theirs) if each.theirs else [""] * 5),
            f"{each.limit.rate:,.0f}" if each.limit else "",
            spread(each.over_everyday, 1),
            spread(each.of_limit, 2),
        ]
        for each in found
    ]


def _figures(figures: Figures) -> list[str]:
    cpu = figures.cpu_per_thousand
    database = f"{cpu.database:.2f}" if cpu.database else ""
    return [f"{figures.rate:,.0f}", f"{figures.p50:.1f}", f"{figures.p99:.1f}", f"{sum(cpu):.2f}", database]


def _clients(found: Sequence[Clients]) -> Section:
    return Section(
        "PostgreSQL by itself",
        "pgbench, prepared statements, the rows of Tocsin's writes; each write its own commit.",
        ("scenario", "clients", "transactions/s", "p50 ms", "p99 ms", "CPU s/1000"),
        [
            [
                each.scenario, str(each.clients), f"{each.figures.rate:,.0f}", f"{each.figures.p50:.1f}",
                f"{each.figures.p99:.1f}", f"{each.figures.cpu_per_thousand.database:.2f}",
            ]
            for each in found
        ],
        words=1,
    )  # fmt: skip


def _workers(found: Sequence[Pair]) -> Section:
    return Section(
        "Two workers beside one",
        "On PostgreSQL, by turns. The load and the database have no processors of their own.",
        ("engine", "scenario", "one/s", "p99 ms", "two/s", "p99 ms", "times one (each repeat)"),
        [
            [
                each.engine, each.scenario, f"{each.one.rate:,.0f}", f"{each.one.p99:.1f}",
                f"{each.two.rate:,.0f}", f"{each.two.p99:.1f}", spread(each.ratios, 2),
            ]
            for each in found
        ],
    )  # fmt: skip


def _starts(found: Sequence[Started]) -> Section:
    return Section(
        "Start and memory",
        "From the start of the process to the first good answer; the first start makes the tables. Memory is PSS of "
        "all processes: after the start, and after the three scenarios at full load.",
        ("engine", "server", "first start s", "start s (each)", "MiB", "MiB after load", "MiB of the database"),
        [
            [
                each.engine,
                each.name,
                f"{each.first:.2f}",
                spread(each.ready, 2),
                *(_mib(size) for size in (each.at_rest, each.after_load, each.database)),
            ]
            for each in found
        ],
    )


def _mib(size: int | None) -> str:
    return "" if size is None else f"{size / MIB:.0f}"


def _hearing(found: Sequence[Heard]) -> Section:
    return Section(
        "How soon others hear",
        "Counted from the request that files an incident, on an idle server: each listener of `/api/stream`, and the "
        "receiver of a webhook.",
        ("engine", "listeners", "stream p50 ms", "stream p99 ms", "KiB a listener", "webhook p50 ms", "webhook p99 ms"),
        [
            [
                each.engine,
                f"{each.listeners:,}",
                *(f"{percentile(each.at_listeners, part):.0f}" for part in (0.5, 0.99)),
                f"{each.memory:.0f}",
                *(f"{percentile(each.at_receiver, part):.0f}" for part in (0.5, 0.99)),
            ]
            for each in found
        ],
        words=1,
    )


def _storms(found: Sequence[Storm]) -> Section:
    reports = f"{found[0].reports:,} reports" if found else ""
    columns = ("taken by", "said as", "in one request", "seconds (each repeat)", "reports/s", "p99 ms", "CPU s/1000")
    return Section(
        "The storm",
        f"{reports} of {TROUBLES} troubles by {SENDERS} senders at once, until the last is answered; then every report "
        "is looked for in the database. Alertmanager keeps alerts in memory only. `CPU s/1000` is the taker's "
        "processor time for 1,000 reports, `senders` the time that the load itself took.",
        (*columns, "senders s"),
        [
            [
                each.engine,
                each.said,
                str(each.at_once),
                spread(each.seconds, 2),
                f"{each.reports / each.took:,.0f}",
                f"{median(each.p99_ms):,.0f}",
                f"{median(each.taker) * 1000 / each.reports:.2f}",
                f"{median(each.sender):.2f}",
            ]
            for each in found
        ],
    )


def _large(found: Sequence[Grown]) -> Section:
    smallest = {(each.engine, each.question): each.figures for each in reversed(found)}
    return Section(
        "A register of millions",
        "One in fifty incidents is active. The cost is the time for one request compared with the smallest register.",
        ("engine", "question", "incidents", "requests/s", "p50 ms", "p99 ms", "cost (each repeat)"),
        [
            [
                each.engine, each.question, f"{each.size:,}", f"{each.figures.rate:,.0f}", f"{each.figures.p50:.1f}",
                f"{each.figures.p99:.1f}", spread(ratios(smallest[each.engine, each.question], each.figures), 2),
            ]
            for each in found
        ],
    )  # fmt: skip
