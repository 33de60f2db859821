from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from socket import SOCK_STREAM

import pytest
import pytest_asyncio

from gateway.sip.listen import free_port
from tests.integration.bot.town import Boss, Town, open_town


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The town lives in one event loop, and so do its tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "town" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def town(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Town]:
    """A gateway whose pages are reached on loopback."""
    port = free_port("127.0.0.1", SOCK_STREAM)
    pages = {"public_url": f"http://127.0.0.1:{port}", "pages_port": port}
    async with open_town(tmp_path_factory.mktemp("pages"), sandbox_key, web=pages) as town:
        yield town


@pytest_asyncio.fixture(loop_scope="package")
async def boss(town: Town) -> AsyncIterator[Boss]:
    async with town.boss() as opened:
        yield opened
