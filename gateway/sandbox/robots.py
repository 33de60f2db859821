"""The sandbox's end of its robots: starts their processes and speaks to them."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from gateway.sandbox.behaviour import Behaviour, CallReport, RobotReport
from gateway.sandbox.world import User, digits

#: A process that can't import its libraries in this time never will.
START_S = 30
#: How often a waiting test looks.
POLL_S = 0.02


class RobotError(Exception):
    """A robot could not do what it was told; the text says why."""


class Robot:
    """A Telegram user played by the sandbox."""

    def __init__(self, robots: Robots, url: str, number: int, user: User, host: int) -> None:
        self._robots = robots
        self.host = host
        self._url = f"{url}/robots/{number}"
        self.id = number
        self.user = user

    async def behave(self, **changes: Any) -> None:
        """Change fields of its `Behaviour`; calls that are there go on as they began."""
        await self._robots.ask("PATCH", self._url, changes)

    async def call(self, to: User | str) -> CallReport:
        """Call a user, number or "@name". Returns when Telegram took the call. Raises `RobotError` when not."""
        called = to if isinstance(to, str) else f"@{to.username}" if to.username else f"+{to.phone}"
        if any(other.host == self.host and other.is_meant_by(called) for other in self._robots.all()):
            raise RobotError("robots on the same host can't call each other: give one of them another host")
        return CallReport.model_validate(await self._robots.ask("POST", f"{self._url}/call", {"to": called}))

    def is_meant_by(self, called: str) -> bool:
        if called.startswith("@"):
            return self.user.username is not None and self.user.username.lower() == called[1:].lower()
        return self.user.phone == digits(called)

    async def hang_up(self, call_id: int | None = None) -> None:
        """One call, or all."""
        await self._robots.ask("POST", f"{self._url}/hangup", {"call": call_id})

    async def report(self) -> RobotReport:
        return RobotReport.model_validate(await self._robots.ask("GET", self._url))

    async def calls(self) -> list[CallReport]:
        """Its calls, the oldest first."""
        return (await self.report()).calls

    async def wait(self, when: str | Callable[[CallReport], bool], timeout_s: float = 15) -> CallReport:
        """Wait until its newest call is in a state ("connected", "ended"), or as a function wants it.

        Raises:
            TimeoutError: It did not come to that.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                calls = await self.calls()
                if calls and (calls[-1].state == when if isinstance(when, str) else when(calls[-1])):
                    return calls[-1]
                await asyncio.sleep(POLL_S)

    async def remove(self) -> None:
        await self._robots.ask("DELETE", self._url)
        self._robots.forget(self)


class Robots:
    """All robots of a sandbox. Opens no process before the first robot."""

    def __init__(self, key_file: Path, recordings: Path, session: Callable[[User], str]) -> None:
        self._key_file = key_file
        self._recordings = recordings
        self._session_of = session
        self._numbers = itertools.count(1)
        self._processes: dict[int, tuple[asyncio.subprocess.Process, str]] = {}
        self._starting = asyncio.Lock()
        self._robots: dict[int, Robot] = {}
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        for process, _ in self._processes.values():
            if process.stdin:
                process.stdin.close()
        for process, _ in self._processes.values():
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def add(self, user: User, *, host: int = 0, session: str | None = None, **behaviour: Any) -> Robot:
        """Let a robot play this user, on a new login of his.

        Args:
            host: Which process carries it. Two robots on one host can't call each other: the media engine sets calls up
                one after the other.
            session: A `StringSession` to use instead of a new login.
            behaviour: Fields of `Behaviour`.

        Raises:
            RobotError: The robot can't be started.
        """
        told = Behaviour(**behaviour)
        url = await self._process(host)
        number = next(self._numbers)
        asked = {
            "id": number,
            "phone": user.phone,
            "session": session or self._session_of(user),
            "behaviour": told.model_dump(),
        }
        await self.ask("POST", f"{url}/robots", asked)
        robot = Robot(self, url, number, user, host)
        self._robots[number] = robot
        return robot

    def all(self) -> list[Robot]:
        return list(self._robots.values())

    def robot(self, number: int) -> Robot:
        """Raises `KeyError`."""
        if number not in self._robots:
            raise KeyError(f"robot {number}")
        return self._robots[number]

    def forget(self, robot: Robot) -> None:
        self._robots.pop(robot.id, None)

    async def ask(self, verb: str, url: str, body: Any = None) -> Any:
        """Raises `RobotError`."""
        try:
            async with self._http.request(verb, url, json=body) as response:
                if response.status == 409:
                    raise RobotError((await response.json())["error"])
                if response.status != 200:
                    raise RobotError(f"{verb} {url}: {response.status} {await response.text()}")
                return await response.json()
        except aiohttp.ClientConnectionError as error:
            raise RobotError("the robots' process is gone") from error

    async def _process(self, host: int) -> str:
        async with self._starting:
            running = self._processes.get(host)
            if running is None or running[0].returncode is not None:
                running = self._processes[host] = await self._start()
            return running[1]

    async def _start(self) -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.sandbox.robot",
            "--key-file",
            str(self._key_file),
            "--recordings",
            str(self._recordings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A Ctrl-C is for who started it; it ends when its standard input does.
            start_new_session=True,
        )
        assert process.stdout
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
        except TimeoutError:
            process.kill()
            raise RobotError(f"the robots did not start within {START_S} s") from None
        if not line:
            raise RobotError("the robots' process ended as it started; its last words are above")
        return process, f"http://127.0.0.1:{json.loads(line)['port']}"
