"""`tocsin keys create|list|rotate|revoke`: works beside a running server, and before the first start."""

import typer

from tocsin import settings as chosen
from tocsin.access import actions, store
from tocsin.access.model import ROLES, Key, NewKey, new_secret
from tocsin.cli.direct import on_database, overlap_of
from tocsin.cli.printing import plain, row, say, show, table
from tocsin.db.transaction import CLOCK
from tocsin.kit.clock import rfc3339_or_none

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    name: str = typer.Option(..., help="What the key is for: it stands in the timeline."),
    role: str = typer.Option("operator", help=f"One of {', '.join(ROLES)}."),
    partner: str | None = typer.Option(None, help="The company's slug, for the role partner; made if it is new."),
) -> None:
    """Make a key and print it: the only time that it is shown."""
    made: NewKey = on_database(
        lambda db: db.write(actions.create_key, actions.CreateKey(name, role, partner, new_secret(), CLOCK))
    )
    _show_secret(made)


@app.command("list")
def list_keys() -> None:
    """List every key, without secrets."""
    settings = chosen.load()
    keys: list[Key] = on_database(lambda db: db.read(store.keys), settings)
    shown = table("Id", "Name", "Role", "Partner", "Made (UTC)", "Last used", "State")
    if settings.api_key is not None:
        row(shown, "–", "from the environment", "admin", "", "", "", "good while API_KEY is set")
    for key in keys:
        used = key.last_used_at or "never"
        row(shown, key.id, key.name, key.role, key.partner, key.created_at, used, _state(key))
    show(shown)


@app.command()
def rotate(
    key_id: int = typer.Argument(..., help="The key's id, as `tocsin keys list` shows it."),
    overlap_hours: float = typer.Option(24.0, help="For how long the old secret stays good."),
) -> None:
    """Give a key a new secret and print it; the old one stays good for a while."""
    wish = actions.RotateKey(key_id, new_secret(), overlap_of(overlap_hours), CLOCK)
    made: NewKey = on_database(lambda db: db.write(actions.rotate_key, wish))
    _show_secret(made)


@app.command()
def revoke(key_id: int = typer.Argument(..., help="The key's id, as `tocsin keys list` shows it.")) -> None:
    """Revoke a key: it is dead everywhere within a second."""
    key: Key = on_database(lambda db: db.write(actions.revoke_key, actions.RevokeKey(key_id, CLOCK)))
    print(f"Key {key.id} ({plain(key.name)}) is revoked.")


def _show_secret(made: NewKey) -> None:
    """The key first and alone on stdout, so that a script can take it; the words on stderr."""
    print(made.text, flush=True)
    say(f"This is key {made.key.id} ({made.key.name}), role {made.key.role}. It is shown only now.")


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {rfc3339_or_none(key.revoked_at)}"
    return f"old secret good until {rfc3339_or_none(key.former_until)}" if key.former_until else "good"
