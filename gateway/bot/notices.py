"""Tells administrators what happened without their asking (C8), each time with a button to the thing it is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramForbiddenError, TelegramNotFound

from gateway.bot.data import LineTo, SessionAct, SessionDo, SessionTo
from gateway.bot.handover import answers
from gateway.bot.screen import Button, Screen, button
from gateway.bot.visit import Doorkeeper
from gateway.bot.words import Words
from gateway.control.door import Notice, NoticeKind, Recommended, Severity, UndeliverableError
from gateway.errors import GatewayError

_LIGHTS: Final = {Severity.INFO: "ℹ️", Severity.WARNING: "🟠", Severity.ERROR: "🔴"}
#: What can be mended in the recommended settings.
_OF_SETTINGS: Final = frozenset({NoticeKind.SETTING_PENDING, NoticeKind.SETTING_REFUSED})


class Messenger:
    """Implements `control.notices.Delivery`.

    Args:
        session_name: What a session account is called, by its id.
    """

    def __init__(self, bot: Bot, doorkeeper: Doorkeeper, session_name: Callable[[int], str]) -> None:
        self._bot = bot
        self._doorkeeper = doorkeeper
        self._session_name = session_name

    async def deliver(self, notice: Notice) -> None:
        if not self._doorkeeper.admits(notice.administrator_id):
            raise UndeliverableError("the operator does not admit him any more")
        words = await self._doorkeeper.words_for(self._bot.id, notice.administrator_id)
        screen = notice_screen(words, notice, self._session_name(notice.account_id))
        try:
            await self._bot.send_message(notice.administrator_id, screen.text, reply_markup=screen.keyboard)
        except (TelegramForbiddenError, TelegramNotFound) as refused:
            raise UndeliverableError(refused.message) from refused
        except TelegramAPIError as failed:
            raise GatewayError(str(failed)) from failed


def notice_screen(words: Words, notice: Notice, session: str) -> Screen:
    facts = dict(notice.facts)
    key = f"notice-{notice.kind.value.replace('_', '-')}{'-over' if notice.over else ''}"
    values = {
        "session": session,
        "detail": words.said(facts.get("detail", "")) or words.label("none"),
        "line": facts.get("name", ""),
        "caller": facts.get("caller", ""),
        "banned": "yes" if facts.get("state") == "banned" else "no",
        "setting": _setting(words, facts.get("setting", "")),
        "until": _moment(facts.get("until", "")),
        "from": facts.get("from", "") or "nobody",
        "to": facts.get("to", ""),
        "since": _moment(notice.since.isoformat()),
    }
    light = "🟢" if notice.over else _LIGHTS[notice.severity]
    return Screen(words("notice", light=light, text=words(key, **values)), [*_buttons(words, notice)])


def _buttons(words: Words, notice: Notice) -> list[list[Button]]:
    if notice.kind is NoticeKind.HANDOVER_OFFERED:
        return [answers(words, notice.account_id)]
    if notice.kind is NoticeKind.HANDOVER_ACCEPTED:
        return []  # it is not his any more
    if notice.line_id is not None:
        return [[button(words.label("notice-to-line"), LineTo(id=notice.line_id, anew=True))]]
    if notice.kind in _OF_SETTINGS:
        to = SessionDo(id=notice.account_id, act=SessionAct.RECOMMENDED, anew=True)
        return [[button(words.label("session-recommended"), to)]]
    return [[button(words.label("notice-to-session"), SessionTo(id=notice.account_id, anew=True))]]


def _setting(words: Words, value: str) -> str:
    try:
        return words.word(Recommended(value))
    except ValueError:
        return value


def _moment(text: str) -> str:
    """A moment for people."""
    try:
        return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text or "?"
