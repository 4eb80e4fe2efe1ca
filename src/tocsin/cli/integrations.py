"""`tocsin integrations create|list|log|try|replay|rotate|remove`: doors for machines, made beside a running server."""

import sys
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from tocsin import settings as chosen
from tocsin.cli.direct import keyring, on_database, overlap_of
from tocsin.cli.printing import plain, row, say, show, table
from tocsin.db.engine import Database
from tocsin.db.transaction import CLOCK
from tocsin.incidents.model import SOURCES
from tocsin.intake import actions, drafts, store
from tocsin.intake.dialect import NotUnderstood, Unread
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.doors import Payloads
from tocsin.intake.model import Integration, NewIntegration, Report, Said, Taken, new_key
from tocsin.intake.shapes import IntegrationDraft, RulesDraft, lines
from tocsin.start import CannotStart

MAPPING = typer.Option([], help="For `generic`, several times: field=JSONPath.")

app = typer.Typer(help="Make, list and rotate doors for machines, and see what came in.", no_args_is_help=True)

WHICH = typer.Argument(..., help="Its id or its name, as `tocsin integrations list` shows them.")
GOOD = {"opened": "red", "joined": "yellow", "resolved": "green", "refused": "bold red", "nothing": "dim"}


@app.command()
def create(
    dialect: str = typer.Option(..., help=f"What the sender speaks: {', '.join(DIALECTS)}."),
    name: str = typer.Option(..., help="What it is for: it stands in the timeline."),
    source: str = typer.Option("monitoring", help=f"The source of its incidents: {', '.join(SOURCES)}."),
    partner: str | None = typer.Option(None, help="The company's slug, with `--source partner`."),
    when_taken: str = typer.Option("resolve", help="What a resolve does to an incident in hand: resolve, or note."),
    severity: str | None = typer.Option(None, help="How bad it is where the sender does not say."),
    asset_label: str | None = typer.Option(None, help="The label that names the thing that is broken."),
    asset_pattern: str | None = typer.Option(None, help="Or a regular expression that finds it in the words."),
    mapping: list[str] = MAPPING,
    signing_secret: str | None = typer.Option(None, help="What the sender signs with, where its dialect can."),
    signature_header: str | None = typer.Option(None, help="The header with its signature, where it is not the usual."),
    timestamp_header: str | None = typer.Option(None, help="The header with the time, where that is signed too."),
) -> None:
    """Make a door and print its address, its key and the lines to paste into the sender."""
    settings = chosen.load()
    rules = RulesDraft(
        when_taken, severity, asset_label, asset_pattern, _pairs(mapping), signature_header, timestamp_header
    )
    draft = IntegrationDraft(name, dialect, source, partner, rules, signing_secret)

    async def make(db: Database) -> NewIntegration:
        made: NewIntegration = await db.write(
            actions.create_integration, drafts.new_integration(draft, CLOCK, keyring(settings))
        )
        return made

    _show(on_database(make, settings), settings.address)


@app.command("list")
def list_integrations() -> None:
    """List every open integration, without keys."""
    shown = table("Id", "Name", "Dialect", "Source", "Partner", "Made (UTC)", "Old key until")
    for each in on_database(_all):
        if each.removed_at is None:
            row(shown, each.id, each.name, each.dialect, each.source, each.partner, each.created_at, each.former_until)
    show(shown)


@app.command("log")
def show_log(which: str = WHICH, last: int = typer.Option(20, min=1, max=1000, help="So many reports.")) -> None:
    """Show what came in by it, what came of it and why, newest first; also of one that is removed."""

    async def look(db: Database) -> list[Report]:
        each = _named(await _all(db), which, removed_too=True)
        return await db.read(store.reports_of_integration, each.id, None, last)

    reports = on_database(look)
    if not reports:
        say("Nothing has come in yet.")
        return
    shown = table("Id", "Came (UTC)", "What came of it", "Why", "Summary")  # four of them leave 80 columns room for why
    for each in reports:
        about = "" if each.incident_id is None else f" #{each.incident_id}"
        came = Text(f"{each.action}: {each.outcome}{about}", style=GOOD.get(each.outcome, ""))
        row(shown, each.id, f"{each.received_at:%m-%d %H:%M:%S}", came, each.reason, each.summary)
    show(shown)


