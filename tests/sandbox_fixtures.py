"""A local Telegram for tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sandbox.mtproto import ServerKey
from gateway.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def sandbox_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One RSA key for all sandboxes of a run: making one takes longer than most tests."""
    folder = tmp_path_factory.mktemp("key")
    ServerKey.kept_in(folder)
    return folder / "server_key.pem"


@pytest.fixture
def sandbox_state(tmp_path: Path, sandbox_key: Path) -> Path:
    """A state folder without any users yet."""
    state = tmp_path / "sandbox"
    state.mkdir()
    shutil.copy(sandbox_key, state)
    return state


@pytest.fixture
async def sandbox(sandbox_state: Path) -> AsyncIterator[Sandbox]:
    """A sandbox, empty. The test fails if a handler of the sandbox did."""
    async with Sandbox(sandbox_state) as opened:
        yield opened
