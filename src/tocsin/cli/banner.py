"""What `tocsin serve` prints before it serves: where it is, the first key, three commands to paste."""

import json
import shlex
import sys

from rich.console import Console
from rich.text import Text

import tocsin
from tocsin import start
from tocsin.settings import Settings, without_password
from tocsin.start import Prepared


def show(settings: Settings, prepared: Prepared, port: int) -> None:
    """To a terminal in full; elsewhere the key goes to a file, and the log has the rest."""
    notes = start.notes(settings, prepared)
    if settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty()):
        _to_log(settings, prepared, notes, port)
        return
    console = Console(highlight=False, soft_wrap=True)
    address = f"http://{_reachable(settings.host)}:{port}"
    console.print()
    console.print(Text.assemble(("  Tocsin", "bold"), f" {tocsin.__version__} is starting at ", (address, "bold cyan")))
    console.print(Text(f"  The register is in {_where(settings)}; Ctrl-C stops.", style="dim"))
    console.print()
    _key(console, settings, prepared)
    for title, command in commands(address):
        console.print(Text(f"  {title}", style="dim"))
        # Not in a Padding: that crops what is wider than the terminal, and the line would be pasted cut off.
        console.print(Text(f"  {command}\n"))
    for note in notes:
        console.print(Text(f"  ! {note}", style="yellow"))
    if notes:
        console.print()


def commands(address: str) -> list[tuple[str, str]]:
    """The three commands of the README, for this address; the key comes from the shell's `$TOCSIN_KEY`."""
    # Broken before 80 columns, so that what is copied from a narrow terminal is still one command.
    key = '-H "x-api-key: $TOCSIN_KEY"'
    heads = f"{key} -H 'content-type: application/json'"
    draft = shlex.quote(json.dumps({"description": "Scooter 875643 is offline", "source": "operator"}))
    move = shlex.quote(json.dumps({"incident_id": 1, "status": "in_progress"}))
    said = [
        ("File an incident:", [f"curl {address}/api/incidents", heads, f"-d {draft}"]),
        ("List what is active:", [f"curl '{address}/api/incidents?status=active'", key]),
        ("Move it on:", [f"curl -X PATCH {address}/api/incidents/status", heads, f"-d {move}"]),
    ]
    return [(title, " \\\n    ".join(parts)) for title, parts in said]


def _key(console: Console, settings: Settings, prepared: Prepared) -> None:
    if prepared.first_key is not None and sys.stdout.isatty():
        console.print(Text.assemble("  Your first key, an admin's. It is ", ("shown only now", "bold"), "; keep it:"))
        console.print(Text(f"\n  export TOCSIN_KEY={prepared.first_key}\n", style="bold green"))
    elif prepared.first_key is not None:
        file = start.keep_first_key(settings, prepared.first_key)
        console.print(Text(f"  The first key is in {file}: export TOCSIN_KEY=$(cat {shlex.quote(str(file))})\n"))
    elif settings.api_key is not None:
        console.print(Text('  The admin key is API_KEY: export TOCSIN_KEY="$API_KEY"\n', style="dim"))
    else:
        console.print(Text("  $TOCSIN_KEY is your key; `tocsin keys create` makes another.\n", style="dim"))


def _to_log(settings: Settings, prepared: Prepared, notes: list[str], port: int) -> None:
    from tocsin.kit import logs

    logs.set_up(settings.log_format, settings.log_level)
    if prepared.first_key is not None:
        start.keep_first_key(settings, prepared.first_key)
    start.log.info("starting", version=tocsin.__version__, host=settings.host, port=port, database=_where(settings))
    for note in notes:
        start.log.warning(note)


def _where(settings: Settings) -> str:
    url = settings.postgres_url
    return str(settings.sqlite_file) if url is None else without_password(url)


def _reachable(host: str) -> str:
    """An address that a person can paste: listening everywhere is no place to go to."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host
