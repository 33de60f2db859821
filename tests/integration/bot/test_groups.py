"""The bot lives in private chats. In groups, channels and inline it says nothing, not even that it is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiogram import Bot
from aiogram.methods import GetUpdates, SetMyCommands, TelegramMethod
from aiogram.types import Update
from telethon.errors import BotInlineDisabledError
from telethon.tl import functions, types

from gateway.bot.face import AdministratorBot
from gateway.sandbox.world import User
from tests.integration.bot.test_face import another
from tests.integration.bot.town import Boss, Town


@dataclass
class Watched:
    """A bot whose every word is noted."""

    user: User
    face: AdministratorBot
    said: list[TelegramMethod[Any]]

    async def hears(self, kind: str, **update: Any) -> None:
        """Be told something that Telegram could tell; returns once it is dealt with."""
        told = Update.model_validate({"update_id": 1, kind: update})
        await self.face._dispatcher.feed_update(self.face.bot, told)


@pytest_asyncio.fixture(loop_scope="package")
async def watched(town: Town, boss: Boss) -> AsyncIterator[Watched]:
    user = town.sandbox.create_bot(f"watched_{boss.user.id}_bot")
    assert user.bot_token is not None
    said: list[TelegramMethod[Any]] = []

    async def note(make_request: Any, bot: Bot, method: TelegramMethod[Any]) -> Any:
        if not isinstance(method, GetUpdates | SetMyCommands):
            said.append(method)
        return await make_request(bot, method)

    async with another(town, user.bot_token) as face:
        face.bot.session.middleware(note)
        yield Watched(user, face, said)


async def test_in_a_group_it_is_silent_and_shows_nobody_s_things(town: Town, boss: Boss, watched: Watched) -> None:
    await town.session(boss, "Topsecret")
    client = boss.person.client
    name = watched.user.username
    bot = await client.get_input_entity(name)
    made = await client(functions.messages.CreateChatRequest([bot], "Office"))
    group = types.InputPeerChat(made.updates.chats[0].id)
    for text in ("/start", f"/start@{name}", "/gateway", "/lines", "/calls", "/why", "/help", "/language", "hello"):
        await client.send_message(group, text)
    # In his own chat he is answered all the same; by then the group's messages were dealt with.
    chat = await boss.person.chat(name)
    assert "Topsecret" in str(await chat.send("/gateway"))
    assert [(type(method).__name__, getattr(method, "chat_id", None)) for method in watched.said] == [
        ("SendMessage", boss.user.id)
    ]
    world = town.sandbox.telegram.world
    assert world.messages("owner = ? AND peer = ? AND NOT outgoing", boss.user.id, -group.chat_id) == []


@pytest.mark.parametrize("kind", ["group", "supergroup", "channel"])
async def test_no_press_or_message_from_elsewhere_than_a_private_chat_is_answered(
    boss: Boss, watched: Watched, kind: str
) -> None:
    person = {"id": boss.user.id, "is_bot": False, "first_name": "Boss"}
    message = {"message_id": 5, "date": 0, "chat": {"id": -100123, "type": kind, "title": "Office"}, "text": "/gateway"}
    for data in ("to:home:0", "to:sessions:0", "w:begin", "s:1:0", "k:1", "x"):
        press = {"id": "9", "from": person, "chat_instance": "1", "data": data}
        await watched.hears("callback_query", **press, message=message)
        await watched.hears("callback_query", **press, inline_message_id="abc")
        await watched.hears("callback_query", **press)
    await watched.hears("message", **message, **{"from": person})
    await watched.hears("edited_message", **message, edit_date=1, **{"from": person})
    await watched.hears("channel_post", **message)
    await watched.hears("inline_query", id="1", query="x", offset="", **{"from": person})
    assert watched.said == []


async def test_it_asks_telegram_for_messages_and_presses_alone(town: Town, boss: Boss) -> None:
    with pytest.raises(BotInlineDisabledError):  # nobody enabled it at @BotFather, and it would not answer
        await boss.person.client(
            functions.messages.GetInlineBotResultsRequest("siptg_bot", types.InputPeerSelf(), "lines", "")
        )
    assert town.sandbox.telegram.cloud.profiles.of(town.bot.id).allowed_updates == ["callback_query", "message"]
