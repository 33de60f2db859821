"""What an operator's shell has set beside a sandbox."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.sandbox.server import Sandbox


def environment_beside(sandbox: Sandbox, state: Path, **settings: str) -> dict[str, str]:
    """Of a gateway that knows no Telegram but this one, and takes calls on free ports of loopback."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIPTG_TEL")},
        "SIPTG_STATE": str(state),
        "SIPTG_TELEGRAM__API_ID": "1",
        "SIPTG_TELEGRAM__API_HASH": "0" * 32,
        "SIPTG_TELEGRAM__SERVER": sandbox.server,
        "SIPTG_TELEGRAM__KEY_FILE": str(sandbox.key_file),
        "SIPTG_ASTERISK__BIND": "127.0.0.1",
        "SIPTG_ASTERISK__UDP_PORT": "0",
        "SIPTG_ASTERISK__TCP_PORT": "0",
        "SIPTG_ASTERISK__TLS_PORT": "0",
        **settings,
    }
