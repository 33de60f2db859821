from __future__ import annotations

import gateway.bot.face  # noqa: F401  isort: skip  # before any of its rooms, as the gateway does: aiogram stays lean

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.bot.town import Boss, Town, open_town


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The town lives in one event loop, and so do its tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "town" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def town(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Town]:
    """One for all tests of the bot: everybody in them is somebody else."""
    slices = {"bot": {"secret_shown_s": 1.5}, "control": {"line_settle_s": 0.2}}
    async with open_town(tmp_path_factory.mktemp("town"), sandbox_key, **slices) as town:
        yield town


@pytest_asyncio.fixture(loop_scope="package")
async def boss(town: Town) -> AsyncIterator[Boss]:
    async with town.boss() as opened:
        yield opened
