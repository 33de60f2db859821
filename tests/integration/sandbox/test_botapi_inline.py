"""Buttons in the chat of two people: a user asks a bot inline and sends its answer; his friend presses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram import Bot, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    CallbackQuery,
    ChosenInlineResult,
    InlineQuery,
    InlineQueryResultArticle,
    InputTextMessageContent,
)
from telethon import TelegramClient, errors
from telethon.tl import functions

from gateway.sandbox.person import Person
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.bots import api, buttons, polling
from tests.integration.sandbox.phones import online


@pytest.fixture
def keypad_bot(sandbox: Sandbox) -> User:
    return sandbox.create_bot("keypad_bot", "Keypad", inline=True, inline_feedback=True)


@pytest.fixture
async def bot(sandbox: Sandbox, keypad_bot: User) -> AsyncIterator[Bot]:
    async with api(sandbox, keypad_bot) as bot:
        yield bot


def article(text: str, number: str = "1") -> InlineQueryResultArticle:
    return InlineQueryResultArticle(
        id=number,
        title="Keypad",
        input_message_content=InputTextMessageContent(message_text=text, parse_mode="HTML"),
        reply_markup=buttons({"1": "d1", "2": "d2"}),
    )


def keypad(pressed: asyncio.Queue[CallbackQuery], chosen: asyncio.Queue[ChosenInlineResult]) -> Router:
    """A bot that counts what is pressed."""
    router = Router()
    digits: list[str] = []

    @router.inline_query()
    async def asked(query: InlineQuery) -> None:
        await query.answer([article(f"<b>{query.query}</b>")], cache_time=0, is_personal=True)

    @router.chosen_inline_result()
    async def sent(result: ChosenInlineResult) -> None:
        chosen.put_nowait(result)

    @router.callback_query()
    async def press(query: CallbackQuery, bot: Bot) -> None:
        pressed.put_nowait(query)
        digits.append((query.data or "").removeprefix("d"))
        await bot.edit_message_text(
            "dialled " + "".join(digits),
            inline_message_id=query.inline_message_id,
            reply_markup=buttons({"1": "d1", "2": "d2"}),
        )
        await query.answer()

    return router


async def ask(client: TelegramClient, peer: Any, query: str) -> Any:
    """As the gateway does it, with raw methods."""
    bot = await client.get_input_entity("keypad_bot")
    return await client(functions.messages.GetInlineBotResultsRequest(bot, peer, query, ""))


async def test_a_keypad_is_posted_pressed_edited_and_deleted(
    sandbox: Sandbox, ann: User, bob: User, keypad_bot: User, bot: Bot
) -> None:
    pressed: asyncio.Queue[CallbackQuery] = asyncio.Queue()
    chosen: asyncio.Queue[ChosenInlineResult] = asyncio.Queue()
    async with (
        polling(bot, keypad(pressed, chosen)),
        online(sandbox, ann) as session,
        Person(sandbox.client(bob)) as caller,
    ):
        peer = await session.client.get_input_entity("bob")
        offered = await ask(session.client, peer, "call 7")
        posted = await session.client(
            functions.messages.SendInlineBotResultRequest(peer, offered.query_id, offered.results[0].id)
        )
        [message] = [update.message for update in posted.updates if hasattr(update, "message")]
        assert (message.message, message.via_bot_id) == ("call 7", keypad_bot.id)
        # The bot knows the message before the first press, and nothing of the chat.
        result = await asyncio.wait_for(chosen.get(), 5)
        assert (result.from_user.id, result.query) == (ann.id, "call 7")
        sandbox.send_message(ann, bob, "press!")
        chat = await caller.chat(ann.id)
        screen = next(screen for screen in chat.screens() if screen.labels)
        assert (await chat.press("1", on=screen)).text == "dialled 1"
        press = await asyncio.wait_for(pressed.get(), 5)
        assert (press.from_user.id, press.data, press.message) == (bob.id, "d1", None)
        assert press.inline_message_id == result.inline_message_id
        assert (await chat.press("2")).text == "dialled 12"
        kept = await session.client.get_messages(peer, ids=message.id)
        assert kept.message == "dialled 12"
        await session.client.delete_messages(peer, [message.id], revoke=True)
        await chat.gone(screen)
        assert press.inline_message_id is not None
        with pytest.raises(TelegramBadRequest, match="MESSAGE_ID_INVALID"):
            await bot.edit_message_text("too late", inline_message_id=press.inline_message_id)


async def test_inline_messages_are_refused_as_telegram_does(
    sandbox: Sandbox, ann: User, bob: User, keypad_bot: User, bot: Bot
) -> None:
    async with online(sandbox, ann) as session:
        peer = await session.client.get_input_entity("bob")
        sandbox.set_inline(keypad_bot, inline=False, feedback=False)
        with pytest.raises(errors.BotInlineDisabledError):
            await ask(session.client, peer, "x")
        sandbox.set_inline(keypad_bot, inline=True, feedback=False)
        sandbox.settings.bot_answer_s = 0.05
        with pytest.raises(errors.BotResponseTimeoutError):
            await ask(session.client, peer, "x")
        [late] = await bot.get_updates()
        assert late.inline_query is not None
        with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired"):
            await bot.answer_inline_query(late.inline_query.id, [article("x")])
        with pytest.raises(errors.InlineResultExpiredError):
            await session.client(functions.messages.SendInlineBotResultRequest(peer, 7, "1"))
    with pytest.raises(TelegramBadRequest, match="MESSAGE_ID_INVALID"):
        # Well formed, of no message.
        await bot.edit_message_text("x", inline_message_id="AgAAAAEAAAAAAAAAAQAAAAEAAAAAAAAA")


async def test_an_answer_that_is_not_personal_is_given_to_others_too(
    sandbox: Sandbox, ann: User, bob: User, keypad_bot: User, bot: Bot
) -> None:
    """What a bot that forgets `is_personal` or `cache_time` gives away."""
    asked: list[int] = []
    router = Router()

    @router.inline_query()
    async def answer(query: InlineQuery) -> None:
        asked.append(query.from_user.id)
        await query.answer(
            [article(f"for {query.from_user.first_name}")],
            cache_time=0 if query.query == "fresh" else 300,
            is_personal=query.query == "personal",
        )

    async with polling(bot, router), online(sandbox, ann) as anns, online(sandbox, bob) as bobs:

        async def texts(query: str) -> list[str]:
            offers = [
                await ask(phone.client, await phone.client.get_input_entity("me"), query) for phone in (anns, bobs)
            ]
            return [offer.results[0].send_message.message for offer in offers]

        assert await texts("shared") == ["for Ann", "for Ann"]
        assert await texts("personal") == ["for Ann", "for Bob"]
        assert await texts("fresh") == ["for Ann", "for Bob"]
        assert asked == [ann.id, ann.id, bob.id, ann.id, bob.id]


async def test_another_bot_cannot_touch_an_inline_message(
    sandbox: Sandbox, ann: User, bob: User, keypad_bot: User, bot: Bot
) -> None:
    pressed: asyncio.Queue[CallbackQuery] = asyncio.Queue()
    chosen: asyncio.Queue[ChosenInlineResult] = asyncio.Queue()
    stranger = sandbox.create_bot("stranger_bot")
    async with polling(bot, keypad(pressed, chosen)), online(sandbox, ann) as session, api(sandbox, stranger) as other:
        peer = await session.client.get_input_entity("bob")
        offered = await ask(session.client, peer, "call")
        await session.client(functions.messages.SendInlineBotResultRequest(peer, offered.query_id, "1"))
        named = (await asyncio.wait_for(chosen.get(), 5)).inline_message_id
        assert named is not None
        with pytest.raises(TelegramBadRequest, match="MESSAGE_ID_INVALID"):
            await other.edit_message_text("mine", inline_message_id=named)
        assert await bot.edit_message_reply_markup(inline_message_id=named) is True
        with pytest.raises(TelegramBadRequest, match="message is not modified"):
            await bot.edit_message_reply_markup(inline_message_id=named)
