from __future__ import annotations

import gateway.bot.face  # noqa: F401  isort: skip  # before any of its rooms, as the gateway does: aiogram stays lean

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app import Gateway
from gateway.demo.world import settings_for
from gateway.sandbox.server import Sandbox
from tests.integration.bot.town import BOT, Boss, Town


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The town lives in one event loop, and so do its tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "town" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def town(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Town]:
    """One for all tests of the bot: everybody in them is somebody else."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "telegram").mkdir()
    shutil.copy(sandbox_key, folder / "telegram")
    async with Sandbox(folder / "telegram") as sandbox:
        bot = sandbox.create_bot(BOT, "SIP gateway")
        slices: dict[str, dict[str, Any]] = {
            "bot": {"token": bot.bot_token, "api_url": sandbox.bot_api_url, "secret_shown_s": 1.5},
            "control": {"administrators": "anyone", "line_settle_s": 0.2},
        }
        async with Gateway(settings_for(sandbox, folder / "gateway", **slices)) as gateway:
            yield Town(sandbox, gateway, bot)


@pytest_asyncio.fixture(loop_scope="package")
async def boss(town: Town) -> AsyncIterator[Boss]:
    async with town.boss() as opened:
        yield opened
