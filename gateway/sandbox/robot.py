"""Robots: Telegram users played by a program, each a real client with a real voice. A process of its own.

`python -m gateway.sandbox.robot` says in one line of JSON where its HTTP interface listens, and lives as long as its
standard input is open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from telethon import TelegramClient, events
from telethon.crypto import rsa
from telethon.errors import RPCError
from telethon.sessions import StringSession
from telethon.tl import functions, types

from gateway.sandbox.behaviour import Behaviour, CallReport, OnCall, RobotReport
from gateway.sandbox.mtproto import TL
from gateway.sandbox.voice import Voice, VoiceError, Voices, open_voices, sound

log = structlog.get_logger(__name__)

#: Short exponents: these keys guard nothing, and are eight times cheaper.
EXPONENT_BITS: Final = 256
REASONS: Final = {
    types.PhoneCallDiscardReasonMissed: "missed",
    types.PhoneCallDiscardReasonDisconnect: "disconnect",
    types.PhoneCallDiscardReasonHangup: "hangup",
    types.PhoneCallDiscardReasonBusy: "busy",
}


class EndedError(Exception):
    """The call is over, for the reason in the text."""


class RobotCall:
    """One call of a robot, from its side.

    Updates are given to `hear` in their order, and the story in `run` waits for them.
    """

    def __init__(self, robot: Robot, voices: Voices, behaviour: Behaviour, peer: int, *, outgoing: bool) -> None:
        self._robot = robot
        self._voices = voices
        self._behaviour = behaviour
        self.report = CallReport(robot=robot.id, peer=peer, outgoing=outgoing)
        self.requested = asyncio.Event()
        self._peer: TL = None
        self._accepted: asyncio.Future[TL] = asyncio.get_running_loop().create_future()
        self._established: asyncio.Future[TL] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._told_ended = False
        self._signals_in: asyncio.Queue[bytes] = asyncio.Queue()
        self._signals_out: asyncio.Queue[bytes] = asyncio.Queue()
        self._voice: Voice | None = None
        self._connected_at: float | None = None

    # What happens to it

    def hear(self, call: TL) -> None:
        """An update of this call."""
        match call:
            case types.PhoneCallWaiting() if call.receive_date:
                self._move("ringing")
            case types.PhoneCallAccepted() if not self._accepted.done():
                self._accepted.set_result(call)
            case types.PhoneCall() if not self._established.done():
                self._established.set_result(call)
            case types.PhoneCallDiscarded():
                self._told_ended = True
                self.report.duration_s = call.duration or 0
                self._end(REASONS.get(type(call.reason), ""))

    def hear_signal(self, blob: bytes) -> None:
        self._signals_in.put_nowait(blob)

    def hang_up(self, reason: str = "hangup") -> None:
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    # What it does

    async def run_outgoing(self, to: TL) -> None:
        await self._run(self._call(to))

    async def run_incoming(self, requested: TL) -> None:
        self._named(requested)
        await self._run(self._be_called(requested))

    async def _run(self, story: Any) -> None:
        """Live the call to its end; raises nothing but cancellation."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_ended())
                group.create_task(self._send_signals())
                group.create_task(story)
        except* EndedError as ended:
            self.report.reason = str(_first(ended))
        except* RPCError as refused:
            self.report.reason = _error_name(_first(refused))
        except* (VoiceError, ConnectionError) as failed:
            self.report.reason = str(_first(failed))
        except* Exception as fault:
            log.exception("robot failed")
            self.report.reason = f"fault: {_first(fault)}"
        finally:
            await self._close()

    async def _call(self, to: TL) -> None:
        client, protocol = self._robot.client, _protocol()
        g, p = await self._robot.dh()
        secret = secrets.randbits(EXPONENT_BITS)
        g_a = pow(g, secret, p).to_bytes(256, "big")
        waiting = await client(
            functions.phone.RequestCallRequest(
                to, hashlib.sha256(g_a).digest(), protocol, random_id=secrets.randbits(31)
            )
        )
        self._named(waiting.phone_call)
        self.requested.set()
        accepted = await self._accepted
        self._move("connecting")
        key = pow(int.from_bytes(accepted.g_b, "big"), secret, p).to_bytes(256, "big")
        established = await client(
            functions.phone.ConfirmCallRequest(self._peer, g_a, _fingerprint(key), accepted.protocol)
        )
        await self._talk(key, established.phone_call)

    async def _be_called(self, requested: TL) -> None:
        client = self._robot.client
        if self._behaviour.rings and self._behaviour.on_call is not OnCall.BUSY:
            await client(functions.phone.ReceivedCallRequest(self._peer))
        self._move("ringing")
        if self._behaviour.on_call is OnCall.IGNORE:
            return
        await asyncio.sleep(self._behaviour.after_s)
        if self._behaviour.on_call is not OnCall.ANSWER:
            raise EndedError("busy" if self._behaviour.on_call is OnCall.BUSY else "hangup")
        g, p = await self._robot.dh()
        secret = secrets.randbits(EXPONENT_BITS)
        g_b = pow(g, secret, p).to_bytes(256, "big")
        await client(functions.phone.AcceptCallRequest(self._peer, g_b, _protocol()))
        self._move("connecting")
        established = await self._established
        key = pow(int.from_bytes(established.g_a_or_b, "big"), secret, p).to_bytes(256, "big")
        if hashlib.sha256(established.g_a_or_b).digest() != requested.g_a_hash or _fingerprint(key) != (
            established.key_fingerprint
        ):
            raise EndedError("the key is not the caller's")
        await self._talk(key, established)

    async def _talk(self, key: bytes, established: TL) -> None:
        """Carry the audio until somebody hangs up."""
        told, report = self._behaviour, self.report
        report.versions = list(established.protocol.library_versions)
        what = sound(told.audio, told.rate_hz, told.audio_after_s, self._began)
        self._voice = self._voices.voice(report, what, told.rate_hz, self._signals_out.put_nowait, record=told.record)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_signals(self._voice))
            await self._voices.connect(self._voice, key, established, outgoing=report.outgoing)
            self._connected_at = time.monotonic()
            self._move("connected")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(told.hangup_after_s):
                    raise VoiceError(await self._voice.failed)
            raise EndedError("hangup")

    def _began(self) -> None:
        self.report.first_said_at = time.monotonic()

    async def _until_ended(self) -> None:
        raise EndedError(await self._ended)

    async def _send_signals(self) -> None:
        while True:
            blob = await self._signals_out.get()
            await self._robot.client(functions.phone.SendSignalingDataRequest(self._peer, blob))

    async def _hear_signals(self, voice: Voice) -> None:
        while True:
            await voice.hear_signal(await self._signals_in.get())

    async def _close(self) -> None:
        self.requested.set()
        if self._voice:
            await self._voices.close(self._voice)
            if self._behaviour.record and self.report.heard_frames:
                path = self._robot.recordings / f"{self.report.id}-{self._robot.id}.wav"
                self._voice.write(path)
                self.report.recording = str(path)
        if self._peer is not None and not self._told_ended:
            await self._discard()
        self._move("ended")

    async def _discard(self) -> None:
        self.report.duration_s = int(time.monotonic() - self._connected_at) if self._connected_at else 0
        reason = next((kind for kind, word in REASONS.items() if word == self.report.reason), None)
        kind = reason or types.PhoneCallDiscardReasonDisconnect
        with contextlib.suppress(RPCError, ConnectionError):
            await self._robot.client(functions.phone.DiscardCallRequest(self._peer, self.report.duration_s, kind(), 0))

    def _named(self, call: TL) -> None:
        self.report.id = call.id
        self._peer = types.InputPhoneCall(call.id, call.access_hash)
        self._robot.adopt(self)

    def _move(self, state: str) -> None:
        self.report.state = state
        self.report.events.append((time.monotonic(), state))


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
        """The group of the key exchange: generator and prime."""
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
        """Let the call, whose id is known now, hear its updates."""
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
            return web.json_response({"error": _error_name(refused)}, status=409)
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


def _protocol() -> TL:
    spoken = Voices.protocol()
    return types.PhoneCallProtocol(
        spoken.min_layer, spoken.max_layer, list(spoken.library_versions), udp_p2p=True, udp_reflector=True
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors, out of however many groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _error_name(error: BaseException) -> str:
    """Telegram's own name of an error, which Telethon keeps as the name of its class alone."""
    words = re.findall(r"[A-Z][a-z]*|\d+", type(error).__name__.removesuffix("Error"))
    name = "_".join(words).upper() if type(error) is not RPCError else str(error)
    seconds = getattr(error, "seconds", None)
    return f"{name}_{seconds}" if seconds else name


def _fingerprint(key: bytes) -> int:
    return int.from_bytes(hashlib.sha1(key).digest()[-8:], "little", signed=True)


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
