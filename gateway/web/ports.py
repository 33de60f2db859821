"""Ports that are to be listened at."""

from __future__ import annotations

import socket
from typing import NoReturn

from gateway.errors import SettingsError


def check_free(host: str, port: int, setting: str) -> None:
    """Raises `SettingsError` where a port, which `setting` names, is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        refuse(host, port, setting, error)


def refuse(host: str, port: int, setting: str, error: OSError) -> NoReturn:
    """Raise the same where listening itself failed."""
    raise SettingsError(
        f"Port {port} of {host} can't be listened at ({error.strerror or error}); choose another one with "
        f"SIPTG_WEB__{setting}."
    ) from error
