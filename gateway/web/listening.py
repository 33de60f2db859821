"""How an application is listened for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from gateway.web.ports import refuse

log = structlog.get_logger(__name__)

#: What is being answered when we stop may take so long to end.
LEAVE_S: Final = 2.0


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int, setting: str) -> AsyncIterator[int]:
    """Answer for as long as the block lasts; gives the port, which `setting` names. Raises `SettingsError`."""
    # No log of requests: their paths may be secrets.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LEAVE_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            refuse(host, port, setting, error)
        bound: int = runner.addresses[0][1]
        log.info("web is served", host=host, port=bound)
        yield bound
    finally:
        await runner.cleanup()
