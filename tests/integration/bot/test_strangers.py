"""Nobody sees or touches what is another's, whatever he writes, presses or forges."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator

import pytest_asyncio
from aiogram.filters.callback_data import CallbackData

from gateway.bot import data
from gateway.bot.face import AdministratorBot
from gateway.bot.lines import CHOICES
from gateway.bot.settings import BotSettings
from gateway.call.model import LineKind
from gateway.control.door import Notices, RecipeKind, Recommended
from gateway.control.logins import Logins
from gateway.control.roster import Roster
from gateway.sandbox.person import NothingHappenedError, Screen
from gateway.telegram.login import Login
from tests.integration.bot.town import OPERATOR, Boss, Town


@pytest_asyncio.fixture(loop_scope="package")
async def narrow(town: Town, boss: Boss) -> AsyncIterator[str]:
    """A second bot of the same gateway, that serves nobody but the boss; its name."""
    bot = town.sandbox.create_bot(f"narrow_{boss.user.id}_bot", "Narrow")
    settings = BotSettings.model_validate({"token": bot.bot_token, "api_url": town.sandbox.bot_api_url})
    store = town.gateway.store
    house = dataclasses.replace(town.gateway.use_cases, notices=Notices(store, Roster()))
    async with (
        Logins(lambda: Login(town.gateway.settings.telegram)) as logins,
        AdministratorBot(settings, lambda user_id: user_id == boss.user.id, store.conversations, house, logins),
    ):
        assert bot.username is not None
        yield bot.username


async def test_a_stranger_gets_one_polite_sentence_and_nothing_else(town: Town, boss: Boss, narrow: str) -> None:
    async with town.boss(bot=narrow) as stranger:
        for text in ("/start", "/gateway", "/lines", "hello", "/help"):
            screen = await stranger.chat.send(text)
            assert screen.text == "Sorry, this bot is only for the people who run it."
            assert screen.rows == ()
        answer = await stranger.chat.forge(b"to:home")
        assert (answer.answer, answer.is_alert) == ("Sorry, this bot is only for the people who run it.", True)
    async with town.boss(bot=narrow, language="ru") as stranger:
        assert (await stranger.chat.send("/start")).text.startswith("Извините")


def forgeries(session: int, line: int) -> Iterator[CallbackData]:
    """Every button there is, of somebody else's things."""
    yield data.SessionTo(id=session)
    yield from (data.SessionDo(id=session, act=act) for act in data.SessionAct)
    yield data.SessionLimit(id=session, calls=1)
    yield from (data.Recommend(id=session, setting=setting) for setting in Recommended)
    yield data.RecommendAll(id=session)
    yield from (data.HandoverDo(id=session, act=act) for act in data.HandoverAct)
    yield from (data.ChatSet(id=session, field=field, value="on") for field in ("messages", "inline_bot", "no"))
    yield from (data.ChatAsk(id=session, field=field) for field in ("inline_bot", "autoreply_text"))
    yield data.LinesOf(session=session)
    yield data.CallsOf(session=session)
    yield from (data.NewLine(session=session, kind=kind) for kind in (None, *LineKind))
    yield data.LineTo(id=line)
    yield from (data.LineDo(id=line, act=act) for act in data.LineAct)
    yield from (data.LineSet(id=line, field=field, value="9") for field in ("priority", "number", "password", "login"))
    yield data.LineSet(id=line, field="enabled", value="off")
    yield from (data.LineAsk(id=line, field=field) for field in ("name", "number", *CHOICES))
    yield from (data.RecipeFor(id=line, kind=kind) for kind in RecipeKind)
    yield from (data.RouteDo(id=line, act=act) for act in data.RouteAct)


async def test_no_forged_press_shows_or_changes_what_is_another_s(town: Town, boss: Boss) -> None:
    session = await town.session(boss, "Topsecret")
    line = await town.line(session, fields={"name": "hushhush"})
    before = (town.gateway.accounts.show(OPERATOR, session), town.gateway.lines.show(OPERATOR, line).line)
    async with town.boss() as thief:
        own = await town.session(thief, "Own")
        await thief.chat.send("/start")
        for forged in forgeries(session, line):
            screen = await answered(thief, forged.pack())
            assert "Topsecret" not in str(screen), forged
            assert "hushhush" not in str(screen), forged
            # Should it have asked for something, an answer must not get there either.
            await thief.chat.send("stolen")
            await thief.chat.send("/start")
        assert [view.account.id for view in town.gateway.accounts.list(thief.asker)] == [own]
        assert town.gateway.lines.list(thief.asker) == []
    assert town.gateway.accounts.show(OPERATOR, session) == before[0]
    assert town.gateway.lines.show(OPERATOR, line).line == before[1]
    assert len(town.sandbox.authorizations(town.sandbox.user(f"+{before[0].account.phone}"))) == 1


async def answered(boss: Boss, packed: str) -> Screen:
    """What comes of pressing a button that is not there."""
    try:
        return await boss.chat.forge(packed.encode())
    except NothingHappenedError as nothing:
        raise AssertionError(f"{packed} was not answered") from nothing


async def test_a_question_about_a_line_is_not_answered_for_another_s(town: Town, boss: Boss) -> None:
    """The question was asked when the line was his; now it is another's."""
    session = await town.session(boss)
    line = await town.line(session)
    await boss.chat.send("/lines")
    await boss.go("reception", "Number: –")
    async with town.boss() as other:
        await town.gateway.accounts.assign(OPERATOR, session, other.user.id)
        assert "not there any more" in (await boss.chat.send("666")).text
    assert town.gateway.lines.show(OPERATOR, line).line.number == ""


async def test_a_press_that_means_nothing_is_answered_politely(boss: Boss) -> None:
    await boss.chat.send("/start")
    odd = ("", ":", "to", "to:", "to:nowhere:0", "l", "l:", "l:x", "l:1:2", "l:-1", f"l:{10**40}", "ld:1:no", "lf:1:2")
    for packed in (*odd, *("k:5", "w:no", "lang:de", "x:1", "\u0000", "ls:1:-5", "cs:0:99999999", "c:'--")):
        if packed:
            await answered(boss, packed)


async def test_names_of_people_are_shown_as_they_are(town: Town, boss: Boss) -> None:
    name = "<b>Acme</b> & \"Co\" <a href='x'>"
    session = await town.session(boss, name)
    await town.line(session, fields={"name": "<i>&lt;"})
    await boss.chat.send("/gateway")
    screen = await boss.go("Acme")
    assert screen.text.startswith(name)
    await boss.chat.send("/lines")
    screen = await boss.go("<i>")
    assert "<i>&lt;" in screen.text
    assert name in screen.text
