"""Updates that wait for their bot to ask for them.

Source: https://core.telegram.org/bots/api#getupdates.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from gateway.sandbox.botapi.refusal import ApiError
from gateway.sandbox.botapi.shown import JSON, Shown
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Telegram

SCHEMA: Final = """CREATE TABLE IF NOT EXISTS bot_updates (
    id INTEGER PRIMARY KEY AUTOINCREMENT, bot INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
)"""
MAX_UPDATES: Final = 100
MAX_WAIT_S: Final = 50


class Queue:
    """Every bot's updates, kept until it confirms them."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._world = telegram.world
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._world.sql(SCHEMA)
        telegram.cloud.listeners.append(self._heard)

    def close(self) -> None:
        """Let who waits go."""
        for bot in self._waiting:
            self._wake(bot)

    def _heard(self, user_id: int, updates: Sequence[TL]) -> None:
        if not self._world.user(user_id).is_bot:
            return
        allowed = self._telegram.cloud.profiles.of(user_id).allowed_updates
        for update in updates:
            shown = Shown(self._telegram, user_id).update(update)
            if shown and (allowed is None or shown[0] in allowed):
                kind, body = shown
                self._world.sql(
                    "INSERT INTO bot_updates (bot, kind, body) VALUES (?, ?, ?)", user_id, kind, json.dumps(body)
                )
                self._wake(user_id)

    def _wake(self, bot: int) -> None:
        waiting = self._waiting.get(bot)
        if waiting and not waiting.done():
            waiting.set_result(None)

    def pending(self, bot: int) -> int:
        ((count,),) = self._world.sql("SELECT count(*) FROM bot_updates WHERE bot = ?", bot)
        return int(count)

    def drop(self, bot: int) -> None:
        self._world.sql("DELETE FROM bot_updates WHERE bot = ?", bot)

    async def poll(self, bot: int, *, offset: int, limit: int, wait_s: float) -> list[JSON]:
        """Confirm what is older than `offset`, and answer what is not, waiting if there is none.

        Raises:
            ApiError: Another poll of the same bot began meanwhile.
        """
        self._confirm(bot, offset)
        earlier = self._waiting.pop(bot, None)
        if earlier and not earlier.done():
            earlier.set_exception(
                ApiError(
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
                )
            )
        found = self._next(bot, limit)
        if not found and wait_s > 0:
            await self._wait(bot, min(wait_s, MAX_WAIT_S))
            found = self._next(bot, limit)
        return found

    async def _wait(self, bot: int, wait_s: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[bot] = waiting
        try:
            async with asyncio.timeout(wait_s):
                await waiting
        except TimeoutError:
            pass
        finally:
            if self._waiting.get(bot) is waiting:
                del self._waiting[bot]

    def _confirm(self, bot: int, offset: int) -> None:
        if offset > 0:
            self._world.sql("DELETE FROM bot_updates WHERE bot = ? AND id < ?", bot, offset)
        elif offset < 0:
            self._world.sql(
                "DELETE FROM bot_updates WHERE bot = ? AND id NOT IN "
                "(SELECT id FROM bot_updates WHERE bot = ? ORDER BY id DESC LIMIT ?)",
                *(bot, bot, -offset),
            )

    def _next(self, bot: int, limit: int) -> list[dict[str, Any]]:
        rows = self._world.sql("SELECT id, kind, body FROM bot_updates WHERE bot = ? ORDER BY id LIMIT ?", bot, limit)
        return [{"update_id": number, kind: json.loads(body)} for number, kind, body in rows]
