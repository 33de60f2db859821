"""`siptg calls`"""

from __future__ import annotations

import datetime as dt
import sys

import click

from gateway.cli.asking import ask
from gateway.cli.output import show
from gateway.control.requests import ExportCalls, ListCalls


@click.command("calls")
@click.option("--live", is_flag=True, help="Those that are up now.")
@click.option("--days", type=float, help="Not older than this.")
@click.option("--limit", default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="All columns, for a spreadsheet.")
def command(*, live: bool, days: float | None, limit: int, as_csv: bool) -> None:
    """Show calls: when, who, how long, and why they ended."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days) if days else None
    if as_csv:
        sys.stdout.write(ask(ExportCalls(since)))
        return
    rows = [
        (
            f"{record.offered_at.astimezone():%Y-%m-%d %H:%M:%S}",
            "→ Telegram" if record.direction.value == "sip-to-telegram" else "→ SIP",
            record.caller,
            record.dialled,
            f"{record.talk_s:.0f} s",
            record.state.value if live else record.ending.cause.value,
            record.ending.detail,
            " ".join(filter(None, (record.media.engine, record.media.version, record.media.path))),
        )
        for record in ask(ListCalls(living=live, since=since, limit=limit))
    ]
    show(("when", "way", "caller", "dialled", "talked", "state" if live else "ended", "", "audio by"), rows)
