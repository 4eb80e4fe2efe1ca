"""`tocsin channels add|list|test|log|rotate|remove`: by what people and machines are told."""

from collections.abc import Mapping
from typing import Any

import typer

from tocsin import settings as chosen
from tocsin.cli.direct import keyring, on_database, overlap_of
from tocsin.cli.printing import plain, row, say, show, table
from tocsin.db.engine import Database
from tocsin.db.transaction import CLOCK
from tocsin.delivery import actions, drafts, outbox, store
from tocsin.delivery.model import Channel, Notification
from tocsin.start import CannotStart

app = typer.Typer(help="Make, list, test and remove channels.", no_args_is_help=True)
add = typer.Typer(help="Make a channel of a kind.", no_args_is_help=True)
app.add_typer(add, name="add")

WHICH = typer.Argument(..., help="Its id or its name, as `tocsin channels list` shows them.")
NAME = typer.Option(..., help="What it is called: it stands in the timeline.")
LANGUAGE = typer.Option("en", help="In which language it is told: en or ru.")


@add.command()
def telegram(
    name: str = NAME,
    token: str = typer.Option(..., prompt=True, hide_input=True, envvar="TELEGRAM_TOKEN", help="The bot's token."),
    chat: str = typer.Option(..., help="The chat's number, or a public channel's @name."),
    updates: str = typer.Option("polling", help="How pressed buttons come: polling, webhook or off."),
    language: str = LANGUAGE,
) -> None:
    """A bot of yours writes to a chat; the token is asked for, so that it stands in no shell history."""
    made, secret = _add(name, "telegram", {"token": token, "chat": chat, "updates": updates, "language": language})
    if secret is not None:
        base = chosen.load().address
        say(
            f"Tell Telegram, with the bot's token in TELEGRAM_TOKEN:\n\n"
            f'curl "https://api.telegram.org/bot$TELEGRAM_TOKEN/setWebhook" '
            f"-d url={base}/in/telegram/{made.id} -d secret_token={secret}",
            style="",
        )


@add.command()
def ntfy(
    name: str = NAME,
    topic: str = typer.Option(..., help="The topic to publish to."),
    url: str | None = typer.Option(None, help="A server of your own; without it https://ntfy.sh."),
    token: str | None = typer.Option(None, envvar="NTFY_TOKEN", help="An access token, where the topic needs one."),
    language: str = LANGUAGE,
) -> None:
    """Notifications on a phone with the ntfy app."""
    _add(name, "ntfy", _given(topic=topic, url=url, token=token, language=language))


@add.command()
def email(
    name: str = NAME,
    to: str = typer.Option(..., help="One or more addresses, by commas."),
    language: str = LANGUAGE,
) -> None:
    """Mail; TOCSIN_SMTP_URL and TOCSIN_MAIL_FROM say how it goes out."""
    _add(name, "email", {"to": to, "language": language})


@add.command()
def webhook(name: str = NAME, url: str = typer.Option(..., help="Where to send to.")) -> None:
    """Every event as signed JSON; prints the secret that the receiver checks it with."""
    _add(name, "webhook", {"url": url})


@app.command("list")
def list_channels() -> None:
    """List every channel, without secrets."""
    shown = table("Id", "Name", "Kind", "Where", "Made (UTC)")
    for each in on_database(_all):
        where = ", ".join(f"{name} {_plain(value)}" for name, value in each.config.items())
        row(shown, each.id, each.name, each.kind, where, each.created_at)
    show(shown)


@app.command("test")
def send_test(which: str = WHICH) -> None:
    """Queue a test message; the running server sends it. `tocsin channels log` says what came of it."""

    async def send(db: Database) -> Notification:
        queued: Notification = await db.write(outbox.send_test, named(await _all(db), which).id)
        return queued

    queued = on_database(send)
    print(f"Queued as notification {queued.id}; the running server sends it.")


@app.command("log")
def show_log(which: str = WHICH, last: int = typer.Option(20, min=1, max=1000, help="So many messages.")) -> None:
    """Show what it was told, newest first, and what came of it."""

    async def look(db: Database) -> list[Notification]:
        return await db.read(store.notifications_of_channel, named(await _all(db), which).id, None, last)

    shown = table("Notification", "At (UTC)", "Event", "Incident", "State", "Attempts", "Why")
    for each in on_database(look):
        row(shown, each.id, each.created_at, each.event, each.incident_id, each.state, each.attempts, each.reason)
    show(shown)


@app.command()
def rotate(
    which: str = WHICH,
    overlap_hours: float = typer.Option(24.0, help="For how long the old secret signs as well."),
) -> None:
    """Give a webhook a new signing secret and print it."""
    settings = chosen.load()
    kept_for = overlap_of(overlap_hours)

    async def change(db: Database) -> str:
        each = named(await _all(db), which)
        wish, secret = drafts.rotated_channel(each, kept_for, CLOCK, keyring(settings), db.clock)
        await db.write(actions.change_channel, wish)
        return secret

    print(on_database(change, settings), flush=True)


@app.command()
def remove(which: str = WHICH) -> None:
    """Remove it with its subscriptions; what waits for it is not sent."""

    async def end(db: Database) -> Channel:
        gone: Channel = await db.write(
            actions.remove_channel, actions.RemoveChannel(named(await _all(db), which).id, CLOCK)
        )
        return gone

    gone = on_database(end)
    print(f"Channel {gone.id} ({plain(gone.name)}) is removed.")


def named(every: list[Channel], which: str) -> Channel:
    """By id or by name."""
    fits = [each for each in every if which in (str(each.id), each.name)]
    if len(fits) != 1:
        known = ", ".join(f"{each.id} ({each.name})" for each in every) or "none"
        number = "no" if not fits else "more than one"
        raise CannotStart(plain(f"there is {number} channel `{which}`; there are: {known}"))
    return fits[0]


def _add(name: str, kind: str, config: Mapping[str, Any]) -> tuple[Channel, str | None]:
    settings = chosen.load()

    async def make(db: Database) -> tuple[Channel, str | None]:
        wish, secret = drafts.new_channel(name, kind, config, CLOCK, keyring(settings))
        return await db.write(actions.add_channel, wish), secret

    made, secret = on_database(make, settings)
    if kind == "webhook":  # first of all: it is shown only now
        print(secret, flush=True)
    say(f"Channel {made.id} ({made.name}) is made. Nobody is told yet:")
    say(f"tocsin subscriptions add --channel {made.id} --severity high+", style="")
    return made, secret


async def _all(db: Database) -> list[Channel]:
    return await db.read(store.channels)


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
