"""`tocsin settings` and `tocsin migrate`: what is in force, and what the database looks like."""

import os
from pathlib import Path

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tocsin import settings as chosen
from tocsin import start
from tocsin.db import migrate as migrations
from tocsin.db.migrate import UnusableSchema
from tocsin.kit.errors import Unavailable
from tocsin.settings import Settings
from tocsin.start import CannotStart

ENV_FILE = Path(".env")


def settings(
    given: bool = typer.Option(False, "--given", help="Only what the environment or .env set."),
) -> None:
    """Show every setting in force and where it came from. Secrets are masked."""
    in_force = chosen.load()
    _, origin = chosen.gather(os.environ, ENV_FILE)
    console = Console(highlight=False)
    for field in Settings.model_fields.values():
        name = str(field.alias)
        if given and name not in origin:
            continue
        value = chosen.shown(in_force, name) or "not set"
        place = (f"({origin[name]})", "cyan") if name in origin else ("(default)", "dim")
        console.print(Text.assemble((name, "bold"), f" = {value}  ", place))
        console.print(Padding(Text(field.description or "", style="dim"), (0, 0, 0, 4)))
    for name in chosen.unknown_names(os.environ, ENV_FILE):
        console.print(f"! {name} is no setting of Tocsin's", style="yellow")


def migrate(
    check: bool = typer.Option(False, "--check", help="Only say whether the schema is current; exit 1 if it is not."),
) -> None:
    """Bring the database's schema up to date; `serve` does the same when it starts."""
    in_force = chosen.load()
    try:
        state = migrations.look(in_force)
    except UnusableSchema as problem:
        raise CannotStart(str(problem)) from None
    except Unavailable as problem:
        raise CannotStart(problem.detail) from None
    if state.current:
        print(f"The schema is current: {state.newest}.")
    elif check:
        found = state.found or "empty"
        print(f"The schema is not current: the database is {found}, this program wants {state.newest}.")
        raise typer.Exit(1)
    else:
        prepared = start.prepare(in_force)
        if prepared.first_key is not None:
            file = start.keep_first_key(in_force, prepared.first_key)
            print(f"The first key is in {file}.")
        prepared.release()
        print(f"The schema is now {state.newest}.")
