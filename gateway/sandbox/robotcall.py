"""One call of a robot: the key exchange, the voice, the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
import time
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from telethon import TelegramClient
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.sandbox.behaviour import Behaviour, CallReport, OnCall
from gateway.sandbox.mtproto import TL
from gateway.sandbox.voice import Voice, VoiceError, Voices, sound

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


class Player(Protocol):
    """The robot, as its calls know it."""

    id: int
    client: TelegramClient
    recordings: Path

    async def dh(self) -> tuple[int, int]:
        """The group of the key exchange: generator and prime."""

    def adopt(self, call: RobotCall) -> None:
        """Let the call, whose id is known now, hear its updates."""


class RobotCall:
    """One call of a robot, from its side.

    Updates are given to `hear` in their order, and the story in `run` waits for them.
    """

    def __init__(self, robot: Player, voices: Voices, behaviour: Behaviour, peer: int, *, outgoing: bool) -> None:
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
            self.report.reason = error_name(_first(refused))
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
        await self._talk(key, g_a, established.phone_call)

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
        await self._talk(key, established.g_a_or_b, established)

    async def _talk(self, key: bytes, g_a: bytes, established: TL) -> None:
        """Carry the audio until somebody hangs up."""
        told, report = self._behaviour, self.report
        report.key_digest = hashlib.sha256(key + g_a).hexdigest()
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
        if self._peer is not None and not self._told_ended:
            await self._discard()
        if self._voice:
            await self._voices.close(self._voice)
            if self._behaviour.record and self.report.heard_frames:
                path = self._robot.recordings / f"{self.report.id}-{self._robot.id}.wav"
                self._voice.write(path)
                self.report.recording = str(path)
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


def error_name(error: BaseException) -> str:
    """Telegram's own name of an error, which Telethon keeps as the name of its class alone."""
    words = re.findall(r"[A-Z][a-z]*|\d+", type(error).__name__.removesuffix("Error"))
    name = "_".join(words).upper() if type(error) is not RPCError else str(error)
    seconds = getattr(error, "seconds", None)
    return f"{name}_{seconds}" if seconds else name


def _fingerprint(key: bytes) -> int:
    return int.from_bytes(hashlib.sha1(key).digest()[-8:], "little", signed=True)
