"""The whole gateway between a local Telegram and a local phone, opened once for a file of tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.demo.world import open_world
from tests.e2e.stage import Stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The world of a file lives in one event loop, and so do its tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "stage" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[None])
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path
) -> AsyncIterator[Stage]:
    """Files that ask for an engine, or both, parametrize this fixture; the others take what `--engine` says."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "telegram").mkdir()
    shutil.copy(sandbox_key, folder / "telegram")
    slices = {
        "media": {"engine": request.param or request.config.getoption("--engine")},
        "call": {"answer_s": 20},
        "web": {"metrics_port": 0},
    }
    async with open_world(folder, **slices) as world:
        yield Stage(world)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(opened: Stage) -> Stage:
    """The stage, once what earlier tests did on it is over."""
    await opened.nothing_left()
    return opened


@pytest.fixture
def our_engine_first(request: pytest.FixtureRequest) -> None:
    """For what only our own engine does, or knows of a call."""
    if request.config.getoption("--engine") == "ntgcalls":
        pytest.skip("this is about our own engine")
