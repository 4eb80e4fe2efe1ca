"""`tocsin subscriptions add|list|remove`: which channel hears of what."""

import typer

from tocsin.cli.channels import named
from tocsin.cli.direct import on_database
from tocsin.cli.printing import plain, row, show, table
from tocsin.db.engine import Database
from tocsin.db.transaction import CLOCK
from tocsin.delivery import actions, store
from tocsin.delivery.model import Channel, Subscription
from tocsin.incidents.model import SEVERITIES, SOURCES

app = typer.Typer(help="Say which channel hears of what.", no_args_is_help=True)

SOURCE = typer.Option([], help=f"Only of this source, several times: {', '.join(SOURCES)}; without it of all.")


@app.command()
def add(
    channel: str = typer.Option(..., help="Its id or its name."),
    severity: str = typer.Option(
        "info+", help=f"From this on: {', '.join(reversed(SEVERITIES))}; `high+` means `high`."
    ),
    source: list[str] = SOURCE,
) -> None:
    """From now on the channel is told of such incidents."""

    async def make(db: Database) -> tuple[Subscription, Channel]:
        to = named(await db.read(store.channels), channel)
        made: Subscription = await db.write(actions.subscribe, actions.Subscribe(to.id, severity, source, CLOCK))
        return made, to

    made, to = on_database(make)
    sources = " or ".join(made.sources) or "any source"
    whom = plain(to.name)
    print(f"Subscription {made.id}: {whom} hears of incidents of {made.severity} severity and above, from {sources}.")


@app.command("list")
def list_subscriptions() -> None:
    """List every subscription."""

    async def look(db: Database) -> list[tuple[Subscription, str]]:
        names = {each.id: each.name for each in await db.read(store.channels)}
        return [(each, names.get(each.channel_id, "")) for each in await db.read(store.subscriptions)]

    shown = table("Id", "Channel", "From severity", "Sources")
    for each, name in on_database(look):
        row(shown, each.id, name, f"{each.severity}+", ", ".join(each.sources) or "all")
    show(shown)


@app.command()
def remove(subscription: int = typer.Argument(..., help="Its id, as `tocsin subscriptions list` shows it.")) -> None:
    """From now on the channel does not hear of them."""

    async def end(db: Database) -> Subscription:
        gone: Subscription = await db.write(actions.unsubscribe, actions.Unsubscribe(subscription, CLOCK))
        return gone

    print(f"Subscription {on_database(end).id} is removed.")
