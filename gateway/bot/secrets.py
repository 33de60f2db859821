"""Messages with a password: each deletes itself after a time, however the gateway ends meanwhile."""

from __future__ import annotations

import asyncio

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError

from gateway.bot.memory import Conversations
from gateway.bot.screen import Screen, forget
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)


class Secrets:
    """What is to be deleted is kept before anybody waits for it."""

    def __init__(self, bot: Bot, conversations: Conversations, shown_s: float) -> None:
        self.shown_s = shown_s
        self._bot = bot
        self._conversations = conversations

    async def show(self, chat_id: int, screen: Screen) -> None:
        """Show it for its time, and delete it then; also when we are stopped before. Raises `TelegramAPIError`."""
        message = await self._bot.send_message(chat_id, screen.text, reply_markup=screen.keyboard, protect_content=True)
        try:
            await self._conversations.keep_secret(self._bot.id, chat_id, message.message_id)
            await asyncio.sleep(self.shown_s)
        finally:
            await asyncio.shield(self._delete(chat_id, message.message_id))

    async def delete_left_over(self) -> None:
        """Those that a former run did not come to delete. Raises `GatewayError`."""
        for chat_id, message_id in await self._conversations.secrets(self._bot.id):
            await self._delete(chat_id, message_id)

    async def _delete(self, chat_id: int, message_id: int) -> None:
        try:
            await forget(self._bot, chat_id, message_id)
            await self._conversations.forget_secret(self._bot.id, chat_id, message_id)
        except (TelegramAPIError, GatewayError) as failed:
            log.warning("message with a secret could not be deleted yet", chat=chat_id, reason=str(failed))