@app.command("try")
def try_body(which: str = WHICH, body: str = typer.Option(..., help="The file with it; `-` reads stdin.")) -> None:
    """Show what a body would say, by this integration's settings; nothing is stored."""
    raw = _bytes_of(body)

    async def find(db: Database) -> Integration:
        return _named(await _all(db), which)

    each = on_database(find)
    try:
        said = drafts.read_once(DIALECTS[each.dialect], each.rules, raw)
    except NotUnderstood as refusal:
        raise CannotStart(plain(f"it would be refused: {refusal}")) from None
    for one in said:
        if isinstance(one, Unread):
            say(f"One thing would be refused: {one.why}\n")
        else:
            _show_said(one)


@app.command()
def replay(report: int = typer.Argument(..., help="Its id, as `tocsin integrations log` shows it.")) -> None:
    """Take a report in once more, by today's settings, and show what came of it."""
    settings = chosen.load()

    async def take(db: Database) -> list[Taken]:
        kept = await db.read(store.report_by_id, report)
        if kept is None:
            raise CannotStart(f"there is no report {report}")
        wishes = await drafts.replay(db, kept, None, Payloads(db, settings).keep)
        return await db.write_many(actions.take, wishes)

    shown = table("Report", "Outcome", "Incident", "Why")
    for each in on_database(take, settings):
        outcome = Text(each.outcome, style=GOOD.get(each.outcome, ""))
        row(shown, each.report_id, outcome, each.incident_id, each.reason)
    show(shown)


@app.command()
def rotate(
    which: str = WHICH,
    overlap_hours: float = typer.Option(24.0, help="For how long the old key stays good."),
) -> None:
    """Give it a new key and print it; the old one stays good for a while."""
    settings = chosen.load()
    kept_for = overlap_of(overlap_hours)

    async def change(db: Database) -> NewIntegration:
        each = _named(await _all(db), which)
        wish = actions.RotateIntegration(each.id, new_key(), kept_for, CLOCK)
        made: NewIntegration = await db.write(actions.rotate_integration, wish)
        return made

    _show(on_database(change, settings), settings.address)


@app.command()
def remove(which: str = WHICH) -> None:
    """Close it for good: its key is dead within a second. Its reports and incidents stay."""

    async def close(db: Database) -> Integration:
        each = _named(await _all(db), which)
        gone: Integration = await db.write(actions.remove_integration, actions.RemoveIntegration(each.id, CLOCK))
        return gone

    gone = on_database(close)
    print(f"Integration {gone.id} ({plain(gone.name)}) is closed.")


async def _all(db: Database) -> list[Integration]:
    return await db.read(store.integrations)


def _named(every: list[Integration], which: str, removed_too: bool = False) -> Integration:
    """By id or by name, among those that are open; with `removed_too` also another, if none of those is meant."""
    open_ones = [each for each in every if each.removed_at is None]
    fits = [each for each in open_ones if which in (str(each.id), each.name)]
    if not fits and removed_too:
        fits = [each for each in every if which in (str(each.id), each.name)]
    if len(fits) != 1:
        known = ", ".join(f"{each.id} ({each.name})" for each in fits or open_ones) or "none"
        number = "no" if not fits else "more than one"
        raise CannotStart(plain(f"there is {number} integration `{which}`; there are: {known}"))
    return fits[0]


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not equals:
            raise CannotStart(f"--mapping takes field=JSONPath, such as summary=$.title, not `{each}`")
        pairs[name.strip()] = path.strip()
    return pairs


def _bytes_of(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as problem:
        raise CannotStart(f"{plain(file)} cannot be read: {problem.strerror}") from None


def _show_said(said: Said) -> None:
    """One thing that a body would say, a field a line."""
    shown = table("Field", "Says")
    told: dict[str, Any] = {"action": said.action, "dedup_key": said.dedup_key, "summary": said.summary}
    told |= {"severity": said.severity, "asset": said.asset, "description": said.description, "words": said.words}
    told |= {f"label.{name}": value for name, value in said.labels.items()}
    for name, value in told.items():
        if value is not None:
            row(shown, name, value)
    show(shown)
    print()


def _show(made: NewIntegration, base: str) -> None:
    """The key first and alone on stdout, so that a script can take it; the words on stderr."""
    each = made.integration
    print(made.key, flush=True)
    say(f"This is the key of integration {each.id} ({each.name}) for {DIALECTS[each.dialect].title}.")
    say("It is shown only now. Paste this into the sender:\n")
    say(lines(made, DIALECTS[each.dialect], base), style="")
