"""What goes on by itself in a chat after the answer: a screen that follows what it shows, a secret that vanishes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiogram.exceptions import TelegramAPIError

from gateway.bot.screen import Menu, Screen
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

#: Whoever typed an address at which nobody is sees that happen, too: Asterisk waits 32 s for an answer (RFC 3261, timer
#: F). Later he presses "Refresh".
FOLLOW_S: Final = 60.0
LOOK_S: Final = 0.5


class Live:
    """The tasks of all chats, opened with `async with`. A chat has at most one that owns its menu."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._menus: dict[int, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (*self._menus.values(), *self._others):
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def own_menu(self, chat_id: int, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` edit the chat's menu until somebody else does. The one before must have been stopped."""
        task = self._group.create_task(self._guarded(work, chat_id), name=f"menu of {chat_id}")
        self._menus[chat_id] = task
        task.add_done_callback(lambda done: self._ended(chat_id, done))

    async def stop_menu(self, chat_id: int) -> None:
        """Return when nobody edits the menu any more."""
        task = self._menus.pop(chat_id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait({task})

    def release_menu(self, chat_id: int) -> None:
        """Said by the owner: what it does now is not to be stopped."""
        if (task := self._menus.pop(chat_id, None)) is not None:
            self._others.add(task)
            task.add_done_callback(self._others.discard)

    def spawn(self, work: Coroutine[Any, Any, None], chat_id: int) -> None:
        """Let something go on that has nothing to do with the menu."""
        task = self._group.create_task(self._guarded(work, chat_id), name=f"chat {chat_id}")
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _ended(self, chat_id: int, task: asyncio.Task[None]) -> None:
        if self._menus.get(chat_id) is task:
            del self._menus[chat_id]

    async def _guarded(self, work: Coroutine[Any, Any, None], chat_id: int) -> None:
        try:
            await work
        except (TelegramAPIError, GatewayError) as failed:
            log.info("a task of a chat ended", chat=chat_id, reason=str(failed))
        except Exception:
            log.exception("a task of a chat failed by a fault of ours", chat=chat_id)


async def follow(menu: Menu, draw: Callable[[], Screen], shown: Screen) -> None:
    """Redraw the menu for some time, whenever what it shows has changed."""
    loop = asyncio.get_running_loop()
    until = loop.time() + FOLLOW_S
    while loop.time() < until:
        await asyncio.sleep(LOOK_S)
        if (now := draw()) != shown:
            shown = now
            await menu.show(now)
