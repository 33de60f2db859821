"""Telegram users who cost next to nothing: real clients that answer every call, say prepared packets, and only count.

`python -m tests.bench._gateway_users` takes a line of JSON, {"key": the server's public key, "sessions": a login each},
says "ready" when all are online, and lives as long as its standard input is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
import uvloop
from telethon import TelegramClient, events
from telethon.crypto import rsa
from telethon.sessions import StringSession
from telethon.tl import functions, types

from gateway.media.tgcall import Call, CallEngine, library_versions
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User

from ._engine_users import send_prepared, spare_decoding, telegram_packets

#: The layer of the call protocol that Telegram's apps ask for.
_LAYER: Final = 92
#: Short: these keys guard nothing.
_EXPONENT_BITS: Final = 256
#: Telegram's apps put 60 ms into a packet; the users take turns in twelve parts of that time.
_PACKET_S: Final = 0.06
_TURNS: Final = 12


class CheapUser:
    """One client, one call after the other."""

    def __init__(self, client: TelegramClient, engine: CallEngine, group: asyncio.TaskGroup) -> None:
        self.call: Call | None = None
        self._client = client
        self._engine = engine
        self._group = group
        self._secret = 0
        self._prime = 0
        self._peer: Any = None
        self._early: list[bytes] = []
        self._to_say: asyncio.Queue[bytes] = asyncio.Queue()
        client.add_event_handler(self._heard, events.Raw((types.UpdatePhoneCall, types.UpdatePhoneCallSignalingData)))
        group.create_task(self._signal())

    async def come_online(self) -> None:
        await self._client.connect()
        await self._client(functions.updates.GetStateRequest())

    async def _heard(self, update: Any) -> None:
        if isinstance(update, types.UpdatePhoneCallSignalingData):
            if self.call is None:
                self._early.append(update.data)
            else:
                self.call.hear_signal(update.data)
            return
        match update.phone_call:
            case types.PhoneCallRequested() as requested:
                await self._accept(requested)
            case types.PhoneCall() as established:
                self._connect(established)
            case types.PhoneCallDiscarded() if self.call is not None:
                call, self.call = self.call, None
                await call.close()

    async def _accept(self, requested: types.PhoneCallRequested) -> None:
        config = await self._client(functions.messages.GetDhConfigRequest(0, 0))
        self._prime = int.from_bytes(config.p, "big")
        self._secret = secrets.randbits(_EXPONENT_BITS)
        self._peer = types.InputPhoneCall(requested.id, requested.access_hash)
        protocol = types.PhoneCallProtocol(_LAYER, _LAYER, list(library_versions()), udp_p2p=True, udp_reflector=True)
        g_b = pow(config.g, self._secret, self._prime).to_bytes(256, "big")
        await self._client(functions.phone.AcceptCallRequest(self._peer, g_b, protocol))

    def _connect(self, established: types.PhoneCall) -> None:
        key = pow(int.from_bytes(established.g_a_or_b, "big"), self._secret, self._prime).to_bytes(256, "big")
        assert int.from_bytes(hashlib.sha1(key).digest()[-8:], "little", signed=True) == established.key_fingerprint
        self.call = self._engine.call(
            key=key,
            outgoing=False,
            versions=established.protocol.library_versions,
            rate_hz=8000,
            send_signal=self._to_say.put_nowait,
            on_audio=lambda _: None,
        )
        spare_decoding(self.call)
        for blob in self._early:
            self.call.hear_signal(blob)
        self._early.clear()

    async def _signal(self) -> None:
        while True:
            blob = await self._to_say.get()
            with contextlib.suppress(Exception):  # the call may be over
                await self._client(functions.phone.SendSignalingDataRequest(self._peer, blob))


async def _speak(users: list[CheapUser]) -> None:
    packets = telegram_packets()
    loop = asyncio.get_running_loop()
    start, turn = loop.time(), 0
    while True:
        turn += 1
        await asyncio.sleep(max(0.0, start + turn * _PACKET_S / _TURNS - loop.time()))
        for number, user in enumerate(users):
            if number % _TURNS == turn % _TURNS and user.call is not None:
                send_prepared(user.call, packets[(turn // _TURNS + 7 * number) % len(packets)])


async def _serve() -> None:
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    told = json.loads(await reader.readline())
    rsa.add_key(told["key"].encode(), old=False)
    async with CallEngine() as engine, asyncio.TaskGroup() as group:
        users = [
            CheapUser(TelegramClient(StringSession(session), 1, "0" * 32), engine, group)
            for session in told["sessions"]
        ]
        for user in users:
            await user.come_online()
        speaking = group.create_task(_speak(users))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await reader.read()
        del speaking
        raise SystemExit  # with all that is open: nobody is left who would mind


@contextlib.asynccontextmanager
async def cheap_users(sandbox: Sandbox, people: list[User]) -> AsyncIterator[None]:
    """Let these people be online, in a process of their own, for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = {"key": sandbox.key_file.read_text(), "sessions": [sandbox.session(one) for one in people]}
        process.stdin.write(json.dumps(told).encode() + b"\n")
        async with asyncio.timeout(60):
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("the users did not come online; their last words are above")
        yield
    finally:
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    uvloop.run(_serve())
