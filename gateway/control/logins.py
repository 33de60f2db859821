"""Login conversations that administrators hold with Telegram through us: in memory alone, one for each of them.

A restart forgets them, and so does time: nothing of a login that was not finished is kept here, or left at Telegram.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.control.asking import Administrator
from gateway.telegram.login import CodeSent, Login, PasswordNeeded, QrShown, RecoverySent, Refusal, Refused, Step
from gateway.telegram.model import LoggedIn

__all__ = [
    "CodeSent",
    "LoggedIn",
    "Login",
    "Logins",
    "PasswordNeeded",
    "QrShown",
    "RecoverySent",
    "Refusal",
    "Refused",
    "Step",
]

log = structlog.get_logger(__name__)

#: Telegram's codes live for some minutes; who takes longer begins again.
FORGET_S: Final = 600.0


class Logins:
    """Opened with `async with`; at its end all are given up.

    Args:
        make: Makes a conversation that is not open yet.
        forget_s: How long one may last.
    """

    def __init__(self, make: Callable[[], Login], forget_s: float = FORGET_S) -> None:
        self._make = make
        self._forget_s = forget_s
        self._held: dict[int, tuple[Login, asyncio.TimerHandle]] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.gather(*(self._end(administrator) for administrator in tuple(self._held)))
        finally:
            await self._tasks.__aexit__(None, None, None)

    async def begin(self, asker: Administrator) -> Login:
        """Begin a conversation; the one he held before is given up. Raises `SettingsError`."""
        await self._end(asker.id)
        login = await self._make().__aenter__()
        self._held[asker.id] = login, self._timer(asker.id)
        return login

    def of(self, asker: Administrator) -> Login | None:
        """The one that he holds now."""
        held = self._held.get(asker.id)
        return held[0] if held else None

    def prolong(self, asker: Administrator) -> None:
        """Count the time anew: what is wanted from him now takes its own."""
        if (held := self._held.get(asker.id)) is not None:
            login, timer = held
            timer.cancel()
            self._held[asker.id] = login, self._timer(asker.id)

    async def end(self, asker: Administrator) -> None:
        """Finished, or given up."""
        await self._end(asker.id)

    def _timer(self, administrator: int) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._forget_s, self._forget, administrator)

    def _forget(self, administrator: int) -> None:
        log.info("login conversation was given up", administrator=administrator)
        self._tasks.create_task(self._end(administrator), name=f"give up the login of {administrator}")

    async def _end(self, administrator: int) -> None:
        held = self._held.pop(administrator, None)
        if held is not None:
            login, timer = held
            timer.cancel()
            await login.__aexit__(None, None, None)
