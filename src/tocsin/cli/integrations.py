"""`tocsin integrations create|list|log|rotate|remove`: doors for machines, made beside a running server."""

from datetime import timedelta

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin import settings as chosen
from tocsin.access.http import overlap
from tocsin.cli.direct import keyring, on_database
from tocsin.db.engine import Database
from tocsin.db.transaction import CLOCK
from tocsin.incidents.model import SOURCES
from tocsin.intake import actions, drafts, store
from tocsin.intake.dialects import DIALECTS
from tocsin.intake.model import Integration, NewIntegration, Report, new_key
from tocsin.intake.shapes import IntegrationDraft, RulesDraft
from tocsin.kit.clock import rfc3339, rfc3339_or_none
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
) -> None:
    """Make a door and print its address, its key and the lines to paste into the sender."""
    settings = chosen.load()
    rules = RulesDraft(when_taken, severity, asset_label, asset_pattern, _pairs(mapping))
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
    table = _table("Id", "Name", "Dialect", "Source", "Partner", "Made", "Old key until")
    for each in on_database(_all):
        if each.removed_at is None:
            until = rfc3339_or_none(each.former_until) or ""
            made = rfc3339(each.created_at)
            table.add_row(str(each.id), each.name, each.dialect, each.source, each.partner or "", made, until)
    Console().print(table)


@app.command("log")
def show_log(which: str = WHICH, last: int = typer.Option(20, min=1, max=1000, help="So many reports.")) -> None:
    """Show what came in by it, what came of it and why, newest first."""

    async def look(db: Database) -> list[Report]:
        each = _named(await _all(db), which)
        return await db.read(store.reports_of_integration, each.id, None, last)

    table = _table("Report", "Came", "Says", "Outcome", "Incident", "Why", "Summary")
    for report in on_database(look):
        outcome = Text(report.outcome, style=GOOD.get(report.outcome, ""))
        incident = str(report.incident_id) if report.incident_id is not None else ""
        came = rfc3339(report.received_at)
        words = (Text(report.reason), Text(report.summary or ""))  # never read as markup
        table.add_row(str(report.id), came, report.action, outcome, incident, *words)
    Console().print(table)


@app.command()
def rotate(
    which: str = WHICH,
    overlap_hours: float = typer.Option(24.0, help="For how long the old key stays good."),
) -> None:
    """Give it a new key and print it; the old one stays good for a while."""
    settings = chosen.load()
    seconds = round(timedelta(hours=overlap_hours).total_seconds())

    async def change(db: Database) -> NewIntegration:
        each = _named(await _all(db), which)
        wish = actions.RotateIntegration(each.id, new_key(), overlap(seconds), CLOCK)
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
    print(f"Integration {gone.id} ({gone.name}) is closed.")


async def _all(db: Database) -> list[Integration]:
    return await db.read(store.integrations)


def _named(every: list[Integration], which: str) -> Integration:
    """By id or by name, among those that are open."""
    fits = [each for each in every if each.removed_at is None and which in (str(each.id), each.name)]
    if len(fits) != 1:
        known = ", ".join(f"{each.id} ({each.name})" for each in every if each.removed_at is None) or "none"
        raise CannotStart(f"there is {'no' if not fits else 'more than one'} integration `{which}`; there are: {known}")
    return fits[0]


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not equals:
            raise CannotStart(f"--mapping takes field=JSONPath, such as summary=$.title, not `{each}`")
        pairs[name.strip()] = path.strip()
    return pairs


def _show(made: NewIntegration, base: str) -> None:
    """The key alone on stdout, so that a script can take it; the words on stderr."""
    each, words = made.integration, Console(stderr=True)
    about = f"Integration {each.id} ({each.name}) for {DIALECTS[each.dialect].title}. Its key is shown only now:"
    words.print(about, style="dim", highlight=False)
    print(made.key, flush=True)
    words.print("\nPaste this into the sender:\n", style="dim", highlight=False)
    words.print(DIALECTS[each.dialect].lines(base, made.key), markup=False, highlight=False, soft_wrap=True)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title)
    return table
