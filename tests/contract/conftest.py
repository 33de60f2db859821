"""The networks on which the contract is tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.scripted_world import ScriptedWorld
from tests.contract.sip_world import SipWorld
from tests.contract.stage import World
from tests.contract.telegram_world import TelegramWorld


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["scripted", "sip", "telegram"])
async def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path
) -> AsyncIterator[World]:
    state = tmp_path_factory.mktemp(request.param)
    match request.param:
        case "sip":
            async with SipWorld.open(state) as pbx:
                yield pbx
        case "telegram":
            async with TelegramWorld.open(state, sandbox_key) as telegram:
                yield telegram
        case _:
            yield ScriptedWorld()
