"""`siptg demo`"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click

from gateway import log
from gateway.sandbox.network import enter_private_network, why_no_private_network


@click.command("demo")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("demo-output"), help="For recordings and state."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; the story goes to standard error.")
@click.option("--stay", is_flag=True, help="Keep everything up, and tell how to call in.")
@click.option("--verbose", is_flag=True, help="Show the log as well.")
def command(folder: Path, *, as_json: bool, stay: bool, verbose: bool) -> None:
    """Make a call each way between a local Telegram and a local phone; no account is needed."""
    if not stay:  # whoever stays is to be reached by a softphone
        if reason := why_no_private_network():
            click.echo(f"The demo runs in this machine's own network, since {reason}.", err=True)
        else:
            enter_private_network()
    log.configure("info" if verbose else "error")
    if not asyncio.run(_until_signal(folder, as_json=as_json, stay=stay)):
        sys.exit(1)


async def _until_signal(folder: Path, *, as_json: bool, stay: bool) -> bool:
    """The first SIGINT or SIGTERM ends it in order."""
    # Only in the private network: some of its libraries start threads, which could not follow into one.
    from gateway.demo.command import run  # noqa: PLC0415

    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    return await run(folder, stop, as_json=as_json, stay=stay)
