"""`siptg calls`"""

from __future__ import annotations

import datetime as dt
import sys

import click

from gateway.cli.asking import ask
from gateway.cli.output import show
from gateway.control.requests import ExportCalls, ListCalls, ListLiveCalls
from gateway.terminal import calls as tables


@click.command("calls")
@click.option("--live", is_flag=True, help="Those that are up now.")
@click.option("--days", type=float, help="Not older than this.")
@click.option("--limit", default=50, show_default=True)
@click.option("--audio", is_flag=True, help="What their audio was like; with --live, is like.")
@click.option("--csv", "as_csv", is_flag=True, help="All columns, for a spreadsheet.")
def command(*, live: bool, days: float | None, limit: int, audio: bool, as_csv: bool) -> None:
    """Show calls: when, who, how long, and why they ended."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days) if days else None
    if as_csv:
        sys.stdout.write(ask(ExportCalls(since)))
        return
    if live:
        living = tables.living_audio if audio else tables.living
        show(*living(ask(ListLiveCalls(audio))))
    else:
        ended = tables.audio if audio else tables.ended
        show(*ended(ask(ListCalls(since=since, limit=limit))))
