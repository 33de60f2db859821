"""A screen: a text with buttons, shown in one message that is edited in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.filters.callback_data import CallbackData
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
)

from gateway.bot.words import Html

log = structlog.get_logger(__name__)

#: Source: https://core.telegram.org/bots/api#sendmessage, #answercallbackquery.
TEXT_MAX: Final = 4096
POPUP_MAX: Final = 200
#: Telegram names no limit; what is longer is cut by every app.
LABEL_MAX: Final = 60
#: Entries of a list on one screen: what fits a phone.
PAGE: Final = 8

_NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)


@dataclass(frozen=True, slots=True)
class Button:
    """Pressing it sends `data` back, of at most 64 bytes, which anybody could forge; or opens `url`."""

    text: str
    data: str = ""
    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Screen:
    """What a person sees.

    Attributes:
        picture: A PNG above the text.
    """

    text: Html
    rows: Sequence[Sequence[Button]] = field(default=())
    picture: bytes | None = field(default=None, repr=False)

    @property
    def keyboard(self) -> InlineKeyboardMarkup:
        return InlineKeyboardMarkup(
            inline_keyboard=[
                [
                    InlineKeyboardButton(text=button.text, url=button.url)
                    if button.url
                    else InlineKeyboardButton(text=button.text, callback_data=button.data)
                    for button in row
                ]
                for row in self.rows
                if row
            ]
        )


def button(text: str, data: CallbackData) -> Button:
    """A button of one line, whatever somebody called the thing it names."""
    label = " ".join(text.split())
    return Button(label if len(label) <= LABEL_MAX else label[: LABEL_MAX - 1] + "…", data.pack())


def grid(buttons: Iterable[Button], width: int) -> list[list[Button]]:
    """Buttons in rows of so many."""
    every = list(buttons)
    return [every[at : at + width] for at in range(0, len(every), width)]


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Menu:
    """The one message in a chat that shows screens.

    Attributes:
        message_id: None while there is none.
    """

    def __init__(self, bot: Bot, chat_id: int, message_id: int | None = None, *, has_picture: bool = False) -> None:
        self.bot = bot
        self.chat_id = chat_id
        self.message_id = message_id
        self.has_picture = has_picture

    @classmethod
    def at(cls, bot: Bot, message: Message) -> Menu:
        return cls(bot, message.chat.id, message.message_id, has_picture=bool(message.photo))

    async def show(self, screen: Screen) -> bool:
        """Edit the message; where there is none, or it can't be edited, send a new one. Raises `TelegramAPIError`.

        Returns:
            Whether anything has changed on the screen.
        """
        if self.message_id is not None and self.has_picture == (screen.picture is not None):
            try:
                await self._edit(screen, self.message_id)
                return True
            except TelegramBadRequest as refused:
                if "not modified" in refused.message:
                    return False
                log.info("menu could not be edited", chat=self.chat_id, reason=refused.message)
        await self.send(screen)
        return True

    async def send(self, screen: Screen) -> None:
        """Show it in a new message, in place of the one there was. Raises `TelegramAPIError`."""
        before = self.message_id
        if screen.picture is None:
            sent = await self.bot.send_message(
                self.chat_id, screen.text, reply_markup=screen.keyboard, link_preview_options=_NO_PREVIEW
            )
        else:
            sent = await self.bot.send_photo(
                self.chat_id, _file(screen.picture), caption=screen.text, reply_markup=screen.keyboard
            )
        self.message_id, self.has_picture = sent.message_id, screen.picture is not None
        if before is not None:
            await forget(self.bot, self.chat_id, before)

    async def remove(self) -> None:
        if self.message_id is not None:
            await forget(self.bot, self.chat_id, self.message_id)
            self.message_id = None

    async def _edit(self, screen: Screen, message_id: int) -> None:
        if screen.picture is None:
            await self.bot.edit_message_text(
                screen.text,
                chat_id=self.chat_id,
                message_id=message_id,
                reply_markup=screen.keyboard,
                link_preview_options=_NO_PREVIEW,
            )
        else:
            picture = InputMediaPhoto(media=_file(screen.picture), caption=screen.text)
            await self.bot.edit_message_media(
                picture, chat_id=self.chat_id, message_id=message_id, reply_markup=screen.keyboard
            )


async def forget(bot: Bot, chat_id: int, message_id: int) -> None:
    """Delete a message; one that is too old, or gone, stays as it is."""
    try:
        await bot.delete_message(chat_id, message_id)
    except (TelegramBadRequest, TelegramForbiddenError) as refused:
        log.debug("message could not be deleted", chat=chat_id, reason=refused.message)


def _file(picture: bytes) -> BufferedInputFile:
    return BufferedInputFile(picture, "code.png")
