"""The command line: every command of `tocsin`, a module each."""

import sys

import typer

from tocsin.cli import backup, channels, demo, importing, integrations, keys, move, schema, serve, subscriptions
from tocsin.kit import logs
from tocsin.settings import WrongSettings
from tocsin.start import CannotStart, fail

app = typer.Typer(
    name="tocsin",
    help="An incident register that you run yourself: one incident for one trouble, every step on record.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(serve.serve)
app.command()(demo.demo)
app.command()(schema.settings)
app.command()(schema.migrate)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(move.move)
app.add_typer(keys.app, name="keys")
app.add_typer(integrations.app, name="integrations")
app.add_typer(channels.app, name="channels")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(importing.app, name="import")


@app.callback(invoke_without_command=True)
def top(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
) -> None:
    """What every command shares."""
    if version:
        import tocsin

        print(f"tocsin {tocsin.__version__}")
        raise typer.Exit


def main() -> None:
    """The console script. What a user can mend is one sentence, never a traceback."""
    logs.quiet()
    try:
        app()
    except (WrongSettings, CannotStart) as problem:
        sys.exit(fail(problem))
