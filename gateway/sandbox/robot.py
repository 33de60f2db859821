"""Robots: Telegram users played by a program, each a real client with a real voice. A process of its own.

`python -m gateway.sandbox.robot` says in one line of JSON where its HTTP interface listens, and lives as long as its
standard input is open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from telethon import TelegramClient, events
from telethon.crypto import rsa
from telethon.errors import RPCError
from telethon.sessions import StringSession
from telethon.tl import functions, types

from gateway.sandbox.behaviour import Behaviour, CallReport, OnCall, RobotReport
from gateway.sandbox.mtproto import TL
from gateway.sandbox.robotcall import RobotCall, error_name
from gateway.sandbox.voice import Voices, open_voices


class Robot:
    """A Telegram user: a client, and what it shall do."""

    def __init__(self, number: int, phone: str, client: TelegramClient, behaviour: Behaviour, house: Robots) -> None:
        self.id = number
        self.phone = phone
        self.client = client
        self.behaviour = behaviour
        self.recordings = house.recordings
        self._house = house
        #: By Telegram's id, the oldest first.
        self.calls: dict[int, RobotCall] = {}
        #: Updates of a call that Telegram has taken but not yet said so to who asked for it.
        self._early: dict[int, list[TL]] = {}
        self._dh: tuple[int, int] | None = None
        client.add_event_handler(
            self._on_update, events.Raw((types.UpdatePhoneCall, types.UpdatePhoneCallSignalingData))
        )

    async def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        if behaviour.on_call is OnCall.OFFLINE:
            await self.client.disconnect()
        elif not self.client.is_connected():
            await self.client.connect()
            await self.client(functions.updates.GetStateRequest())

    async def dh(self) -> tuple[int, int]:
        if self._dh is None:
            config = await self.client(functions.messages.GetDhConfigRequest(0, 0))
            self._dh = config.g, int.from_bytes(config.p, "big")
        return self._dh

    async def call(self, to: str) -> RobotCall:
        """Call a number ("+1555…") or a name ("@ann"). Returns once Telegram has taken the call.

        Raises:
            RPCError: Telegram refuses.
        """
        if to.startswith("@"):
            found = await self.client(functions.contacts.ResolveUsernameRequest(to[1:]))
        else:
            found = await self.client(functions.contacts.ResolvePhoneRequest(to))
        user = found.users[0]
        call = RobotCall(self, self._house.voices, self.behaviour, user.id, outgoing=True)
        self._house.start(call.run_outgoing(types.InputUser(user.id, user.access_hash)))
        await call.requested.wait()
        return call

    def adopt(self, call: RobotCall) -> None:
        self.calls[call.report.id] = call
        for said in self._early.pop(call.report.id, ()):
            call.hear(said)

    def hang_up(self, call_id: int | None = None) -> None:
        """One call, or all."""
        for call in list(self.calls.values()):
            if call_id in (None, call.report.id):
                call.hang_up()

    def report(self) -> RobotReport:
        return RobotReport(
            id=self.id,
            phone=self.phone,
            behaviour=self.behaviour,
            online=self.client.is_connected(),
            calls=[call.report for call in self.calls.values()],
        )

    async def _on_update(self, update: TL) -> None:
        # Telethon runs handlers as tasks of their own, begun in the order of the updates: no await may come first.
        if isinstance(update, types.UpdatePhoneCallSignalingData):
            if update.phone_call_id in self.calls:
                self.calls[update.phone_call_id].hear_signal(update.data)
            return
        said = update.phone_call
        if said.id in self.calls:
            self.calls[said.id].hear(said)
        elif isinstance(said, types.PhoneCallRequested):
            call = RobotCall(self, self._house.voices, self.behaviour, said.admin_id, outgoing=False)
            self.calls[said.id] = call
            self._house.start(call.run_incoming(said))
        else:
            self._early.setdefault(said.id, []).append(said)


class Robots:
    """The robots of one process."""

    def __init__(self, voices: Voices, group: asyncio.TaskGroup, recordings: Path) -> None:
        self.voices = voices
        self.recordings = recordings
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._robots: dict[int, Robot] = {}

    def start(self, story: Any) -> None:
        task = self._group.create_task(story)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for robot in self._robots.values():
            robot.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for task in self._tasks:
            task.cancel()
        for robot in self._robots.values():
            await robot.client.disconnect()

    # HTTP

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/robots", self._add),
            web.get("/robots/{id}", self._get),
            web.patch("/robots/{id}", self._change),
            web.delete("/robots/{id}", self._remove),
            web.post("/robots/{id}/call", self._call),
            web.post("/robots/{id}/hangup", self._hang_up),
        ]

    async def _add(self, request: web.Request) -> web.Response:
        asked = await request.json()
        client = TelegramClient(
            StringSession(asked["session"]), 1, "0" * 32, flood_sleep_threshold=0, request_retries=1
        )
        number = asked["id"]
        robot = Robot(number, asked["phone"], client, Behaviour.model_validate(asked["behaviour"]), self)
        self._robots[number] = robot
        await robot.behave(robot.behaviour)
        return _json(robot.report())

    async def _get(self, request: web.Request) -> web.Response:
        return _json(self._robot(request).report())

    async def _change(self, request: web.Request) -> web.Response:
        robot = self._robot(request)
        changes = await request.json()
        await robot.behave(Behaviour.model_validate(robot.behaviour.model_dump() | changes))
        return _json(robot.report())

    async def _remove(self, request: web.Request) -> web.Response:
        robot = self._robot(request)
        robot.hang_up()
        await robot.client.disconnect()
        del self._robots[robot.id]
        return web.json_response({})

    async def _call(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            call = await self._robot(request).call(asked["to"])
        except RPCError as refused:
            return web.json_response({"error": error_name(refused)}, status=409)
        if not call.report.id:
            return web.json_response({"error": call.report.reason}, status=409)
        return _json(call.report)

    async def _hang_up(self, request: web.Request) -> web.Response:
        asked = await request.json() if request.can_read_body else {}
        robot = self._robot(request)
        robot.hang_up(asked.get("call"))
        return _json(robot.report())

    def _robot(self, request: web.Request) -> Robot:
        try:
            return self._robots[int(request.match_info["id"])]
        except (KeyError, ValueError):
            raise web.HTTPNotFound(text="there is no such robot") from None


@contextlib.asynccontextmanager
async def open_robots(recordings: Path) -> AsyncIterator[Robots]:
    async with open_voices() as voices, asyncio.TaskGroup() as group:
        robots = Robots(voices, group, recordings)
        try:
            yield robots
        finally:
            await robots.close()


async def serve(recordings: Path) -> None:
    """Serve until standard input closes: then who started this is gone, or wants it to be."""
    async with open_robots(recordings) as robots:
        app = web.Application()
        app.add_routes(robots.routes())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            sys.stdout.write(json.dumps({"port": runner.addresses[0][1]}) + "\n")
            sys.stdout.flush()
            await _end_of_input()
        finally:
            await runner.cleanup()


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def _json(model: CallReport | RobotReport) -> web.Response:
    return web.json_response(text=model.model_dump_json())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox.robot", description=__doc__)
    parser.add_argument("--key-file", type=Path, required=True, help="the public key of the sandbox")
    parser.add_argument("--recordings", type=Path, required=True, help="a folder for what the robots hear")
    arguments = parser.parse_args()
    # Standard output carries one line, for who started this.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    rsa.add_key(arguments.key_file.read_bytes(), old=False)
    arguments.recordings.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(arguments.recordings))


if __name__ == "__main__":
    main()
