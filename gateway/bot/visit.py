"""One update of one administrator: who he is, what he was asked, and how he is answered.

A handler answers with the next screen; here it is shown, the press answered, and what was asked remembered. So each
press is answered exactly once, whatever happened, and whoever goes elsewhere is not asked any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog
from aiogram import BaseMiddleware, Bot
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State
from aiogram.types import CallbackQuery, Message, TelegramObject, Update, User

from gateway.bot.live import Live, follow
from gateway.bot.memory import Conversations
from gateway.bot.screen import POPUP_MAX, Menu, Screen, cut, forget
from gateway.bot.words import DEFAULT, LANGUAGES, Words, joined, spoken_by, words_of
from gateway.control.door import Administrator, Admits, NotFoundError, StorageError
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]

#: What a conversation remembers of the message that asked.
_MENU: Final = "menu"
_PICTURE: Final = "picture"


class Visit:
    """What handlers know of whom they serve.

    Attributes:
        asker: In whose name the use-cases are asked; whatever a press claims, he gets only what is his.
        menu: The message that the answer is shown in.
    """

    def __init__(
        self,
        bot: Bot,
        user: User,
        words: Words,
        state: FSMContext,
        live: Live,
        *,
        press: CallbackQuery | None = None,
        message: Message | None = None,
    ) -> None:
        self.bot = bot
        self.user = user
        self.words = words
        self.asker = Administrator(user.id)
        self.live = live
        self.menu = Menu(bot, user.id)
        self._state = state
        self._press = press
        self._message = message
        self._asked: tuple[State, dict[str, Any]] | None = None
        self._popup: tuple[str, bool] | None = None
        self._answered = press is None
        self._stays = False
        self._kept_menu: int | None = None
        self._draw: Callable[[], Screen] | None = None
        self._work: Callable[[], Coroutine[Any, Any, None]] | None = None
        if press is not None and isinstance(press.message, Message):
            self.menu = Menu.at(bot, press.message)
        elif press is not None and press.message is not None:  # too old for Telegram to say more of it
            self.menu = Menu(bot, user.id, press.message.message_id)

    # What handlers say

    def say(self, text: str, *, alert: bool = False) -> None:
        """Answer the press with a pop-up, besides the screen or in its place."""
        self._popup = (cut(text, POPUP_MAX), alert)

    def ask(self, state: State, **data: Any) -> None:
        """With the screen something is asked, and the next text is the answer. `data` is kept with the question."""
        self._asked = (state, data)

    def stay(self) -> None:
        """What was asked is still asked."""
        self._stays = True

    def then(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Once the screen is shown `work` edits it, until something else is shown."""
        self._work = work

    def follow(self, draw: Callable[[], Screen]) -> None:
        """Let the screen follow what it shows for some time."""
        self._draw = draw

    def afresh(self) -> None:
        """What follows is another answer, long after the first."""
        self._asked = self._popup = self._draw = self._work = None
        self._stays = False

    def anew(self) -> None:
        """Leave the message that was pressed as it is, and show the screen in a new one."""
        self.menu = Menu(self.bot, self.user.id)

    async def acknowledge(self) -> None:
        """Answer the press now, because the rest takes its time."""
        if not self._answered and self._press is not None:
            self._answered = True
            await self._answer_press(self._press)

    async def is_asked(self) -> bool:
        """Whether an answer of his is waited for."""
        return await self._state.get_state() is not None

    async def recall(self) -> dict[str, Any]:
        """What was kept with the question; the answer will be shown in the message that asked it."""
        data = await self._state.get_data()
        if self._message is not None and _MENU in data:
            self.menu = Menu(self.bot, self.user.id, data[_MENU], has_picture=bool(data.get(_PICTURE)))
        return data

    async def swallow(self) -> None:
        """Delete what he wrote: it is no more needed, or nobody's business."""
        if self._message is not None:
            await forget(self.bot, self.user.id, self._message.message_id)

    # What comes of it

    async def deliver(self, screen: Screen | None) -> None:
        """Show it, answer the press, remember what was asked. Raises `GatewayError`, `TelegramAPIError`."""
        if screen is None:
            if self._press is None and self._popup is not None:
                await self.bot.send_message(self.user.id, self.words("complaint", what=self._popup[0]))
            await self._close_press()
            return
        await self.live.stop_menu(self.user.id)
        if self._press is None and self._popup is not None:
            text, is_alert = self._popup
            above = self.words("complaint" if is_alert else "note", what=text)
            screen = Screen(joined(above, screen.text), screen.rows)
        await self._remember()  # first: what is on the screen was then surely asked
        before = self.menu.message_id
        if not await self.menu.show(screen):
            if self._press is None:
                await self.menu.send(screen)  # the same mistake again: he has to see that he was heard
            elif self._popup is None:
                self.say(self.words.label("unchanged"))
        await self._close_press()
        if self._asked is not None and self._kept_menu != self.menu.message_id:
            await self._remember()
        elif self._stays and before != self.menu.message_id:
            data = await self._state.get_data()
            await self._state.set_data({**data, _MENU: self.menu.message_id, _PICTURE: self.menu.has_picture})
        if self._draw is not None:
            self.live.own_menu(self.user.id, follow(self.menu, self._draw, screen))
        elif self._work is not None:
            self.live.own_menu(self.user.id, self._work())

    async def _remember(self) -> None:
        if self._asked is not None:
            state, data = self._asked
            self._kept_menu = self.menu.message_id
            kept = {**data, _MENU: self.menu.message_id, _PICTURE: self.menu.has_picture}
            await self._state.set_data(kept)  # first: a question without its data could not be answered
            await self._state.set_state(state)
        elif not self._stays and await self._state.get_state() is not None:
            await self._state.clear()

    async def _close_press(self) -> None:
        if self._press is not None and (not self._answered or self._popup is not None):
            if self._answered and self._popup is not None:
                await self.bot.send_message(self.user.id, self.words("complaint", what=self._popup[0]))
                return
            self._answered = True
            await self._answer_press(self._press)

    async def _answer_press(self, press: CallbackQuery) -> None:
        text, alert = self._popup or (None, None)
        self._popup = None
        try:
            await press.answer(text, show_alert=alert)
        except TelegramBadRequest as late:
            log.debug("press could not be answered", reason=late.message)


