"""`tocsin demo`: a storm, a kill in the middle of it, and an honest count."""

import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Never

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from tocsin.cli.direct import on_database
from tocsin.demo.storm import Storm
from tocsin.demo.tally import Tally, counted
from tocsin.demo.throwaway import Listener, NotReady, Throwaway
from tocsin.settings import Settings
from tocsin.start import CannotStart

QUIET_FOR = 1.5  # seconds without a message after which all are thought to have come
LONGEST_WAIT = 60.0
console = Console(highlight=False)


def demo(
    reports: int = typer.Option(10_000, min=100, help="How many reports the storm has."),
    troubles: int = typer.Option(50, min=1, max=500, help="Of how many different troubles."),
    stay: bool = typer.Option(True, help="Keep the page up at the end, until Enter is pressed in a terminal."),
) -> None:
    """Show what Tocsin does: a throw-away server takes a storm of reports, is killed in the middle, and is counted."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _stop)  # so that nothing is left behind then either
    listener = Listener()
    try:
        with Throwaway() as tocsin:
            good = _shown(tocsin, listener, reports, troubles)
            if stay and sys.stdin.isatty():
                console.input("\n  Look around on the page; [bold]Enter[/] throws everything away. ")
    except NotReady as problem:
        raise CannotStart(f"the demo's own server failed: {problem}") from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        listener.close()
    raise typer.Exit(0 if good else 1)


def _stop(number: int, frame: FrameType | None) -> Never:
    raise SystemExit(128 + number)


def _shown(tocsin: Throwaway, listener: Listener, reports: int, troubles: int) -> bool:
    console.print(f"\n  [bold]A throw-away Tocsin runs at {tocsin.address}[/]")
    console.print(f"  Watch it there: sign in with the key [bold]{tocsin.key}[/]\n")
    key = _settle(tocsin, listener)
    storm = Storm(tocsin.port, key, reports, troubles)
    seconds = _ride(tocsin, storm)
    _wait_for_messages(listener)
    tally = on_database(counted, Settings.model_validate({"data_dir": tocsin.data}))
    return _report(storm, tally, listener, seconds)


def _settle(tocsin: Throwaway, listener: Listener) -> str:
    """A sample team: people, a monitoring's key, a phone, a webhook; gives the monitoring's key."""
    for name, role in (("Ada", "operator"), ("Bob", "operator"), ("Vera", "viewer")):
        tocsin.ask("POST", "/api/keys", {"name": name, "role": role})
    monitoring: Any = tocsin.ask("POST", "/api/keys", {"name": "Monitoring", "role": "monitoring"})
    for name, kind, config in (
        ("Phones on duty", "ntfy", {"topic": "demo", "url": listener.url}),
        ("Status page", "webhook", {"url": f"{listener.url}/hook"}),
    ):
        made: Any = tocsin.ask("POST", "/api/channels", {"name": name, "kind": kind, "config": config})
        tocsin.ask("POST", "/api/subscriptions", {"channel_id": made["channel"]["id"]})
    tocsin.ask(
        "POST", "/api/incidents", {"description": "A customer cannot unlock scooter 875643", "source": "operator"}
    )
    key: str = monitoring["secret"]
    return key


def _ride(tocsin: Throwaway, storm: Storm) -> float:
    """The storm from its beginning to its end, with a kill when half of it is in; the seconds without the restart."""
    columns = (TextColumn("  {task.description}"), BarColumn(32), MofNCompleteColumn())
    began, down = time.monotonic(), 0.0
    with Progress(*columns, console=console, refresh_per_second=8) as progress:
        bar = progress.add_task(f"{storm.troubles} troubles, reported", total=storm.count)
        senders = storm.begin()
        while not storm.half_is_in.wait(0.05) and _any_at_work(senders):
            progress.update(bar, completed=len(storm.accepted))
        if storm.half_is_in.is_set():
            tocsin.kill()
            went = time.monotonic()
            progress.console.print(f"  [bold red]kill -9[/] after {len(storm.accepted):,} reports were accepted")
            tocsin.start()
            down = time.monotonic() - went
            progress.console.print(f"  it is back after {down:.1f} s; the senders go on by themselves")
        while _any_at_work(senders):
            progress.update(bar, completed=len(storm.accepted))
            time.sleep(0.05)  # until the bar moves again
        progress.update(bar, completed=len(storm.accepted))
    return time.monotonic() - began - down


def _any_at_work(senders: Sequence[threading.Thread]) -> bool:
    return any(each.is_alive() for each in senders)


def _wait_for_messages(listener: Listener) -> None:
    """Until no more messages come."""
    began = last = time.monotonic()
    seen = -1
    with console.status("  messages are leaving …"):
        # A burst to people is held for up to ten seconds, so that it becomes one message.
        while time.monotonic() - began < LONGEST_WAIT:
            now = listener.hooks + len(listener.phone)
            if now != seen:
                seen, last = now, time.monotonic()
            if time.monotonic() - last > QUIET_FOR and time.monotonic() - began > 11:
                return
            time.sleep(0.1)


def _report(storm: Storm, tally: Tally, listener: Listener, seconds: float) -> bool:
    lost = len(storm.accepted - tally.kept)
    doubled = len(tally.kept - storm.accepted)  # each request was answered with its one report: any other is a double
    twice = sum(len(ids) - 1 for ids in listener.told.values())
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right", style="bold")
    rows = [
        ("accepted: answered with 2xx", len(storm.accepted), f"{len(storm.accepted) / seconds:,.0f} a second"),
        ("attempts that met a dead server", storm.again, "made again"),
        ("kept: reports in the database", len(tally.kept), ""),
        ("lost: accepted and not there", lost, ""),
        ("doubled: stored more than once", doubled, ""),
        ("refused", len(storm.refused), ""),
        ("incidents that they became", tally.incidents, f"of {tally.troubles} troubles"),
        ("messages to the status page", listener.hooks, f"{len(listener.told)} events"),
        ("the same told twice under different ids", twice, ""),
        ("messages to the phones", len(listener.phone), "bursts are folded"),
    ]
    for name, count, more in rows:
        table.add_row(name, f"{count:,}", f"[dim]{more}[/]")
    console.print("\n  [bold]Counted from the database and by whoever took the messages:[/]\n")
    console.print(table)
    good = len(storm.accepted) == len(tally.kept) == storm.count and lost == doubled == twice == 0
    good = good and tally.incidents == storm.troubles
    console.print(
        "\n  [bold green]Nothing was lost, nothing was doubled.[/]" if good else "\n  [bold red]This is not right.[/]"
    )
    return good
