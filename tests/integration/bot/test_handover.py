"""A session is given to another administrator, however he is named; he must accept, and both are told (C6)."""

from __future__ import annotations

import secrets

import pytest
from telethon.tl import functions, types

from tests.integration.bot.town import OPERATOR, Boss, Town


async def asked_whom(boss: Boss) -> None:
    await boss.chat.press("Acme", on=await boss.open("/gateway"))
    await boss.go("Hand over")


async def send_contact(boss: Boss, phone: str) -> None:
    contact = types.InputMediaContact(phone, "Kira", "", "")
    peer = await boss.person.client.get_input_entity("siptg_bot")
    await boss.person.client(functions.messages.SendMediaRequest(peer, contact, "", random_id=secrets.randbits(62)))


async def forward_what_he_wrote(town: Town, boss: Boss, other: Boss) -> None:
    town.sandbox.send_message(other.user, boss.user, "I shall look after it")
    [message] = await boss.person.client.get_messages(other.user.username, limit=1)
    await boss.person.client.forward_messages("siptg_bot", message)


@pytest.mark.parametrize("way", ["contact", "forward", "id"])
async def test_the_next_administrator_is_named_in_any_way_and_must_accept(town: Town, boss: Boss, way: str) -> None:
    session = await town.session(boss)
    await town.line(session)
    async with town.boss(town.somebody("Kira", username=f"kira_{way}_{boss.user.id}")) as other:
        await other.chat.send("/start")
        await asked_whom(boss)
        match way:
            case "contact":
                await send_contact(boss, f"+{other.user.phone}")
            case "forward":
                await forward_what_he_wrote(town, boss, other)
            case _:
                await boss.chat.say(str(other.user.id))
        await boss.chat.see("has not answered yet")
        assert town.gateway.accounts.show(OPERATOR, session).account.administrator_id == boss.user.id
        offer = await other.chat.see("offers you Acme")
        assert str(boss.user.id) in offer.text
        assert "No line" not in (await other.chat.press("Accept", on=offer)).text
        told = await boss.chat.see("administers it now")
        assert str(other.user.id) in told.text
        assert town.gateway.accounts.show(OPERATOR, session).account.administrator_id == other.user.id
        assert "No Telegram account" in (await boss.chat.send("/gateway")).text
        assert "Acme" in str(await other.chat.send("/gateway"))


async def test_whoever_hides_himself_has_to_be_named_by_his_id(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    other = town.somebody("Kira", username=f"hidden_{boss.user.id}")
    town.sandbox.set_privacy(other, "Forwards", [("DisallowAll", [])])
    async with town.boss(other) as hidden:
        await asked_whom(boss)
        await forward_what_he_wrote(town, boss, hidden)
        assert "hide who they are" in (await boss.chat.see("tells me nobody")).text
    assert town.gateway.accounts.show(OPERATOR, session).handover is None


async def test_a_contact_without_a_telegram_account_is_nobody(town: Town, boss: Boss) -> None:
    await town.session(boss)
    await asked_whom(boss)
    await send_contact(boss, "+15559999")
    await boss.chat.see("tells me nobody")


async def test_nobody_accepts_what_was_offered_to_somebody_else_or_is_not_offered_any_more(
    town: Town, boss: Boss
) -> None:
    session = await town.session(boss)
    async with town.boss() as other, town.boss() as thief:
        await other.chat.send("/start")
        await thief.chat.send("/start")
        await asked_whom(boss)
        await boss.chat.send(str(other.user.id))
        offer = await other.chat.see("offers you Acme")
        accept = offer.button("Accept").type.data
        assert "not there any more" in (await thief.chat.forge(accept)).answer
        await boss.go("Hand over", "Take the offer back")
        assert "not there any more" in (await other.chat.press("Accept", on=offer)).answer
    assert town.gateway.accounts.show(OPERATOR, session).account.administrator_id == boss.user.id


async def test_whom_the_operator_does_not_admit_gets_no_offer(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    admits, town.gateway.use_cases.handovers._admits = town.gateway.use_cases.handovers._admits, lambda _: False
    try:
        await asked_whom(boss)
        assert "does not let him be an administrator" in (await boss.chat.send("123456789")).text
    finally:
        town.gateway.use_cases.handovers._admits = admits
    assert town.gateway.accounts.show(OPERATOR, session).handover is None
