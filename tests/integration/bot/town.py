"""A gateway with its bot beside a local Telegram, and people who use it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.call.model import LineKind
from gateway.control.door import Administrator, Operator
from gateway.demo.world import connect_account, settings_for
from gateway.provisioning.ami import connected
from gateway.sandbox.person import Chat, Person, Screen
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User

OPERATOR = Operator()
BOT = "siptg_bot"


@dataclass
class Boss:
    """An administrator at his phone, in the chat with the bot."""

    user: User
    person: Person
    chat: Chat

    @property
    def asker(self) -> Administrator:
        return Administrator(self.user.id)

    async def go(self, *labels: str) -> Screen:
        """Press one button after the other; the last screen."""
        for label in labels:
            screen = await self.chat.press(label)
        return screen

    async def open(self, command: str) -> Screen:
        """Send a command; the screen that answers it, whatever older ones do meanwhile: cards follow what they show."""
        said = await self.chat.say(command)
        newer: list[Screen] = []
        async with asyncio.timeout(self.person.patience_s):
            while not newer:
                newer = [screen for screen in self.chat.screens() if screen.message.id > said.id]
                await asyncio.sleep(0.02)
        return newer[-1]

    async def tap_code(self, code: str) -> None:
        for digit in code:
            await self.chat.press(digit)


@asynccontextmanager
async def open_town(folder: Path, sandbox_key: Path, **slices: Mapping[str, Any]) -> AsyncIterator[Town]:
    """Open one whose bot admits everybody; `slices` are further settings of the gateway's."""
    (folder / "telegram").mkdir()
    shutil.copy(sandbox_key, folder / "telegram")
    async with Sandbox(folder / "telegram") as sandbox:
        bot = sandbox.create_bot(BOT, "SIP gateway")
        admits = {"administrators": "anyone"} | dict(slices.pop("control", {}))
        talks = {"token": bot.bot_token, "api_url": sandbox.bot_api_url} | dict(slices.pop("bot", {}))
        settings = settings_for(sandbox, folder / "gateway", bot=talks, control=admits, **slices)
        async with Gateway(settings) as gateway:
            yield Town(sandbox, gateway, bot)


class Town:
    """All of it."""

    def __init__(self, sandbox: Sandbox, gateway: Gateway, bot: User) -> None:
        self.sandbox = sandbox
        self.gateway = gateway
        self.bot = bot
        self._numbers = itertools.count(15_550_300)

    def somebody(self, first_name: str = "Ann", **options: Any) -> User:
        """A Telegram user with a number of his own."""
        return self.sandbox.create_user(f"+{next(self._numbers)}", first_name, **options)

    @asynccontextmanager
    async def boss(self, user: User | None = None, *, bot: str = BOT, language: str = "") -> AsyncIterator[Boss]:
        """An administrator who has nothing yet."""
        user = user or self.somebody("Boss")
        client = self.sandbox.client(user, lang_code=language or "en", system_lang_code=language or "en")
        async with Person(client) as person:
            yield Boss(user, person, await person.chat(bot))

    @contextmanager
    def but(self, **settings: Any) -> Iterator[None]:
        """Telegram with other settings, as long as the block lasts."""
        before = {name: getattr(self.sandbox.settings, name) for name in settings}
        for name, value in settings.items():
            setattr(self.sandbox.settings, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self.sandbox.settings, name, value)

    @contextmanager
    def failing(self, method: str, error: str, **rule: Any) -> Iterator[None]:
        """Telegram refuses, as long as the block lasts."""
        fault = self.sandbox.fault(method, error=error, **rule)
        try:
            yield
        finally:
            self.sandbox.faults.remove(fault.id)

    async def session(self, boss: Boss, first_name: str = "Acme", **options: Any) -> int:
        """A session of his, connected without the way there."""
        user = self.somebody(first_name, **options)
        account = await connect_account(self.gateway, self.sandbox, f"+{user.phone}")
        await self.gateway.accounts.assign(OPERATOR, account.id, boss.user.id)
        return account.id

    async def line(
        self, session: int, kind: LineKind = LineKind.PBX_REGISTERS, fields: Mapping[str, str] | None = None
    ) -> int:
        return (await self.gateway.lines.add(OPERATOR, session, kind, fields or {"name": "reception"})).line.id

    async def in_asterisk(self, action: str, **fields: str) -> dict[str, dict[str, str]]:
        """What Asterisk itself tells, by the kind of event, its fields in small letters."""
        async with connected(self.gateway.asterisk.ami, lambda event: None) as ami:
            events = await ami.act(action, **fields)
        return {event.get("event", ""): dict(event) for event in events}

    async def endpoint(self, line_id: int) -> dict[str, str]:
        """A line's running endpoint, with its login and password."""
        found = await self.in_asterisk("PJSIPShowEndpoint", Endpoint=f"line{line_id}")
        return {**found.get("AuthDetail", {}), **found["EndpointDetail"]}

    async def dialplan(self, context: str) -> list[str]:
        """The applications of a running context, with their data."""
        async with connected(self.gateway.asterisk.ami, lambda event: None) as ami:
            events = await ami.act("ShowDialPlan", Context=context)
        return [f"{one.get('application')}({one.get('appdata')})" for one in events if one.get("application")]


async def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something is so, that nobody tells of. Raises `TimeoutError`."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.02)
