"""What end-to-end tests do and look at, in the words of the two peers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from gateway.call.model import CallRecord, CallState
from gateway.demo.world import OPERATOR, World, phone_on
from gateway.sandbox.audio import read_wav, tone_share
from gateway.sandbox.behaviour import CallReport
from gateway.sandbox.calls import CallState as TelegramCallState
from gateway.sandbox.calls import PhoneCall as TelegramCall
from gateway.sandbox.phone import ANSWER, Phone, PhoneCall
from gateway.sandbox.phone.sound import rate_of
from gateway.sandbox.robots import Robot
from gateway.sandbox.world import User

#: Released is released within this, on a loaded machine.
SOON_S = 10.0


class Stage:
    """A world, with people to call in it and the records of what became of the calls."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gateway = world.gateway
        self.sandbox = world.sandbox
        self.phone = world.phone
        self.records: list[CallRecord] = []
        self._numbers = itertools.count(15_550_200)
        self._ended = asyncio.Condition()
        world.gateway.board.watch(self._watch)

    def _watch(self, record: CallRecord, state: CallState) -> None:
        if state is CallState.ENDED:
            self.records.append(record)

    def person(self) -> User:
        """Somebody new on Telegram, who has no device."""
        number = next(self._numbers)
        return self.sandbox.create_user(f"+{number}", f"P{number}", username=f"person_{number}")

    @asynccontextmanager
    async def user(self, user: User | None = None, *, host: int = 0, **behaviour: Any) -> AsyncIterator[Robot]:
        """A Telegram user with a device, as long as the block lasts."""
        robot = await self.sandbox.robots.add(user or self.person(), host=host, **behaviour)
        try:
            yield robot
        finally:
            await robot.remove()

    @asynccontextmanager
    async def another_phone(self, **options: Any) -> AsyncIterator[Phone]:
        """A further telephone behind the same PBX: it calls out, and is not registered."""
        async with phone_on(self.gateway, self.world.line, register=False, **options) as phone:
            yield phone

    async def record(self, before: int) -> CallRecord:
        """The record of the call after the first `before` ones, once it has ended."""
        async with asyncio.timeout(SOON_S):
            while len(self.records) <= before:  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.02)
        return self.records[before]

    async def called(self, robot: Robot) -> PhoneCall:
        """Let a user call the business; answers the phone's call."""
        self.empty_hall()
        await robot.call(self.world.business)
        async with asyncio.timeout(SOON_S):
            return await self.phone.came.get()

    async def up(self) -> None:
        """Wait until every call that lives is up: both ends may know it a moment before the gateway does."""
        async with asyncio.timeout(SOON_S):
            while any(call.state is not CallState.UP for call in self.gateway.board.calls.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def empty_hall(self) -> None:
        """Forget calls that came to the phone earlier."""
        self.phone.behaviour = ANSWER
        while not self.phone.came.empty():
            self.phone.came.get_nowait()

    async def limit(self, calls: int) -> None:
        """How many calls the account may have at once."""
        await self.gateway.accounts.limit(OPERATOR, self.world.account.id, calls)

    def telegram_calls(self) -> list[TelegramCall]:
        """Those that Telegram believes to live."""
        return [call for call in self.sandbox.calls() if call.state is not TelegramCallState.DISCARDED]

    async def nothing_left(self) -> None:
        """Wait until no call is anywhere: not in the gateway, Asterisk, Telegram, nor at the phone."""
        try:
            async with asyncio.timeout(SOON_S):
                while await self._left():  # noqa: ASYNC110 - Asterisk is asked
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"left behind: {await self._left()}") from None

    async def _left(self) -> dict[str, object]:
        ari = self.gateway.sip.ari
        found: dict[str, object] = {
            "calls": list(self.gateway.board.calls),
            "channels": [channel.name for channel in await ari.channels()],
            "bridges": await ari.bridges(),
            "telegram": self.telegram_calls(),
            "phone": list(self.phone.calls),
        }
        return {name: left for name, left in found.items() if left}

    def cut_asterisk(self) -> None:
        """Break every connection of the node to ARI, as a failing network would."""
        port = urlsplit(self.gateway.asterisk.ari.url).port
        for connection in psutil.Process().net_connections("tcp"):
            if port in connection.raddr[1:]:
                with contextlib.closing(socket.socket(fileno=os.dup(connection.fd))) as doomed:
                    doomed.shutdown(socket.SHUT_RDWR)

    def footprint(self) -> Footprint:
        """What the gateway holds of the system now."""
        pids = [os.getpid(), *self.gateway.pool.pids]
        asterisk = self.gateway.asterisk.pid
        files = {pid: _files(pid) for pid in [*pids, *([asterisk] if asterisk else [])]}
        return Footprint(len(asyncio.all_tasks()), sum(files.values()))


@dataclass(frozen=True, slots=True)
class Footprint:
    """Attributes: asyncio's tasks here; descriptors (files, sockets, ports) of node, workers and Asterisk."""

    tasks: int
    files: int


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def heard_by_phone(call: PhoneCall, hz: float) -> float:
    """The share of a tone in what the phone heard, its first half second left out."""
    rate_hz = rate_of(call.sound.codec)
    return tone_share(call.sound.pcm()[rate_hz // 2 :], rate_hz, hz)


def heard_by_user(report: CallReport, hz: float) -> float:
    """The share of a tone in what the Telegram user heard, its first half second left out."""
    assert report.recording is not None
    pcm, rate_hz = read_wav(Path(report.recording))
    return tone_share(pcm[rate_hz // 2 :], rate_hz, hz)
