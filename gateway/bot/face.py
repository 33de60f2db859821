"""The administrator's bot: one poll for news, and a task for each update."""

from __future__ import annotations

from gateway.bot import lean  # noqa: F401  isort: skip  # before aiogram

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiogram import Bot, Dispatcher, Router
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import NextRequestMiddlewareType
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.enums import ParseMode
from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter, TelegramUnauthorizedError
from aiogram.filters import Command, Filter
from aiogram.fsm.storage.memory import SimpleEventIsolation
from aiogram.methods import GetUpdates, TelegramMethod
from aiogram.types import BotCommand, ErrorEvent, Update

from gateway.bot import (
    calls,
    card,
    chat,
    handover,
    language,
    line_fields,
    lines,
    recommended,
    routing,
    sessions,
    start,
    wizard,
)
from gateway.bot.live import Live
from gateway.bot.memory import Conversations, Memory
from gateway.bot.notices import Messenger
from gateway.bot.secrets import Secrets
from gateway.bot.sessions import title
from gateway.bot.settings import BotSettings
from gateway.bot.visit import Doorkeeper, Reception, Visit
from gateway.bot.wizard import Keypads
from gateway.bot.words import DEFAULT, LANGUAGES, spoken_by, words_of
from gateway.control.door import Admits, Operator, UseCases
from gateway.control.logins import Logins
from gateway.control.password_links import PasswordLinks
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

COMMANDS: Final = ("start", "gateway", "lines", "calls", "why", "language", "cancel", "help")

#: Between attempts to reach the Bot API; doubles from the first to the last.
RETRY_MIN_S, RETRY_MAX_S = 0.5, 30.0
#: Telegram lets nobody send or edit as fast as he likes; a person waits for so long, and no longer.
PATIENCE_S: Final = 20.0
#: Beyond the poll itself.
REQUEST_S: Final = 15.0
#: What is being answered when we stop may take so long to end.
LEAVE_S: Final = 5.0


class Welcome(Filter):
    """Only visits: whoever the doorkeeper let in."""

    async def __call__(self, *_: object, visit: Visit | None = None) -> bool:
        return visit is not None


