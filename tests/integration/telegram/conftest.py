from __future__ import annotations

import pytest

from gateway.sandbox.server import Sandbox
from tests.integration.telegram.people import Town


@pytest.fixture
def town(sandbox: Sandbox) -> Town:
    return Town(sandbox)
