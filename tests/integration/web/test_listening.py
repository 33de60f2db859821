from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.demo.world import settings_for
from gateway.errors import GatewayError
from gateway.sandbox.server import Sandbox


async def test_a_port_that_is_taken_ends_the_start_with_a_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = settings_for(sandbox, tmp_path, web={"metrics_port": port})
        with pytest.raises((GatewayError, ExceptionGroup)) as raised:
            async with Gateway(settings):
                pass
    assert f"Port {port} of 127.0.0.1" in str(raised.getrepr())
    assert "SIPTG_WEB__METRICS_PORT" in str(raised.getrepr())
