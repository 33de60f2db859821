"""The bot itself: Telegram that is away, too busy, or refuses the token; secrets that outlived their time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from gateway.bot.face import AdministratorBot
from gateway.bot.settings import BotSettings
from gateway.control.door import Admits, Notices
from gateway.control.logins import Logins
from gateway.control.roster import Roster
from gateway.telegram.login import Login
from tests.integration.bot.town import OPERATOR, Boss, Town, eventually


@asynccontextmanager
async def another(
    town: Town, token: str, api_url: str = "", admits: Admits = lambda user_id: True
) -> AsyncIterator[AdministratorBot]:
    """A further bot of the same gateway."""
    settings = BotSettings.model_validate({"token": token, "api_url": api_url or town.sandbox.bot_api_url})
    house = dataclasses.replace(town.gateway.use_cases, notices=Notices(town.gateway.store, Roster()))
    async with (
        Logins(lambda: Login(town.gateway.settings.telegram)) as logins,
        AdministratorBot(settings, admits, town.gateway.store.conversations, house, logins) as bot,
    ):
        yield bot


def said(logs: Sequence[object], event: str) -> bool:
    return any(isinstance(entry, dict) and entry["event"] == event for entry in logs)


async def test_a_telegram_that_is_away_is_waited_for(town: Town) -> None:
    bot = town.sandbox.create_bot("away_bot")
    assert bot.bot_token is not None
    with capture_logs() as logs:
        async with another(town, bot.bot_token, "http://127.0.0.1:1"):
            await eventually(lambda: said(logs, "bot can't reach Telegram"))
    assert bot.bot_token.partition(":")[2] not in str(logs)


async def test_a_token_that_is_refused_is_told_to_the_operator(town: Town) -> None:
    with capture_logs() as logs:
        async with another(town, "123456:wrong-token"):
            await eventually(lambda: said(logs, "bot token was refused by Telegram"))
    assert "wrong-token" not in str(logs)


async def test_where_telegram_slows_the_bot_down_every_press_is_answered_all_the_same(town: Town, boss: Boss) -> None:
    await boss.chat.send("/start")
    boss.person.patience_s = 15
    with town.but(bot_chat_rate=2.0, bot_chat_burst=1):
        for label in ("Sessions", "Menu", "Lines", "Menu"):
            await boss.go(label)


async def test_a_secret_that_outlived_its_time_is_deleted_at_the_next_start(town: Town) -> None:
    user = town.sandbox.create_bot("secret_bot")
    assert user.bot_token is not None
    async with town.boss(bot="secret_bot") as boss:
        await boss.chat.say("/start")
        async with another(town, user.bot_token) as bot:
            await boss.chat.see("Nothing is connected")
            message = await bot.bot.send_message(boss.user.id, "a secret")
            await town.gateway.store.conversations.keep_secret(user.id, boss.user.id, message.message_id)
            secret = await boss.chat.see("a secret")
        async with another(town, user.bot_token):
            await boss.chat.gone(secret)
            async with asyncio.timeout(5):
                while await town.gateway.store.conversations.secrets(user.id):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)


async def test_a_question_whose_message_was_deleted_can_still_be_answered(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await boss.chat.send("/lines")
    question = await boss.go("reception", "Number: –")
    await boss.person.client.delete_messages("siptg_bot", [question.message.id])
    screen = await boss.chat.send("200")
    assert "Number: 200" in screen.labels
    assert screen.message.id != question.message.id
    assert town.gateway.lines.show(OPERATOR, line).line.number == "200"
