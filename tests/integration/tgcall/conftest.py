from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.media.tgcall import CallEngine

from .peer import Users


@pytest.fixture
async def engine() -> AsyncIterator[CallEngine]:
    async with CallEngine() as opened:
        yield opened


@pytest.fixture
async def users() -> AsyncIterator[Users]:
    async with Users.open() as opened:
        yield opened
