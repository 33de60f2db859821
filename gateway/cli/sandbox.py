"""`siptg sandbox`"""

from __future__ import annotations

from pathlib import Path

import click

from gateway import log
from gateway.sandbox.server import run


@click.command("sandbox")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("sandbox"), help="Where its state is kept.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9443, show_default=True, help="Of MTProto.")
@click.option("--control-port", default=9480, show_default=True, help="Of its HTTP control.")
@click.option("--bot-api-port", default=9481, show_default=True, help="Of the Bot API.")
def command(folder: Path, host: str, port: int, control_port: int, bot_api_port: int) -> None:
    """Run a local Telegram, to try things on."""
    log.configure("info")
    run(folder, host, port, control_port, bot_api_port)
