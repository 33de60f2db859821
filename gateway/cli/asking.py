"""How a command has something done: by the running gateway; or, when none runs, on its store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway import log
from gateway.control.requests import Answer, Request
from gateway.control.rpc import Ask, reaching
from gateway.settings import Settings, load


def quiet_settings() -> Settings:
    """The settings, with a log that a person at a terminal can do with."""
    settings = load()
    log.configure("warning", settings.log.style)
    return settings


def ask(request: Request[Answer]) -> Answer:
    """Raises `GatewayError` with the gateway's own sentence."""
    settings = quiet_settings()

    async def answer() -> Answer:
        async with reaching(settings.state, lambda: alone(settings)) as asked:
            return await asked(request)

    return asyncio.run(answer())


@asynccontextmanager
async def alone(settings: Settings) -> AsyncIterator[Ask]:
    """Does what is asked on the store alone."""
    from gateway.app import store_alone  # noqa: PLC0415 - where a gateway runs, a command does without its libraries

    async with store_alone(settings) as house:
        yield house.ask
