"""What the Bot API refuses, in Telegram's own words; and faults that are made on purpose."""

from __future__ import annotations

import asyncio
import functools

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendDice
from aiogram.types import BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup
from telethon.tl import functions

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.bots import buttons
from tests.integration.sandbox.phones import online


@pytest.fixture
def started(sandbox: Sandbox, ann: User, our_bot: User) -> None:
    sandbox.send_message(ann, our_bot, "/start")


async def test_a_bot_writes_only_to_those_who_wrote_to_it(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    with pytest.raises(TelegramBadRequest, match="Bad Request: chat not found"):
        await bot.send_message(ann.id, "hello")
    sandbox.set_inline(our_bot, inline=True, feedback=False)
    async with online(sandbox, ann) as phone:
        # Whom it met by an inline query only is no stranger any more, and may not be written to either.
        asking = asyncio.create_task(phone.client.inline_query("our_bot", "x"))
        [query] = await bot.get_updates(timeout=5)
        assert query.inline_query is not None
        with pytest.raises(TelegramForbiddenError, match="Forbidden: bot can't initiate conversation with a user"):
            await bot.send_message(ann.id, "hello")
        await bot.answer_inline_query(query.inline_query.id, [])
        await asking
        await phone.client.send_message("our_bot", "/start")
    assert (await bot.send_message(ann.id, "hello")).chat.first_name == "Ann"


@pytest.mark.usefixtures("started")
async def test_a_blocked_bot_is_told_and_refused(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    async with online(sandbox, ann) as phone:
        peer = await phone.client.get_input_entity("our_bot")
        await phone.client(functions.contacts.BlockRequest(peer))
        with pytest.raises(TelegramForbiddenError, match="Forbidden: bot was blocked by the user"):
            await bot.send_message(ann.id, "hello")
        await phone.client(functions.contacts.UnblockRequest(peer))
    await bot.send_message(ann.id, "hello")
    members = [update.my_chat_member for update in await bot.get_updates() if update.my_chat_member]
    assert [(member.old_chat_member.status, member.new_chat_member.status) for member in members] == [
        ("member", "kicked"),
        ("kicked", "member"),
    ]
    sandbox.ban(ann)
    with pytest.raises(TelegramForbiddenError, match="Forbidden: user is deactivated"):
        await bot.send_message(ann.id, "hello")


@pytest.mark.usefixtures("started")
async def test_an_edit_must_change_something_that_is_there(sandbox: Sandbox, ann: User, bot: Bot) -> None:
    sent = await bot.send_message(ann.id, "<b>one</b>", parse_mode="HTML", reply_markup=buttons({"Go": "go"}))
    edit = functools.partial(bot.edit_message_text, chat_id=ann.id, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message is not modified: specified new message content and reply"):
        await edit("<b>one</b>", parse_mode="HTML", reply_markup=buttons({"Go": "go"}))
    # Only the keyboard, only an entity: these are changes.
    await edit("<b>one</b>", parse_mode="HTML")
    await edit("<i>one</i>", parse_mode="HTML")
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.edit_message_text("two", chat_id=ann.id, message_id=999)
    with pytest.raises(TelegramBadRequest, match="message can't be edited"):
        await bot.edit_message_text("two", chat_id=ann.id, message_id=1)
    with pytest.raises(TelegramBadRequest, match="there is no caption in the message to edit"):
        await bot.edit_message_caption(chat_id=ann.id, message_id=sent.message_id, caption="two")
    await bot.delete_message(ann.id, sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await edit("two")
    with pytest.raises(TelegramBadRequest, match="message to delete not found"):
        await bot.delete_message(ann.id, sent.message_id)
    old = await bot.send_message(ann.id, "old")
    sandbox.settings.clock_offset_s = 49 * 3600
    with pytest.raises(TelegramBadRequest, match="message can't be deleted for everyone"):
        await bot.delete_message(ann.id, old.message_id)


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<b>bold", r"can't parse entities: Can't find end tag corresponding to start tag \"b\""),
        ("1 < 2", r"can't parse entities: Unsupported start tag \"\" at byte offset 2"),
        ("<b>x</i>", r"Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ("<tel>x</tel>", r"Unsupported start tag \"tel\" at byte offset 0"),
        (" <b> </b> ", "text must be non-empty"),
        ("x" * 4097, "message is too long"),
    ],
)
async def test_text_is_refused_as_telegram_does(ann: User, bot: Bot, text: str, complaint: str) -> None:
    with pytest.raises(TelegramBadRequest, match=complaint):
        await bot.send_message(ann.id, text, parse_mode="HTML")


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("button", "complaint"),
    [
        ({"text": "x", "callback_data": "я" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "x"}, "Text buttons are unallowed in the inline keyboard"),
        ({"text": " ", "callback_data": "x"}, "inline keyboard button text must be non-empty"),
        ({"text": "x", "url": "http://localhost/"}, "inline keyboard button URL 'http://localhost/' is invalid"),
    ],
)
async def test_a_button_is_refused_as_telegram_does(
    ann: User, bot: Bot, button: dict[str, str], complaint: str
) -> None:
    keyboard = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton.model_validate(button)]])
    with pytest.raises(TelegramBadRequest, match=complaint):
        await bot.send_message(ann.id, "x", reply_markup=keyboard)


