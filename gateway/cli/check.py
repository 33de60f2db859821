"""`siptg check`"""

from __future__ import annotations

import asyncio
import sys

import click

from gateway import log
from gateway.check import examine
from gateway.cli.output import OUT
from gateway.settings import Settings, load


@click.command("check")
def command() -> None:
    """Tell what is missing for the gateway to run.

    It looks, and leaves nothing behind but a database, if there was none. To see whether Telegram can be reached it
    opens a connection to a data centre (or to SIPTG_TELEGRAM__SERVER) and closes it again: nothing is sent.
    """
    settings = load()
    log.configure("error")
    if not asyncio.run(_look(settings)):
        sys.exit(1)
    OUT.print("Ready: siptg serve")


async def _look(settings: Settings) -> bool:
    well = True
    async for finding in examine(settings):
        mark = "[green]ok[/]" if finding.well else "[red]missing[/]" if finding.needed else "[yellow]note[/]"
        OUT.print(f"{mark:>16}  {finding.what}: {finding.found}")
        if finding.advice:
            OUT.print(f"          {finding.advice}")
        well = well and (finding.well or not finding.needed)
    return well
