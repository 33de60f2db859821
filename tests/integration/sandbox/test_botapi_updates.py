"""How a bot hears, and what it says of itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramConflictError, TelegramNetworkError
from aiogram.types import (
    BotCommand,
    BotCommandScopeChat,
    MenuButtonWebApp,
    WebAppInfo,
)
from telethon.tl import functions, types

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.bots import api
from tests.integration.sandbox.phones import online


async def texts(bot: Bot, offset: int | None = None) -> list[str | None]:
    updates = await bot.get_updates(offset=offset)
    return [update.message.text for update in updates if update.message]


async def test_updates_stay_until_they_are_confirmed(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    for text in ("one", "two", "three"):
        sandbox.send_message(ann, our_bot, text)
    first, *_ = await bot.get_updates()
    assert await texts(bot) == ["one", "two", "three"]
    assert await texts(bot, first.update_id + 1) == ["two", "three"]
    assert await texts(bot, -1) == ["three"]
    assert (await bot.get_webhook_info()).pending_update_count == 1
    await bot.delete_webhook(drop_pending_updates=True)
    assert await texts(bot) == []


async def test_a_long_poll_ends_with_the_first_update(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=10))
    await bot.get_me()
    sandbox.send_message(ann, our_bot, "now")
    [update] = await asyncio.wait_for(poll, 2)
    assert update.message is not None
    assert update.message.text == "now"
    assert await bot.get_updates(offset=update.update_id + 1, allowed_updates=["callback_query"]) == []
    # What was not asked for is not kept.
    sandbox.send_message(ann, our_bot, "unheard")
    assert await texts(bot) == []


async def test_the_second_of_two_polls_ends_the_first(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=10))
    await bot.get_me()
    second = asyncio.create_task(bot.get_updates(timeout=10))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await first
    sandbox.send_message(ann, our_bot, "for the second")
    assert len(await second) == 1


async def test_a_bot_that_was_killed_takes_no_updates_with_it(
    sandbox: Sandbox, ann: User, our_bot: User, bot: Bot
) -> None:
    async with api(sandbox, our_bot) as killed:
        poll = asyncio.create_task(killed.get_updates(timeout=50))
        await bot.get_me()
    with pytest.raises(TelegramNetworkError):
        await poll
    again = asyncio.create_task(bot.get_updates(timeout=50))
    await bot.get_me()
    sandbox.send_message(ann, our_bot, "still there?")
    assert [update.message.text for update in await again if update.message] == ["still there?"]


async def test_webhooks_are_refused(bot: Bot) -> None:
    with pytest.raises(TelegramBadRequest, match="bad webhook"):
        await bot.set_webhook("https://example.org/hook")
    assert (await bot.get_webhook_info()).url == ""


async def test_what_a_bot_was_sent_outlives_the_sandbox(sandbox_state: Path) -> None:
    async with Sandbox(sandbox_state) as before:
        ann = before.create_user("+15550001")
        our_bot = before.create_bot("our_bot", inline=True)
        before.send_message(ann, our_bot, "remember")
    async with Sandbox(sandbox_state) as after, api(after, our_bot) as bot:
        assert await texts(bot) == ["remember"]
        assert (await bot.get_me()).supports_inline_queries
        await bot.send_message(ann.id, "I do")


async def test_a_sandbox_ends_while_a_bot_polls(sandbox_state: Path) -> None:
    async with Sandbox(sandbox_state) as sandbox:
        bot = sandbox.create_bot("our_bot")
        async with api(sandbox, bot) as caller:
            poll = asyncio.create_task(caller.get_updates(timeout=50))
            await caller.get_me()
            async with asyncio.timeout(3):
                await sandbox.__aexit__(None, None, None)
                assert await poll == []
            await sandbox.__aenter__()


async def test_users_are_told_what_a_bot_says_of_itself(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    sandbox.send_message(ann, our_bot, "/start")
    me = await bot.get_me()
    assert (me.username, me.supports_inline_queries) == ("our_bot", False)
    await bot.set_my_commands([BotCommand(command="gateway", description="Sessions")])
    await bot.set_my_commands([BotCommand(command="gateway", description="Сессии")], language_code="ru")
    await bot.set_my_commands(
        [BotCommand(command="only", description="Ann's")], scope=BotCommandScopeChat(chat_id=ann.id)
    )
    await bot.set_my_description("A gateway")
    await bot.set_my_description("Шлюз", language_code="ru")
    await bot.set_my_short_description("Short")
    assert (await bot.get_my_description(language_code="ru")).description == "Шлюз"
    assert (await bot.get_my_description(language_code="de")).description == "A gateway"
    assert (await bot.get_my_short_description()).short_description == "Short"
    assert (await bot.get_my_name()).name == "Our bot"
    app = MenuButtonWebApp(text="Open", web_app=WebAppInfo(url="https://example.org"))
    await bot.set_chat_menu_button(menu_button=app)
    assert (await bot.get_chat_menu_button()).type == "web_app"
    async with online(sandbox, ann, lang_code="ru") as phone:
        full = (await phone.client(functions.users.GetFullUserRequest("our_bot"))).full_user.bot_info
        assert [command.command for command in full.commands] == ["only"]
        await bot.delete_my_commands(scope=BotCommandScopeChat(chat_id=ann.id))
        full = (await phone.client(functions.users.GetFullUserRequest("our_bot"))).full_user.bot_info
        assert [command.description for command in full.commands] == ["Сессии"]
        assert full.description == "Шлюз"
        assert isinstance(full.menu_button, types.BotMenuButton)
    assert [command.description for command in await bot.get_my_commands()] == ["Sessions"]
    with pytest.raises(TelegramBadRequest, match="BOT_COMMAND_INVALID"):
        await bot.set_my_commands([BotCommand(command="Not-good", description="x")])
    assert (await bot.get_chat(ann.id)).first_name == "Ann"


async def test_bots_are_made_over_http(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(sandbox.control_url) as http:
        made = await (await http.post("/users", json={"bot": True, "username": "new_bot", "inline": True})).json()
        assert (await (await http.get("/")).json())["bot_api"] == sandbox.bot_api_url
        user = sandbox.telegram.world.user(made["id"])
        async with api(sandbox, user) as bot:
            assert bot.token == made["token"]
            assert (await bot.get_me()).supports_inline_queries
            await http.patch("/bots/new_bot", json={"inline": False})
            assert not (await bot.get_me()).supports_inline_queries
