"""A person at a phone: sends texts, presses buttons, reads what is on the screen. For tests, and for the demo.

    async with Person(sandbox.client(ann)) as person:
        chat = await person.chat("our_bot")
        await chat.send("/start")
        await chat.press("Connect")
        assert "phone number" in (await chat.screen()).text

Nothing sleeps: `send` and `press` return when the other side has answered by a message, an edit or a deletion; where it
does more than one thing, `see` waits for the one that counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from telethon import TelegramClient, events, utils
from telethon.errors import BotResponseTimeoutError
from telethon.tl import functions, types

from gateway.sandbox.mtproto import TL

#: How long a person waits before he says that nothing happens.
PATIENCE_S: Final = 5.0


class NothingHappenedError(AssertionError):
    """What the person waited for did not come; tells what is on the screen instead."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A message as a person sees it.

    Attributes:
        rows: The labels of its buttons.
        answer: What popped up when he pressed the button that led here, or "".
        is_alert: Whether he had to confirm it.
        message: As Telegram sent it.
    """

    text: str
    rows: tuple[tuple[str, ...], ...]
    message: TL
    answer: str = ""
    is_alert: bool = False

    @property
    def labels(self) -> list[str]:
        return [label for row in self.rows for label in row]

    @property
    def has_picture(self) -> bool:
        return isinstance(self.message.media, types.MessageMediaPhoto)

    def button(self, label: str) -> TL:
        """The button of this label, or the only one whose label has it as a part. Raises `NothingHappenedError`."""
        buttons = _buttons(self.message)
        exact = [button for button in buttons if button.text == label]
        found = exact or [button for button in buttons if label in button.text]
        if len(found) != 1:
            raise NothingHappenedError(f"there is {'no' if not found else 'more than one'} button {label!r}:\n{self}")
        return found[0]

    def __str__(self) -> str:
        media = type(self.message.media).__name__.removeprefix("MessageMedia").lower() if self.message.media else ""
        keyboard = [" ".join(f"[{label}]" for label in row) for row in self.rows]
        return "\n".join([f"({media})"] * bool(media) + ([self.text] if self.text else []) + keyboard)


#: What is left when the only message was deleted.
NOTHING: Final = Screen("", (), types.Message(0, types.PeerUser(0), None, ""))


@dataclass(slots=True)
class Transcript:
    """A conversation as text, for people to read."""

    entries: list[tuple[str, str]] = field(default_factory=list)

    def note(self, who: str, what: str) -> None:
        self.entries.append((who, what))

    def __str__(self) -> str:
        width = max((len(who) for who, _ in self.entries), default=0)
        lines = []
        for who, what in self.entries:
            first, *others = what.split("\n") or [""]
            lines += [f"{who:>{width}}  {first}".rstrip(), *(f"{'':{width}}  {line}".rstrip() for line in others)]
        return "\n".join(lines)


class Person:
    """One user, with a Telethon client that is logged in; it is connected here, and disconnected at the end."""

    def __init__(
        self, client: TelegramClient, *, transcript: Transcript | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self.client = client
        self.transcript = transcript or Transcript()
        self.patience_s = patience_s
        self.name = ""
        self._chats: dict[int, Chat] = {}

    async def __aenter__(self) -> Self:
        await self.client.connect()
        # Asked for here, because Telethon keeps the order of updates only once it knows who it is.
        me = await self.client.get_me()
        self.name = me.first_name
        kinds = [types.UpdateNewMessage, types.UpdateEditMessage, types.UpdateDeleteMessages]
        self.client.add_event_handler(self._heard, events.Raw(kinds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.disconnect()

    async def chat(self, peer: Any) -> Chat:
        """The chat with a bot or another user, by name or anything that Telethon takes."""
        entity = await self.client.get_entity(peer)
        known = self._chats.get(entity.id)
        if known is None:
            known = self._chats[entity.id] = Chat(self, entity)
            for message in reversed(await self.client.get_messages(entity, limit=20)):
                known.changed(message, noted=False)
        return known

    async def _heard(self, update: TL) -> None:
        if isinstance(update, types.UpdateDeleteMessages):
            for chat in self._chats.values():
                chat.deleted(update.messages)
        elif (chat_id := getattr(update.message.peer_id, "user_id", None)) in self._chats:
            self._chats[chat_id].changed(update.message)


class Chat:
    """What the person sees of one chat. `screen` is what the other side wrote or edited last."""

    def __init__(self, person: Person, peer: TL) -> None:
        self._person = person
        self._peer = peer
        self._name = utils.get_display_name(peer)
        #: Those that are there, the one that was touched last at the end.
        self._messages: dict[int, TL] = {}
        self._changes = 0
        self._change = asyncio.Event()

    # What the person does

    async def send(self, text: str) -> Screen:
        """Send a text, and wait for what comes of it. Answers the screen then. Raises `NothingHappenedError`."""
        before = self._changes
        await self.say(text)
        return await self._until(lambda: self._changes > before, f"nothing came of {text!r}")

    async def say(self, text: str) -> TL:
        """Send a text, and wait for nothing. Answers the message."""
        self._person.transcript.note(self._person.name, text)
        return await self._person.client.send_message(self._peer, text, parse_mode=None)

    async def press(self, label: str, *, on: Screen | None = None) -> Screen:
        """Press a button, wait for the answer, and if that says nothing, for what changes.

        Args:
            label: The button's, or a part that no other one has.
            on: An older screen, whose button may be gone.

        Raises:
            NothingHappenedError: There is no such button, or nothing came of it.
        """
        screen = on or await self.screen()
        button = screen.button(label)
        self._person.transcript.note(self._person.name, f"presses [{button.text}]")
        if isinstance(button, types.KeyboardButton):
            return await self.send(button.text)
        if not isinstance(button.type, types.InlineButtonTypeCallback):
            raise NothingHappenedError(f"[{button.text}] tells the bot nothing: {button.type}")
        return await self.forge(button.type.data, on=screen)

    async def forge(self, data: bytes, *, on: Screen | None = None) -> Screen:
        """The same with any data, as somebody with a client of his own could."""
        screen = on or await self.screen()
        before = self._changes
        question = functions.messages.GetBotCallbackAnswerRequest(self._peer, screen.message.id, data=data)
        try:
            answer = await self._person.client(question)
        except BotResponseTimeoutError as late:
            raise NothingHappenedError(f"nobody answered the press of {data!r}") from late
        if answer.message:
            self._person.transcript.note(self._name, f"{'alert' if answer.alert else 'notice'}: {answer.message}")
            shown = self._last() or screen
        else:
            shown = await self._until(lambda: self._changes > before, f"nothing came of pressing {data!r}")
        return Screen(shown.text, shown.rows, shown.message, answer.message or "", bool(answer.alert))

    # What he sees

    async def screen(self) -> Screen:
        """What the other side wrote or edited last, waiting if there is nothing. Raises `NothingHappenedError`."""
        return await self._until(lambda: self._last() is not None, "there is nothing")

    async def see(self, text: str) -> Screen:
        """Wait until the screen has this text in it. Raises `NothingHappenedError`."""

        def seen() -> bool:
            last = self._last()
            return last is not None and (text in last.text or any(text in label for label in last.labels))

        return await self._until(seen, f"{text!r} did not come")

    async def gone(self, screen: Screen) -> None:
        """Wait until a message is deleted. Raises `NothingHappenedError`."""
        await self._wait(lambda: screen.message.id not in self._messages, f"still there:\n{screen}")

    def screens(self) -> list[Screen]:
        """All that the other side, or somebody through a bot, wrote and has not deleted, the oldest first."""
        return [_screen(self._messages[number]) for number in sorted(self._messages) if self._counts(number)]

    async def picture(self, screen: Screen | None = None) -> bytes:
        """The photo or document of a message, downloaded."""
        message = (screen or await self.screen()).message
        data = await self._person.client.download_media(message.media, file=bytes)
        assert isinstance(data, bytes), "the message has a photo or a document"
        return data

    # What Telegram tells

    def changed(self, message: TL, *, noted: bool = True) -> None:
        if isinstance(message, types.MessageService | types.MessageEmpty):
            return
        is_edit = message.id in self._messages
        self._messages.pop(message.id, None)
        self._messages[message.id] = message
        if not self._counts(message.id):
            return
        if noted:
            who = self._person.name if message.out else self._name
            self._person.transcript.note(who, f"{'(edits) ' if is_edit else ''}{_screen(message)}")
        self._happened()

    def deleted(self, numbers: list[int]) -> None:
        for number in numbers:
            if number in self._messages:
                counts = self._counts(number)
                self._messages.pop(number)
                if counts:
                    self._person.transcript.note(self._name, "(deletes a message)")
                    self._happened()

    def _counts(self, number: int) -> bool:
        """Whether a message is the other side's; what came through a bot is, whoever sent it."""
        message = self._messages[number]
        return not message.out or bool(message.via_bot_id)

    def _last(self) -> Screen | None:
        last = next((number for number in reversed(self._messages) if self._counts(number)), None)
        return None if last is None else _screen(self._messages[last])

    # Waiting

    def _happened(self) -> None:
        self._changes += 1
        self._change.set()

    async def _until(self, happened: Callable[[], bool], complaint: str) -> Screen:
        await self._wait(happened, complaint)
        return self._last() or NOTHING

    async def _wait(self, happened: Callable[[], bool], complaint: str) -> None:
        until = time.monotonic() + self._person.patience_s
        while not happened():
            self._change.clear()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await self._change.wait()
            except TimeoutError:
                raise NothingHappenedError(f"{complaint}; on the screen:\n{self._last()}") from None


def _buttons(message: TL) -> list[TL]:
    rows = getattr(message.reply_markup, "rows", None) or []
    return [button for row in rows for button in row.buttons]


def _screen(message: TL) -> Screen:
    rows = getattr(message.reply_markup, "rows", None) or []
    return Screen(message.message or "", tuple(tuple(button.text for button in row.buttons) for row in rows), message)
