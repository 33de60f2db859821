"""Session accounts are looked after from a phone: settings, handing over, disconnecting."""

from __future__ import annotations

import contextlib
import sqlite3

from gateway.bot.data import LineTo
from gateway.control.door import ChatSettings, Subscription
from gateway.sandbox.world import User
from tests.integration.bot.town import OPERATOR, Boss, Town


async def card(boss: Boss, name: str = "Acme") -> None:
    await boss.chat.press(name, on=await boss.open("/gateway"))


def user_of(town: Town, session: int) -> User:
    return town.sandbox.user(f"+{town.gateway.accounts.show(OPERATOR, session).account.phone}")


async def test_the_menu_leads_everywhere_in_one_message(town: Town, boss: Boss) -> None:
    screen = await boss.chat.send("/start")
    assert "Nothing is connected yet" in screen.text
    for label in ("Sessions", "Menu", "Lines", "Menu", "Calls", "Menu", "Language", "Menu", "Help", "Menu"):
        assert (await boss.chat.press(label)).message.id == screen.message.id
    assert len(boss.chat.screens()) == 1


async def test_every_command_answers(boss: Boss) -> None:
    for command, words in (
        ("/start", "SIP gateway"),
        ("/help", "How it works"),
        ("/gateway", "Sessions"),
        ("/lines", "A line belongs to a session"),
        ("/calls", "No calls yet"),
        ("/why", "No call has failed"),
        ("/language", "Language"),
        ("/nonsense", "did not ask"),
    ):
        assert words in (await boss.chat.send(command)).text


async def test_the_language_is_the_apps_until_another_is_chosen(town: Town, boss: Boss) -> None:
    async with town.boss(language="ru") as russian:
        assert "SIP-шлюз" in (await russian.chat.send("/start")).text
        screen = await russian.go("Язык", "English")
        assert "SIP gateway" in screen.text
        assert "Sessions" in (await russian.chat.send("/gateway")).text
    await boss.chat.send("/language")
    assert "SIP-шлюз" in (await boss.go("Русский")).text
    assert "✅ Русский" in (await boss.go("Язык")).labels


