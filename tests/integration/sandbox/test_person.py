"""The person who drives bots says clearly what he missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiogram import Bot

from gateway.sandbox.person import Chat, NothingHappenedError, Person
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.bots import api, buttons


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    async with api(sandbox, sandbox.create_bot("our_bot", "Our bot")) as bot:
        yield bot


@pytest.fixture
async def person(sandbox: Sandbox, ann: User) -> AsyncIterator[Person]:
    async with Person(sandbox.client(ann)) as person:
        yield person


@pytest.fixture
async def chat(person: Person, bot: Bot) -> Chat:
    """The chat with a bot that does what the test makes it do."""
    chat = await person.chat("our_bot")
    await chat.say("/start")
    return chat


async def test_a_silent_bot_is_complained_of(person: Person, chat: Chat) -> None:
    person.patience_s = 0.05
    with pytest.raises(NothingHappenedError, match="nothing came of 'hello'; on the screen:\nNone"):
        await chat.send("hello")
    with pytest.raises(NothingHappenedError, match="there is nothing"):
        await chat.screen()


async def test_what_is_on_the_screen_is_told_with_a_complaint(ann: User, bot: Bot, person: Person, chat: Chat) -> None:
    await bot.send_message(ann.id, "Menu", reply_markup=buttons({"Line 1": "1", "Line 2": "2"}))
    await chat.see("Menu")
    person.patience_s = 0.05
    with pytest.raises(NothingHappenedError, match=r"'Done' did not come; on the screen:\nMenu\n\[Line 1\] \[Line 2\]"):
        await chat.see("Done")
    with pytest.raises(NothingHappenedError, match="there is no button 'Line 3'"):
        await chat.press("Line 3")
    with pytest.raises(NothingHappenedError, match="there is more than one button 'Line'"):
        await chat.press("Line")
    with pytest.raises(NothingHappenedError, match="still there:\nMenu"):
        await chat.gone(await chat.screen())


async def test_an_edit_may_come_before_the_answer_or_after(ann: User, bot: Bot, chat: Chat) -> None:
    menu = await bot.send_message(ann.id, "Menu", reply_markup=buttons({"Go": "go"}))

    async def react(*, edit_first: bool, text: str) -> None:
        *_, update = await bot.get_updates(offset=-1, timeout=5)
        assert update.callback_query is not None
        if edit_first:
            await bot.edit_message_text(
                text, chat_id=ann.id, message_id=menu.message_id, reply_markup=menu.reply_markup
            )
        await update.callback_query.answer()
        if not edit_first:
            await bot.edit_message_text(
                text, chat_id=ann.id, message_id=menu.message_id, reply_markup=menu.reply_markup
            )

    await chat.see("Menu")
    await bot.delete_webhook(drop_pending_updates=True)
    for edit_first in (True, False):
        async with asyncio.TaskGroup() as group:
            group.create_task(react(edit_first=edit_first, text=f"first: {edit_first}"))
            assert (await chat.press("Go")).text == f"first: {edit_first}"
        await bot.delete_webhook(drop_pending_updates=True)


async def test_a_deleted_message_leaves_an_empty_screen(ann: User, bot: Bot, chat: Chat) -> None:
    menu = await bot.send_message(ann.id, "Menu", reply_markup=buttons({"Close": "close"}))
    await chat.see("Menu")
    await bot.delete_webhook(drop_pending_updates=True)

    async def react() -> None:
        [update] = await bot.get_updates(timeout=5)
        assert update.callback_query is not None
        await bot.delete_message(ann.id, menu.message_id)
        await update.callback_query.answer()

    async with asyncio.TaskGroup() as group:
        group.create_task(react())
        assert str(await chat.press("Close")) == ""
    assert chat.screens() == []
