"""Bots as tests want them: unmodified aiogram, pointed at the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiogram import Bot, Dispatcher, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User


@contextlib.asynccontextmanager
async def api(sandbox: Sandbox, user: User) -> AsyncIterator[Bot]:
    """The bot's own calls, without anybody who listens."""
    assert user.bot_token is not None
    session = AiohttpSession(api=TelegramAPIServer.from_base(sandbox.bot_api_url))
    bot = Bot(user.bot_token, session=session)
    try:
        yield bot
    finally:
        # aiogram's own way sleeps a quarter of a second, for the sake of TLS.
        await (await session.create_session()).close()


@contextlib.asynccontextmanager
async def polling(bot: Bot, router: Router) -> AsyncIterator[None]:
    """Let the router answer what the bot is told, until the end."""
    dispatcher = Dispatcher()
    dispatcher.include_router(router)
    async with asyncio.TaskGroup() as group:
        group.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
        try:
            yield
        finally:
            await dispatcher.stop_polling()


def buttons(*rows: dict[str, str]) -> InlineKeyboardMarkup:
    """A keyboard: in each row the data of the buttons by their labels."""
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [InlineKeyboardButton(text=label, callback_data=data) for label, data in row.items()] for row in rows
        ]
    )
