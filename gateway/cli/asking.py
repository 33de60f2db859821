"""How a command has something done: by the running gateway; or, when none runs, on its store."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from gateway import log
from gateway.control.requests import Answer, Request, UseCases
from gateway.control.rpc import reaching
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
        async with reaching(settings.state, lambda: store(settings)) as asked:
            return await asked(request)

    return asyncio.run(answer())


def store(settings: Settings) -> AbstractAsyncContextManager[UseCases]:
    """The use-cases on the store alone."""
    from gateway.app import store_alone  # noqa: PLC0415 - where a gateway runs, a command does without its libraries

    return store_alone(settings)
