"""The state folder has one owner at a time: a running gateway, or a command that works on the store itself."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError

LOCK: Final = "owner.lock"


class OwnedError(GatewayError):
    """Another process owns the state folder now."""


@contextmanager
def own(state: Path) -> Iterator[None]:
    """Own the state folder for as long as the block lasts; the kernel lets go of it when the process dies.

    Raises:
        OwnedError: Another process owns it.
        GatewayError: The folder can't be used.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state / LOCK).open("w")
    except OSError as error:
        raise GatewayError(f"The state folder {state} can't be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OwnedError(f"Another gateway works with the state folder {state}.") from None
        yield
