"""What people do that nobody asked them to: taps twice, pictures for texts, commands in between, two devices."""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
from collections.abc import Awaitable, Callable

import pytest
from telethon.tl import functions, types

from gateway.bot.data import NewLine, SessionTo
from gateway.call.model import LineKind
from gateway.sandbox.person import Screen
from tests.integration.bot.test_face import another
from tests.integration.bot.test_wizard import asked_for_code, asked_for_number, devices
from tests.integration.bot.town import OPERATOR, Boss, Town

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def send_picture(boss: Boss) -> None:
    await boss.person.client.send_file("siptg_bot", io.BytesIO(DOT), attributes=[], caption="here")


async def send_file(boss: Boss) -> None:
    await boss.person.client.send_file("siptg_bot", io.BytesIO(b"OggS" * 99), force_document=True)


async def send_contact(boss: Boss) -> None:
    peer = await boss.person.client.get_input_entity("siptg_bot")
    contact = types.InputMediaContact("+15550000", "Ann", "", "")
    await boss.person.client(functions.messages.SendMediaRequest(peer, contact, "", random_id=secrets.randbits(62)))


async def press_at_once(boss: Boss, screen: Screen, label: str, times: int) -> list[str]:
    """Tap so fast that all taps are sent before one is answered; what popped up."""
    data = screen.button(label).type.data
    peer = await boss.person.client.get_input_entity("siptg_bot")
    taps = (
        boss.person.client(functions.messages.GetBotCallbackAnswerRequest(peer, screen.message.id, data=data))
        for _ in range(times)
    )
    return [answer.message or "" for answer in await asyncio.gather(*taps)]


async def about_to_number(town: Town, boss: Boss) -> None:
    await town.line(await town.session(boss))
    await boss.chat.send("/lines")
    await boss.go("reception", "Number: –")


@pytest.mark.parametrize("send", [send_picture, send_file, send_contact])
async def test_what_is_no_text_is_no_answer_and_the_question_stands(
    town: Town, boss: Boss, send: Callable[[Boss], Awaitable[None]]
) -> None:
    await about_to_number(town, boss)
    await send(boss)
    await boss.chat.see("My last question still stands")
    assert "Number: 200" in (await boss.chat.send("200")).labels


async def test_a_picture_costs_no_login(town: Town, boss: Boss) -> None:
    user = town.somebody()
    code = await asked_for_code(town, boss, user)
    keypad = await boss.chat.screen()
    await send_picture(boss)
    await boss.chat.see("My last question still stands")
    for digit in code:
        await boss.chat.press(digit, on=keypad)
    await boss.chat.see("Recommended settings")


@pytest.mark.parametrize("command", ["/start", "/gateway", "/lines", "/calls", "/why", "/language", "/help", "/cancel"])
@pytest.mark.parametrize("question", ["number of a line", "phone number", "name of a line"])
async def test_a_command_is_never_an_answer(town: Town, boss: Boss, command: str, question: str) -> None:
    session = await town.session(boss)
    line = await town.line(session)
    if question == "phone number":
        await asked_for_number(boss)
    else:
        await boss.chat.send("/lines")
        await boss.go("reception", "Rename" if question == "name of a line" else "Number: –")
    await boss.chat.send(command)
    assert "⚠️" not in (await boss.chat.screen()).text
    assert "did not ask" in (await boss.chat.send("666")).text
    assert town.gateway.lines.show(OPERATOR, line).line.name == "reception"
    assert town.gateway.lines.show(OPERATOR, line).line.number == ""


async def test_a_code_that_is_typed_again_and_again_leaves_one_keypad(town: Town, boss: Boss) -> None:
    code = await asked_for_code(town, boss, town.somebody())
    for _ in range(3):
        before = await boss.chat.screen()
        await boss.chat.say(code)
        await boss.chat.see("voids codes that are typed")
        if "worth nothing now" in before.text:
            await boss.chat.gone(before)
    assert len([screen for screen in boss.chat.screens() if "3 of 3" in screen.text]) == 1


async def test_cancelling_a_login_leaves_nothing_of_it(town: Town, boss: Boss) -> None:
    user = town.somebody()
    code = await asked_for_code(town, boss, user)
    keypad = await boss.chat.screen()
    assert "Cancelled" in (await boss.chat.send("/cancel")).text
    assert "from another time" in (await boss.chat.press(code[0], on=keypad)).answer
    assert devices(town, user) == 0
    assert "did not ask" in (await boss.chat.send("/cancel")).text


async def test_a_line_that_is_asked_for_three_times_at_once_is_made_once(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    await boss.chat.send("/lines")
    screen = await boss.go("New line")
    await press_at_once(boss, screen, "PBX → gateway", 3)
    assert len(town.gateway.lines.list(OPERATOR, session)) == 1
    old = NewLine(session=session, kind=LineKind.PBX_REGISTERS, beside=7).pack().encode()
    assert "One line to a PBX" in (await boss.chat.forge(old)).text
    assert len(town.gateway.lines.list(OPERATOR, session)) == 1


async def test_a_switch_that_is_tapped_over_and_over_is_where_it_says(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await boss.chat.send("/lines")
    screen = await boss.go("reception")
    assert len(await press_at_once(boss, screen, "✅ On", 4)) == 4
    assert not town.gateway.lines.show(OPERATOR, line).line.enabled


async def test_the_same_chat_on_two_devices_has_one_question_at_a_time(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    async with town.boss(boss.user) as tablet:
        await boss.chat.send("/lines")
        await boss.go("reception", "Number: –")
        await tablet.chat.send("/lines")
        await tablet.go("reception", "Priority: 10")
        await boss.chat.see("Priority")  # it is the same chat
        await boss.chat.send("5")
        await tablet.chat.see("Priority: 5")
    view = town.gateway.lines.show(OPERATOR, line).line
    assert (view.priority, view.number) == (5, "")


async def test_texts_as_long_as_telegram_lets_them_be_are_taken_and_shown(town: Town, boss: Boss) -> None:
    await town.session(boss)
    await boss.chat.send("/gateway")
    await boss.go("Acme", "Chats", "Message processing", "⬜️ Autoreply")
    await boss.chat.send("<" * 4096)
    assert "✅ Autoreply" in (await boss.chat.screen()).labels
    assert "<<<" in (await boss.go("Text: <")).text


async def test_an_administrator_who_is_not_admitted_any_more_is_a_stranger_in_mid_sentence(
    town: Town, boss: Boss
) -> None:
    session = await town.session(boss)
    line = await town.line(session)
    user = town.sandbox.create_bot(f"strict_{boss.user.id}_bot")
    assert user.bot_token is not None
    admitted = {boss.user.id}
    async with another(town, user.bot_token, admits=admitted.__contains__):
        chat = await boss.person.chat(user.username)
        await chat.send("/lines")
        await chat.press("reception")
        question = await chat.press("Number: –")
        admitted.clear()
        assert "only for the people who run it" in (await chat.send("200")).text
        forged = await chat.forge(SessionTo(id=session).pack().encode(), on=question)
        assert "only for the people who run it" in forged.answer
    assert town.gateway.lines.show(OPERATOR, line).line.number == ""