class AdministratorBot:
    """Opened with `async with`; it answers for as long as the block lasts.

    Args:
        admits: Who may be an administrator; all others are turned away.
        house: The use-cases; whatever is asked of them is asked in the name of who wrote or pressed.
        logins: Where the wizard's login conversations are held.
        links: To a page for passwords, where there is one.
        others: Routers of other rooms that hear the same bot's news.
    """

    def __init__(
        self,
        settings: BotSettings,
        admits: Admits,
        conversations: Conversations,
        house: UseCases,
        logins: Logins,
        links: PasswordLinks | None = None,
        others: Iterable[Router] = (),
    ) -> None:
        self._settings = settings
        self._admits = admits
        self._conversations = conversations
        self._house = house
        self._logins = logins
        self._links = links
        self._others = tuple(others)
        self._closing = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        server = TelegramAPIServer.from_base(settings.api_url) if settings.api_url else PRODUCTION
        self.bot = Bot(
            settings.token.get_secret_value(),
            session=AiohttpSession(api=server),
            default=DefaultBotProperties(parse_mode=ParseMode.HTML),
        )

        self.bot.session.middleware(_wait_if_told_to)
        self._secrets = Secrets(self.bot, conversations, settings.secret_shown_s)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.push_async_callback(self.bot.session.close)
            live = await opening.enter_async_context(Live())
            doorkeeper = Doorkeeper(self._admits, self._conversations, live)
            self._dispatcher = self._make_dispatcher(doorkeeper)
            group = await opening.enter_async_context(asyncio.TaskGroup())
            listening = group.create_task(self._listen(group), name="bot")
            opening.push_async_callback(self._leave, listening)
            self._house.notices.deliver_by(Messenger(self.bot, doorkeeper, self._session_name))
            opening.callback(self._house.notices.deliver_by, None)
            self._closing = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    def _session_name(self, account_id: int) -> str:
        return title(self._house.accounts.show(Operator(), account_id))

    def _make_dispatcher(self, doorkeeper: Doorkeeper) -> Dispatcher:
        dispatcher = Dispatcher(
            storage=Memory(self._conversations),
            events_isolation=SimpleEventIsolation(),  # one's presses are answered in their order
            name="bot",
            house=self._house,
            logins=self._logins,
            links=self._links,
            secrets=self._secrets,
            doorkeeper=doorkeeper,
            keypads=Keypads(),
        )
        dispatcher.update.outer_middleware(doorkeeper)
        dispatcher.error.register(_apologise)
        administrators = Router(name="administrators")
        for observer in (administrators.message, administrators.callback_query):
            observer.filter(Welcome())
            observer.middleware(Reception())
        rooms = (
            start,
            language,
            sessions,
            wizard,
            card,
            recommended,
            chat,
            handover,
            lines,
            line_fields,
            routing,
            calls,
        )
        administrators.include_router(_one_of([*(room.router for room in rooms), start.leftovers]))
        dispatcher.include_routers(administrators, *self._others)
        return dispatcher

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        """Fetch news for ever; each update is handled in a task of its own."""
        wanted = self._dispatcher.resolve_used_update_types()
        offset, wait_s, introduced = None, RETRY_MIN_S, False
        while True:
            try:
                if not introduced:
                    await self._introduce()
                    await self._secrets.delete_left_over()
                    introduced = True
                poll = GetUpdates(offset=offset, timeout=self._settings.poll_s, allowed_updates=wanted)
                updates = await self.bot(poll, request_timeout=round(self._settings.poll_s + REQUEST_S))
                wait_s = RETRY_MIN_S
            except (TelegramAPIError, GatewayError) as failed:
                if isinstance(failed, TelegramUnauthorizedError):
                    log.error("bot token was refused by Telegram", reason=failed.message)
                    wait_s = RETRY_MAX_S
                else:
                    log.warning("bot can't reach Telegram", reason=str(failed))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            for update in updates:
                offset = update.update_id + 1
                task = group.create_task(self._handle(update), name=f"update {update.update_id}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _introduce(self) -> None:
        """Tell Telegram which commands there are, in each language."""
        for code in LANGUAGES:
            words = words_of(code)
            commands = [BotCommand(command=name, description=words.label(f"command-{name}")) for name in COMMANDS]
            await self.bot.set_my_commands(commands, language_code=None if code == DEFAULT else code)

    async def _handle(self, update: Update) -> None:
        try:
            await self._dispatcher.feed_update(self.bot, update)
        except TelegramAPIError as failed:
            log.warning("an update could not be answered", reason=str(failed))
        except Exception:
            log.exception("an update failed by a fault of ours")

    async def _leave(self, listening: asyncio.Task[None]) -> None:
        """Listen no more, and let what is being answered come to its end."""
        listening.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=LEAVE_S)
        for task in self._tasks:
            task.cancel()


def _one_of(rooms: Iterable[Router]) -> Router:
    """The rooms' handlers in a router of this bot's: aiogram attaches a router only once in a process.

    Commands come first, whichever room they are of: else "/calls" would be the answer to what another room has asked.
    """
    own = Router(name="rooms")
    for room in rooms:
        for kind, observer in room.observers.items():
            own.observers[kind].handlers.extend(observer.handlers)
    own.message.handlers.sort(key=lambda handler: not _is_command(handler))
    return own


def _is_command(handler: HandlerObject) -> bool:
    return any(isinstance(one.callback, Command) for one in handler.filters or ())


async def _wait_if_told_to(make_request: NextRequestMiddlewareType[Any], bot: Bot, method: TelegramMethod[Any]) -> Any:
    """What Telegram puts off for a moment is done after that moment."""
    left_s = PATIENCE_S
    while True:
        try:
            return await make_request(bot, method)
        except TelegramRetryAfter as flood:
            left_s -= flood.retry_after
            if left_s < 0:
                raise
            await asyncio.sleep(flood.retry_after)


async def _apologise(event: ErrorEvent, bot: Bot, **_: Any) -> None:
    """Something failed before a visit began, or after its end: the database, or Telegram's Bot API."""
    if isinstance(event.exception, TelegramAPIError):
        log.warning("an update could not be answered", reason=str(event.exception))
        return
    log.error("an update failed", exc_info=event.exception)
    press, message = event.update.callback_query, event.update.message
    if (subject := press or message) is None or subject.from_user is None:
        return
    words = words_of(spoken_by(subject.from_user.language_code))
    known = isinstance(event.exception, GatewayError)
    text = words.label("not-now" if known else "fault")
    await (
        press.answer(text, show_alert=True)
        if press
        else bot.send_message(subject.from_user.id, words("complaint", what=text))
    )
