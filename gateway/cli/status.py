"""`siptg status`"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gateway.cli.output import OUT
from gateway.control.requests import ListSessions
from gateway.control.rpc import running
from gateway.errors import GatewayError
from gateway.settings import load
from gateway.telegram.model import AccountState


@click.command("status")
def command() -> None:
    """Tell how the running gateway is; fails when none runs, or when it does not answer."""
    OUT.print(asyncio.run(_look(load().state)))


async def _look(state: Path) -> str:
    if (answer := await running(state)) is None:
        raise GatewayError(f"No gateway runs on {state}: siptg serve")
    sessions = [view for view in await answer(ListSessions()) if view.logged_in]
    online = sum(view.status.state is AccountState.ONLINE for view in sessions)
    return f"The gateway is up; {online} of {len(sessions)} sessions are online."
