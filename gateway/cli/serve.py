"""`siptg serve`"""

from __future__ import annotations

import asyncio

import click

from gateway import app, log
from gateway.settings import load


@click.command("serve")
def command() -> None:
    """Run the gateway. SIGTERM lets running calls end first; SIGINT stops now."""
    settings = load()
    log.configure(settings.log.level, settings.log.style)
    asyncio.run(app.serve(settings))
