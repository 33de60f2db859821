"""Administrators are told what went wrong, once, with a button to it; and once that it is well again."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.bot.notices import notice_screen
from gateway.bot.words import LANGUAGES, words_of
from gateway.control.door import LineHealth, Notice, NoticeKind
from gateway.sandbox.phone import Phone
from gateway.telegram.model import AccountState
from tests.integration.bot.test_wizard import asked_for_code
from tests.integration.bot.town import OPERATOR, Boss, Town, eventually


async def test_a_session_revoked_from_the_phone_is_told_and_so_is_its_return(town: Town, boss: Boss) -> None:
    session = await town.session(boss, "Acme <b>")
    user = town.sandbox.user(f"+{town.gateway.accounts.show(OPERATOR, session).account.phone}")
    await boss.chat.send("/start")
    [login] = town.sandbox.authorizations(user)
    town.sandbox.revoke(login)
    town.sandbox.drop_connections()  # a revoked login shows in the next request
    screen = await boss.chat.see("was logged out of Telegram")
    assert "Acme <b>" in screen.text
    told = len(boss.chat.screens())
    card = await boss.go("Open the session")
    assert "Logged out" in card.text
    assert card.message.id != screen.message.id  # the notice stays
    await boss.tap_code(await asked_for_code(town, boss, user))
    await boss.chat.see("is connected to Telegram again")
    assert len(boss.chat.screens()) <= told + 3
    assert town.gateway.accounts.show(OPERATOR, session).status.state is AccountState.ONLINE


async def test_a_line_that_fails_is_told_with_the_pbx_s_error_and_so_is_its_return(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    given = town.gateway.lines.credentials(OPERATOR, line)
    await boss.chat.send("/start")
    async with Phone(given.login, given.password, ("127.0.0.1", given.port)) as phone:
        await phone.register()
        await eventually(lambda: town.gateway.lines.show(OPERATOR, line).state.health is LineHealth.UP)
    await town.gateway.lines.reset_password(OPERATOR, line)
    screen = await boss.chat.see("is down")
    assert "reception" in screen.text
    again = town.gateway.lines.credentials(OPERATOR, line)
    async with Phone(again.login, again.password, ("127.0.0.1", again.port)) as phone:
        await phone.register()
        await boss.chat.see("is up again")
        assert "🟢" in (await boss.go("Open the line")).text


async def test_whoever_never_spoke_to_the_bot_is_no_trouble(town: Town) -> None:
    stranger = town.somebody()
    async with town.boss() as boss:
        session = await town.session(boss)
        await boss.chat.send("/start")
        await town.gateway.use_cases.handovers.offer(OPERATOR, session, stranger.id)
        await boss.chat.send("/gateway")
        assert "has not answered yet" in (await boss.go("Acme")).text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_every_notice_can_be_said(kind: NoticeKind, language: str) -> None:
    facts = {"setting": "no_groups", "until": "2026-11-23T10:00:00+00:00", "state": "banned", "name": "Head <office>"}
    for over in (False, True) if not kind.is_event else (False,):
        line = 9 if kind is NoticeKind.LINE_DOWN else None
        notice = Notice("1", kind, over, 5, 7, line, facts, dt.datetime.now(dt.UTC))
        screen = notice_screen(words_of(language), notice, "Acme & Co")
        assert "Acme &amp; Co" in screen.text
        assert screen.rows or kind is NoticeKind.HANDOVER_ACCEPTED