async def test_a_session_is_switched_and_limited_by_one_tap(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    await card(boss)
    await boss.chat.see("🟢 Online")
    await boss.go("✅ On")
    await boss.chat.see("Offline")
    assert not town.gateway.accounts.show(OPERATOR, session).account.enabled
    await boss.go("⏸ Off")
    await boss.chat.see("🟢 Online")  # the card follows by itself
    screen = await boss.go("Calls at once: 10", "1")
    assert "Calls at once: 1" in screen.labels
    assert town.gateway.accounts.show(OPERATOR, session).account.call_limit == 1


async def test_settings_that_nothing_acts_on_yet_say_so(town: Town, boss: Boss) -> None:
    await town.session(boss)
    await card(boss)
    assert "only keeps these settings" in (await boss.go("Chats")).text


async def test_settings_of_the_chats_are_switches_and_texts(town: Town, boss: Boss) -> None:
    session = await town.session(boss)

    def chat() -> ChatSettings:
        return town.gateway.accounts.show(OPERATOR, session).chat

    await card(boss)
    await boss.go("Chats", "Keypad, calls from Telegram", "Redial", "Message processing")
    assert chat() == ChatSettings(keypad_in=True, redial=True, messages=True)
    assert "answered with" in (await boss.go("⬜️ Autoreply")).text  # it needs its text first
    assert "⬜️ Autoreply" in (await boss.go("Cancel")).labels
    await boss.go("⬜️ Autoreply")
    assert "✅ Autoreply" in (await boss.chat.send("Please call us <b>.")).labels
    assert chat().autoreply_text == "Please call us <b>."
    await boss.go("⬜️ Inline bot")
    assert "An inline bot is a username" in (await boss.chat.send("no bot!")).text
    assert "✅ Inline bot" in (await boss.chat.send("@gif")).labels
    await boss.go("Query")
    assert "A query has up to" in (await boss.chat.send("{phone")).text
    await boss.chat.send("{text} {phone}")
    assert (chat().inline, chat().inline_bot, chat().inline_query) == (True, "gif", "{text} {phone}")
    await boss.go("Bot: gif", "None")
    assert not chat().inline
    await boss.go("✅ Autoreply")
    assert (chat().autoreply, chat().autoreply_text) == (False, "Please call us <b>.")


async def test_a_session_is_handed_over_when_the_other_accepts(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    line = await town.line(session)
    async with town.boss() as other:
        await other.chat.send("/start")
        for accepted in (False, True):
            await card(boss)
            await boss.go("Hand over")
            assert "tells me nobody" in (await boss.chat.send("that one")).text
            await boss.chat.send(str(other.user.id))
            assert "has not answered yet" in (await boss.chat.screen()).text
            offer = await other.chat.see("offers you")
            if not accepted:
                await boss.go("Hand over", "Take the offer back")
                assert "not there any more" in (await other.chat.press("Accept", on=offer)).answer
                await boss.go("Hand over")
                await boss.chat.send(str(other.user.id))
                await other.chat.see("offers you")
                assert "You have declined" in (await other.go("Decline")).text
                await boss.chat.see("has declined")
        screen = await other.go("Accept")
        assert "Lines: 1" in str(screen)
        await boss.chat.see("administers it now")
        assert "No Telegram account" in (await boss.chat.send("/gateway")).text
        assert "not there any more" in (await boss.chat.forge(LineTo(id=line).pack().encode())).answer
        assert town.gateway.accounts.show(OPERATOR, session).account.administrator_id == other.user.id
        assert "reception" in str(await other.chat.send("/lines"))


async def test_a_session_can_be_given_up(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    await card(boss)
    assert "Give up" in (await boss.go("Hand over", "Give it up")).text
    await boss.go("Yes, give it up")
    assert town.gateway.accounts.show(OPERATOR, session).account.administrator_id is None
    assert town.gateway.accounts.list(boss.asker) == []


async def test_disconnecting_asks_once_and_logs_out_with_or_without_the_lines(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    line = await town.line(session)
    user = user_of(town, session)
    await card(boss)
    assert "It has no lines" not in (await boss.go("Disconnect")).text
    await boss.go("Back", "Disconnect", "Yes, disconnect")
    await boss.chat.see("is disconnected")
    assert town.sandbox.authorizations(user) == []
    assert town.gateway.lines.show(boss.asker, line).line.id == line  # it waits for the same account

    other = await town.session(boss, "Shop")
    await town.line(other)
    user = user_of(town, other)
    await card(boss, "Shop")
    await boss.go("Disconnect", "delete its line")
    await boss.chat.see("is disconnected")
    assert town.sandbox.authorizations(user) == []
    assert [view.line.id for view in town.gateway.lines.list(boss.asker)] == [line]


async def test_a_telegram_that_can_not_be_reached_keeps_the_session(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    await card(boss)
    await boss.go("Disconnect")
    with town.but(accepts_connections=False):
        boss.person.patience_s = 20
        await boss.go("Yes, disconnect")
        await boss.chat.see("can't be reached")
    assert len(town.sandbox.authorizations(user_of(town, session))) == 1


async def test_a_subscription_is_shown_and_shared(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    await town.gateway.use_cases.subscriptions.grant(OPERATOR, Subscription(boss.user.id, calls=3, minutes=100))
    await card(boss)
    screen = await boss.chat.screen()
    assert "calls at once 3" in screen.text
    assert "minutes 0 of 100" in screen.text
    screen = await boss.go("Shares the subscription: yes")
    assert "can't have calls" in screen.text
    assert not town.gateway.accounts.show(OPERATOR, session).shares_subscription
    await boss.go("Shares the subscription: no")
    assert town.gateway.accounts.show(OPERATOR, session).coverage.allows_calls


async def test_a_database_that_is_locked_is_told_and_later_all_is_well(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await boss.chat.send("/lines")
    await boss.go("reception")
    boss.person.patience_s = 20
    with contextlib.closing(sqlite3.connect(town.gateway.settings.state / "siptg.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "can't do that right now" in (await boss.go("✅ On")).answer
        other.execute("ROLLBACK")
    assert town.gateway.lines.show(OPERATOR, line).line.enabled
    await boss.go("✅ On")
    assert not town.gateway.lines.show(OPERATOR, line).line.enabled