@pytest.mark.usefixtures("started")
async def test_what_is_no_picture_is_refused(ann: User, bot: Bot) -> None:
    with pytest.raises(TelegramBadRequest, match="IMAGE_PROCESS_FAILED"):
        await bot.send_photo(ann.id, BufferedInputFile(b"no picture", "qr.png"))
    with pytest.raises(TelegramBadRequest, match="wrong file identifier/HTTP URL specified"):
        await bot.send_photo(ann.id, "AgACAgIAAx")


@pytest.mark.usefixtures("started")
async def test_a_press_is_answered_by_a_known_id_alone(ann: User, bot: Bot) -> None:
    with pytest.raises(
        TelegramBadRequest, match="query is too old and response timeout expired or query ID is invalid"
    ):
        await bot.answer_callback_query("12345", "hello")


async def test_a_wrong_token_and_an_unknown_method_are_refused(sandbox: Sandbox, our_bot: User, bot: Bot) -> None:
    async with Bot("1:wrong", session=bot.session).context(auto_close=False) as stranger:
        with pytest.raises(TelegramUnauthorizedError, match="Unauthorized"):
            await stranger.get_me()
    with pytest.raises(TelegramNotFound, match="Not Found: method not found"):
        await bot(SendDice(chat_id=1))


@pytest.mark.usefixtures("started")
async def test_who_writes_too_fast_has_to_wait(sandbox: Sandbox, ann: User, bot: Bot) -> None:
    sandbox.settings.bot_chat_rate, sandbox.settings.bot_chat_burst = 0.5, 3
    for number in range(3):
        await bot.send_message(ann.id, str(number))
    with pytest.raises(TelegramRetryAfter, match="Flood control exceeded") as refused:
        await bot.send_message(ann.id, "3")
    assert refused.value.retry_after == 2
    sandbox.settings.clock_offset_s = 2
    await bot.send_message(ann.id, "3")


@pytest.mark.usefixtures("started")
async def test_faults_are_made_in_methods_of_bots(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    sandbox.fault("bot.send*", error="420 FLOOD_WAIT_30", times=1)
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.send_message(ann.id, "one")
    assert refused.value.retry_after == 30
    sandbox.fault("bot.sendMessage", error="500 INTERNAL", times=1)
    with pytest.raises(TelegramServerError):
        await bot.send_message(ann.id, "two")
    sandbox.fault("bot.sendMessage", error="400 USER_IS_BLOCKED", user=our_bot.id, times=1)
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(ann.id, "three")
    sandbox.fault("bot.sendMessage", kind="drop", times=1)
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ann.id, "four")
    sandbox.fault("bot.sendMessage", kind="drop_after", times=1)
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ann.id, "five")
    sandbox.fault("bot.sendMessage", kind="hang", times=1)
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ann.id, "six", request_timeout=1)
    sandbox.fault("bot.sendMessage", kind="delay", delay_s=0.05, times=1)
    await bot.send_message(ann.id, "seven")
    # Of those that failed only one was done.
    kept = sandbox.telegram.world.messages("owner = ?", ann.id)
    assert [copy.message.message for copy in reversed(kept)] == ["/start", "five", "seven"]


async def test_arguments_come_in_any_of_four_ways(sandbox: Sandbox, ann: User, our_bot: User) -> None:
    sandbox.send_message(ann, our_bot, "/start")
    url = f"{sandbox.bot_api_url}/bot{our_bot.bot_token}/SENDMESSAGE"
    arguments = {"chat_id": str(ann.id), "text": "hello"}
    form = aiohttp.FormData(arguments, default_to_multipart=True)
    async with aiohttp.ClientSession() as http:
        answers = [
            await http.get(url, params=arguments),
            await http.post(url, data=arguments),
            await http.post(url, data=form),
            await http.post(url, json=arguments),
        ]
        assert [(await answer.json())["result"]["text"] for answer in answers] == ["hello"] * 4
        assert (await (await http.post(url, json={})).json()) == {
            "ok": False,
            "error_code": 400,
            "description": "Bad Request: message text is empty",
        }
