"""The gateway is killed at each step of the wizard and of an edit: after the restart nothing is half-done."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import aiohttp
import pytest

from gateway.call.model import Line
from gateway.control.door import LineHealth
from gateway.control.requests import ListLines, ListSessions
from gateway.control.rpc import running
from gateway.sandbox.person import Chat, Person
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.commands import environment_beside

#: A process starts Python and Asterisk; a loaded machine takes its time.
START_S = 30.0
#: The same after each start, and none of those that connections to elsewhere are given.
PAGES_PORT = 9471


class Mortal:
    """A gateway in a process of its own, that can be killed and started again."""

    def __init__(self, sandbox: Sandbox, bot: User, administrator: User, state: Path) -> None:
        self.state = state
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[bytes] | None = None
        self._environment = environment_beside(
            sandbox,
            state,
            SIPTG_BOT__TOKEN=bot.bot_token or "",
            SIPTG_BOT__API_URL=sandbox.bot_api_url,
            SIPTG_CONTROL__ADMINISTRATORS=str(administrator.id),
            SIPTG_WEB__PUBLIC_URL=f"http://127.0.0.1:{PAGES_PORT}",
            SIPTG_WEB__PAGES_PORT=str(PAGES_PORT),
            SIPTG_LOG__STYLE="json",
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill(signal.SIGINT)

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "serve"), stderr=asyncio.subprocess.PIPE, env=self._environment
        )
        assert self._process.stderr is not None
        said = [b""]
        try:
            async with asyncio.timeout(START_S):
                while b"gateway is up" not in said[-1]:
                    said.append(await self._process.stderr.readline())
                    assert said[-1], f"the gateway ended while starting: {said[-5:]}"
        except BaseException:
            if self._process.returncode is None:
                self._process.kill()  # nobody else would
            raise
        self._drain = asyncio.create_task(self._process.stderr.read())

    async def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        assert self._drain is not None
        self._process.send_signal(sign)
        async with asyncio.timeout(START_S):
            await self._process.wait()
            await self._drain

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def line(self) -> tuple[Line, LineHealth]:
        """Its only line, and how that is in Asterisk."""
        ask = await running(self.state)
        assert ask is not None
        [view] = await ask(ListLines())
        return view.line, view.state.health

    async def sessions(self) -> int:
        ask = await running(self.state)
        assert ask is not None
        views = await ask(ListSessions())
        return len(views)


@pytest.fixture
def boss(sandbox: Sandbox) -> User:
    return sandbox.create_user("+15550001", "Boss")


@pytest.fixture
async def mortal(sandbox: Sandbox, boss: User, tmp_path: Path) -> AsyncIterator[Mortal]:
    bot = sandbox.create_bot("siptg_bot", "SIP gateway")
    async with Mortal(sandbox, bot, boss, tmp_path / "state") as gateway:
        yield gateway


@pytest.fixture
async def chat(sandbox: Sandbox, boss: User, mortal: Mortal) -> AsyncIterator[Chat]:
    async with Person(sandbox.client(boss), patience_s=15) as person:
        yield await person.chat("siptg_bot")


async def tap(chat: Chat, code: str) -> None:
    for digit in code:
        await chat.press(digit)


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def to_the_code(sandbox: Sandbox, chat: Chat, user: User) -> str:
    await chat.send(f"+{user.phone}")
    await chat.see("Tap it in below")
    return sandbox.login_code(f"+{user.phone}")


@pytest.mark.timeout(180)
async def test_a_login_that_was_cut_short_is_begun_again_and_nothing_is_left_of_it(
    sandbox: Sandbox, mortal: Mortal, chat: Chat
) -> None:
    user = sandbox.create_user("+15550100", "Acme", password="tea at five", email="acme@example.org")

    await chat.send("/gateway")
    await chat.press("Connect a session")
    await chat.press("On this gateway")
    await mortal.restart()
    code = await to_the_code(sandbox, chat, user)  # that step had nothing to lose
    await tap(chat, code[:2])
    await mortal.restart()
    await chat.press(code[2])
    await chat.see("Please begin again")
    assert sandbox.authorizations(user) == []

    await chat.press("Begin again")
    await tap(chat, await to_the_code(sandbox, chat, user))
    await chat.see("Two-step verification")
    await mortal.restart()
    await chat.press("A code by e-mail")
    await chat.see("Please begin again")

    await chat.press("Begin again")
    await tap(chat, await to_the_code(sandbox, chat, user))
    await chat.see("Two-step verification")
    link = (await chat.press("On a page")).button("Open the page").type.url
    assert await status_of(link) == 200
    await mortal.restart()
    assert await status_of(link) == 404
    await chat.press("A new link")
    await chat.see("Please begin again")

    await chat.press("Begin again")
    await tap(chat, await to_the_code(sandbox, chat, user))
    await chat.see("Two-step verification")
    await chat.press("A code by e-mail")
    await chat.press("I understand")
    await chat.see("Code by e-mail")
    await mortal.restart()
    await chat.send(sandbox.recovery_code(user))
    await chat.see("Please begin again")
    assert sandbox.authorizations(user) == []
    assert sandbox.telegram.world.password(user.id) is not None
    assert await mortal.sessions() == 0

    await chat.press("Begin again")
    await tap(chat, await to_the_code(sandbox, chat, user))
    await chat.see("Two-step verification")
    await chat.press("A code by e-mail")
    await chat.press("I understand")
    await chat.send(sandbox.recovery_code(user))
    await chat.see("Connected")
    await mortal.restart()
    await chat.send("/gateway")
    await chat.press("Acme")
    await chat.see("🟢 Online")
    assert len(sandbox.authorizations(user)) == 1


@pytest.mark.timeout(180)
async def test_an_edit_that_was_cut_short_is_there_whole_or_not_at_all(
    sandbox: Sandbox, mortal: Mortal, chat: Chat
) -> None:
    user = sandbox.create_user("+15550100", "Acme")
    await chat.send("/gateway")
    await chat.press("Connect a session")
    await chat.press("On this gateway")
    await tap(chat, await to_the_code(sandbox, chat, user))
    await chat.see("Recommended settings")

    # A new line: what was answered before is not asked again.
    await chat.send("/lines")
    await chat.press("New line")
    await chat.press("Gateway → PBX")
    await chat.send("127.0.0.1:5999")
    await chat.send("100")
    await mortal.restart()
    assert "Registering with 127.0.0.1:5999 as 100" in (await chat.send("s3cret")).text

    # A field that was asked for is still asked for.
    await chat.press("Number: –")
    await mortal.restart()
    assert "Number: 200" in (await chat.send("200")).labels

    # Killed in the middle of an edit, over and over.
    for delay_s, name in ((0.0, "one"), (0.02, "two")):
        await chat.press("Rename")
        await chat.say(name)
        await asyncio.sleep(delay_s)
        await mortal.kill()
        await mortal.start()
        line, health = await mortal.line()
        assert line.number == "200"
        assert health in (LineHealth.WAITING, LineHealth.DOWN), "Asterisk runs it"
        # Telegram tells again what was not confirmed: by now it is "name", or that was never said.
        await chat.say("/lines")
        await chat.see("One line to a PBX")
        line, _ = await mortal.line()
        await chat.press(line.name)
