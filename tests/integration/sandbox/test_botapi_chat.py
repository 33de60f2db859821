"""An unmodified aiogram bot and an unmodified Telethon user in a chat."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
import segno
from aiogram import Bot, F, Router
from aiogram.enums import ChatAction
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import (
    BufferedInputFile,
    CallbackQuery,
    ForceReply,
    InputMediaPhoto,
    KeyboardButton,
    Message,
    ReplyKeyboardMarkup,
)
from telethon import events
from telethon.tl import functions, types

from gateway.sandbox.person import NothingHappenedError, Person
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.bots import buttons, polling
from tests.integration.sandbox.phones import online


@pytest.fixture
async def person(sandbox: Sandbox, ann: User) -> AsyncIterator[Person]:
    async with Person(sandbox.client(ann, lang_code="ru")) as person:
        yield person


def qr_code(text: str) -> bytes:
    out = io.BytesIO()
    segno.make(text).save(out, kind="png", scale=8)
    return out.getvalue()


async def test_a_press_is_answered_and_the_message_edited_in_place(sandbox: Sandbox, ann: User, bot: Bot) -> None:
    router = Router()

    @router.message(CommandStart())
    async def start(message: Message) -> None:
        await message.answer("Choose", reply_markup=buttons({"Yes": "yes", "No": "no"}))

    @router.callback_query(F.data == "no")
    async def no(query: CallbackQuery) -> None:
        await query.answer("As you like", show_alert=True)
        assert isinstance(query.message, Message)
        await query.message.edit_text("You chose no", reply_markup=buttons({"Again": "again"}))

    async with polling(bot, router), online(sandbox, ann) as phone, phone.client.conversation("our_bot") as chat:
        await chat.send_message("/start")
        message = await chat.get_response()
        assert message.text == "Choose"
        assert [[button.text for button in row] for row in message.buttons] == [["Yes", "No"]]
        answer = await message.click(text="No")
        assert (answer.message, answer.alert) == ("As you like", True)
        edited = await phone.next(types.UpdateEditMessage)
        assert (edited.message.id, edited.message.message) == (message.id, "You chose no")
        [kept] = await phone.client.get_messages("our_bot", ids=[message.id])
        assert (kept.message, kept.buttons[0][0].data) == ("You chose no", b"again")


async def test_a_press_that_nobody_answers_ends_without_an_answer(sandbox: Sandbox, ann: User, bot: Bot) -> None:
    sandbox.settings.bot_answer_s = 0.05
    router = Router()

    @router.message()
    async def start(message: Message) -> None:
        await message.answer("Choose", reply_markup=buttons({"Yes": "yes"}))

    async with polling(bot, router), Person(sandbox.client(ann)) as person:
        chat = await person.chat("our_bot")
        await chat.send("/start")
        [message] = await person.client.get_messages("our_bot", limit=1)
        assert await message.click(0) is None
        with pytest.raises(NothingHappenedError, match="nobody answered"):
            await chat.press("Yes")


async def test_a_client_may_press_what_is_not_there(bot: Bot, person: Person) -> None:
    router = Router()

    @router.message()
    async def start(message: Message) -> None:
        await message.answer("Choose", reply_markup=buttons({"Mine": "line:1"}))

    @router.callback_query()
    async def pressed(query: CallbackQuery) -> None:
        await query.answer(f"{query.data} of {query.from_user.first_name} ({query.from_user.language_code})")

    async with polling(bot, router):
        chat = await person.chat("our_bot")
        await chat.send("/start")
        assert (await chat.press("Mine")).answer == "line:1 of Ann (ru)"
        assert (await chat.forge(b"line:2")).answer == "line:2 of Ann (ru)"


async def test_a_person_is_led_through_menus(bot: Bot, person: Person) -> None:
    """Edits, new messages, deletions and keyboards of replies, each waited for and never slept for."""
    router = Router()

    @router.message(CommandStart())
    async def start(message: Message, command: CommandObject) -> None:
        keyboard = ReplyKeyboardMarkup(keyboard=[[KeyboardButton(text="Menu")]], resize_keyboard=True)
        await message.answer(f"Hello {command.args}", reply_markup=keyboard)

    @router.message(F.text == "Menu")
    async def menu(message: Message) -> None:
        await message.answer("Menu", reply_markup=buttons({"Lines: 0": "lines"}, {"Close": "close"}))

    @router.callback_query(F.data == "lines")
    async def lines(query: CallbackQuery) -> None:
        await query.answer()
        await asyncio.sleep(0.02)
        assert isinstance(query.message, Message)
        await query.message.edit_reply_markup(reply_markup=buttons({"Lines: 1": "lines"}, {"Close": "close"}))

    @router.callback_query(F.data == "close")
    async def close(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        await query.message.delete()
        await query.answer()

    async with polling(bot, router):
        chat = await person.chat("our_bot")
        await person.client(functions.messages.StartBotRequest("our_bot", "our_bot", "friend"))
        assert (await chat.see("Hello friend")).rows == (("Menu",),)
        menu_screen = await chat.press("Menu")
        assert menu_screen.labels == ["Lines: 0", "Close"]
        assert (await chat.press("Lines")).labels == ["Lines: 1", "Close"]
        await chat.press("Close")
        await chat.gone(menu_screen)
        assert [screen.text for screen in chat.screens()] == ["Hello friend"]
    assert str(person.transcript).splitlines()[-11:] == [
        "    Ann  presses [Menu]",
        "    Ann  Menu",
        "Our bot  Menu",
        "         [Lines: 0]",
        "         [Close]",
        "    Ann  presses [Lines: 0]",
        "Our bot  (edits) Menu",
        "         [Lines: 1]",
        "         [Close]",
        "    Ann  presses [Close]",
        "Our bot  (deletes a message)",
    ]


async def test_formatted_text_and_prompts_arrive_as_they_were_meant(bot: Bot, person: Person) -> None:
    chat = await person.chat("our_bot")
    await chat.say("/start")
    user = (await person.client.get_me()).id
    sent = await bot.send_message(user, "<b>Tom &amp; Jerry</b> 📞 <code>+1</code>", parse_mode="HTML")
    assert [entity.type for entity in sent.entities or []] == ["bold", "code"]
    screen = await chat.see("Jerry")
    assert screen.text == "Tom & Jerry 📞 +1"
    marked = {type(entity): text for entity, text in screen.message.get_entities_text()}
    assert marked == {types.MessageEntityBold: "Tom & Jerry", types.MessageEntityCode: "+1"}
    await bot.send_message(user, "*1\\.5* [x](https://example.org)", parse_mode="MarkdownV2")
    screen = await chat.see("1.5 x")
    assert screen.message.entities[1].url == "https://example.org"
    await bot.send_message(user, "Name?", reply_markup=ForceReply(input_field_placeholder="Line"))
    screen = await chat.see("Name?")
    assert screen.message.reply_markup.placeholder == "Line"


async def test_a_picture_arrives_intact(bot: Bot, person: Person) -> None:
    chat = await person.chat("our_bot")
    await chat.say("/start")
    user = (await person.client.get_me()).id
    first, second = qr_code("tg://login?token=one"), qr_code("tg://login?token=two" * 9)
    sent = await bot.send_photo(
        user,
        BufferedInputFile(first, "qr.png"),
        caption="<b>Scan</b>",
        parse_mode="HTML",
        reply_markup=buttons({"Cancel": "cancel"}),
    )
    assert sent.photo is not None
    screen = await chat.see("Scan")
    assert (screen.has_picture, screen.labels) == (True, ["Cancel"])
    assert await chat.picture() == first
    media = InputMediaPhoto(media=BufferedInputFile(second, "qr.png"), caption="Renewed")
    await bot.edit_message_media(media, chat_id=user, message_id=sent.message_id, reply_markup=sent.reply_markup)
    await chat.see("Renewed")
    assert await chat.picture() == second
    await bot.edit_message_caption(chat_id=user, message_id=sent.message_id, caption="Expired")
    assert (await chat.see("Expired")).rows == ()
    # A file once sent is sent again by its id.
    await bot.send_photo(user, sent.photo[-1].file_id, caption="Again")
    await chat.see("Again")
    assert await chat.picture() == first


async def test_documents_go_both_ways(bot: Bot, person: Person) -> None:
    chat = await person.chat("our_bot")
    router = Router()
    table = b"when,who\n" + b"2026-01-01,Ann\n" * 50_000

    @router.message(Command("export"))
    async def export(message: Message) -> None:
        await bot.send_chat_action(message.chat.id, ChatAction.UPLOAD_DOCUMENT)
        await message.answer_document(BufferedInputFile(table, "calls.csv"), caption="Calls")

    @router.message(F.document)
    async def received(message: Message) -> None:
        assert message.document is not None
        downloaded = await bot.download(message.document)
        assert downloaded is not None
        content = downloaded.read()
        await message.answer(f"{message.document.file_name} {content == table} {message.caption}")

    async with polling(bot, router):
        screen = await chat.send("/export")
        assert await chat.picture(screen) == table
        assert (screen.message.file.name, screen.message.file.mime_type) == ("calls.csv", "text/csv")
        upload = io.BytesIO(table)
        upload.name = "prompt.csv"
        await person.client.send_file("our_bot", upload, caption="take it", force_document=True)
        await chat.see("prompt.csv True take it")


async def test_a_contact_is_shared_by_a_button(bot: Bot, ann: User, person: Person) -> None:
    chat = await person.chat("our_bot")
    await chat.say("/start")
    keyboard = ReplyKeyboardMarkup(keyboard=[[KeyboardButton(text="Share", request_contact=True)]])
    await bot.send_message(ann.id, "Your number?", reply_markup=keyboard)
    await chat.see("Your number?")
    [question] = await person.client.get_messages("our_bot", limit=1)
    await question.click(0, share_phone=True)
    [_, update] = await bot.get_updates()
    assert update.message is not None
    assert update.message.contact is not None
    assert (update.message.contact.phone_number, update.message.contact.user_id) == (ann.phone, ann.id)


async def test_what_a_bot_did_while_the_person_was_away_is_fetched(
    sandbox: Sandbox, ann: User, our_bot: User, bot: Bot
) -> None:
    sandbox.send_message(ann, our_bot, "/start")
    kept = await bot.send_message(ann.id, "one")
    doomed = await bot.send_message(ann.id, "two")
    async with online(sandbox, ann) as phone:
        await phone.client.get_dialogs()
        session = phone.client.session.save()
        await phone.client(functions.updates.GetStateRequest())
        before = await phone.client(functions.updates.GetStateRequest())
    await bot.edit_message_text("one, edited", chat_id=ann.id, message_id=kept.message_id)
    await bot.delete_message(ann.id, doomed.message_id)
    await bot.send_message(ann.id, "three", reply_markup=buttons({"Go": "go"}))
    async with online(sandbox, ann, session=session) as phone:
        missed = await phone.client(functions.updates.GetDifferenceRequest(before.pts, before.date, 0))
        assert [message.message for message in missed.new_messages] == ["three"]
        assert {type(update) for update in missed.other_updates} == {
            types.UpdateEditMessage,
            types.UpdateDeleteMessages,
        }
        history = [message.message for message in await phone.client.get_messages("our_bot", limit=9)]
        assert history == ["three", "one, edited", "/start"]


async def test_a_bot_deletes_its_own_messages_and_those_it_was_sent(bot: Bot, person: Person) -> None:
    chat = await person.chat("our_bot")
    router = Router()

    @router.message()
    async def secret(message: Message) -> None:
        answer = await message.answer("forgotten")
        await bot.delete_messages(message.chat.id, [message.message_id, answer.message_id])

    async with polling(bot, router):
        screen = await chat.send("my password")
        await chat.gone(screen)
        assert await person.client.get_messages("our_bot") == []


async def test_replies_name_the_message_that_they_answer(bot: Bot, person: Person) -> None:
    chat = await person.chat("our_bot")
    router = Router()

    @router.message()
    async def echo(message: Message) -> None:
        answered = message.reply_to_message
        await message.reply(f"you answered {answered.text}" if answered else "you answered nothing")

    async with polling(bot, router):
        screen = await chat.send("hello")
        assert screen.text == "you answered nothing"
        replied = await person.client.get_messages("our_bot", ids=screen.message.reply_to.reply_to_msg_id)
        assert replied.message == "hello"
        await person.client.send_message("our_bot", "hm", reply_to=screen.message.id)
        await chat.see("you answered you answered nothing")


async def test_a_person_sees_that_the_bot_is_typing(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    sandbox.send_message(ann, our_bot, "/start")
    async with online(sandbox, ann) as phone:
        await phone.client.get_me()
        await bot.send_chat_action(ann.id, "typing")
        assert (await phone.next(types.UpdateUserTyping)).user_id == our_bot.id


async def test_an_edit_by_the_person_reaches_the_bot(bot: Bot, person: Person) -> None:
    chat = await person.chat("our_bot")
    message = await chat.say("frist")
    await message.edit("first")
    [sent, edited] = await bot.get_updates(allowed_updates=["message", "edited_message"])
    assert sent.message is not None
    assert edited.edited_message is not None
    assert (sent.message.text, edited.edited_message.text) == ("frist", "first")
    assert sent.message.message_id == edited.edited_message.message_id


async def test_an_event_handler_of_telethon_sees_the_bot(sandbox: Sandbox, ann: User, our_bot: User, bot: Bot) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()
    async with online(sandbox, ann) as phone:

        async def heard(event: events.NewMessage.Event) -> None:
            seen.put_nowait(event.raw_text)

        phone.client.add_event_handler(heard, events.NewMessage(from_users="our_bot"))
        sandbox.send_message(ann, our_bot, "/start")
        await bot.send_message(ann.id, "hello")
        assert await asyncio.wait_for(seen.get(), 5) == "hello"