class Doorkeeper(BaseMiddleware):
    """Lets in admitted administrators, in private chats; everybody else gets one polite sentence."""

    def __init__(self, admits: Admits, conversations: Conversations, live: Live) -> None:
        self.admits = admits
        self._conversations = conversations
        self._live = live
        self._languages: dict[int, str] = {}

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        assert isinstance(event, Update)
        press, message = event.callback_query, event.message
        subject = press or message
        if subject is None or subject.from_user is None:
            return await handler(event, data)  # of no interest here; another room's, perhaps
        chat = message.chat if message is not None else press and press.message and press.message.chat
        if not chat or chat.type != ChatType.PRIVATE:
            return None if message is not None else await handler(event, data)
        user, bot = subject.from_user, data["bot"]
        if not self.admits(user.id):
            log.info("stranger was turned away", user_id=user.id)
            sentence = words_of(spoken_by(user.language_code)).label("stranger")
            await (press.answer(sentence, show_alert=True) if press else bot.send_message(user.id, sentence))
            return None
        words = await self.words_for(bot.id, user.id, user.language_code or DEFAULT)
        data["visit"] = Visit(bot, user, words, data["state"], self._live, press=press, message=message)
        return await handler(event, data)

    async def words_for(self, bot_id: int, user_id: int, language_code: str | None = None) -> Words:
        """In the language that he chose, or else his app's, or else the default."""
        language = self._languages.get(user_id)
        if language is None:
            language = await self._conversations.language(bot_id, user_id)
            if language is None and language_code is not None:
                language = spoken_by(language_code)
            if language is not None:
                self._languages[user_id] = language
        return words_of(language if language in LANGUAGES else DEFAULT)

    async def choose_language(self, visit: Visit, language: str) -> None:
        await self._conversations.save_language(visit.bot.id, visit.user.id, language)
        self._languages[visit.user.id] = language
        visit.words = words_of(language)


class Reception(BaseMiddleware):
    """Around each handler: its screen is shown, and what went wrong is said."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        visit: Visit | None = data.get("visit")
        if visit is None:
            return await handler(event, data)
        screen: Screen | None = None
        if getattr(data.get("callback_data"), "anew", False):
            visit.anew()
        try:
            screen = await handler(event, data)
        except StorageError as error:
            log.warning("database failed a visit", user_id=visit.user.id, error=str(error))
            visit.say(visit.words.label("not-now"), alert=True)  # how it is built is nobody's business
        except NotFoundError:
            visit.say(visit.words.label("gone"), alert=True)
        except GatewayError as error:
            visit.say(visit.words.said(str(error)), alert=True)
        except TelegramAPIError:
            raise
        except Exception:
            log.exception("bot failed by a fault of ours", user_id=visit.user.id)
            visit.say(visit.words.label("fault"), alert=True)
        await visit.deliver(screen)
        return None
