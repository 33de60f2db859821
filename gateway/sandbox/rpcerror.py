"""What Telegram answers when it refuses."""

from __future__ import annotations

from collections.abc import Callable


class RpcError(Exception):
    """A refusal, with Telegram's own code and name. Source: https://core.telegram.org/api/errors."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(f"{code} {name}")
        self.code = code
        self.name = name


class RememberedError(RpcError):
    """A refusal that leaves a trace, although refused requests change nothing."""

    def __init__(self, code: int, name: str, note: Callable[[], None]) -> None:
        super().__init__(code, name)
        self.note = note
