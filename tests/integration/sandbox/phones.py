"""A Telegram user as tests want him: a plain Telethon client, with the calls' key exchange, without a voice."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

from telethon import TelegramClient, events
from telethon.tl import functions, types

from gateway.sandbox.mtproto import DH_G, DH_PRIME
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User

P = int.from_bytes(DH_PRIME, "big")
PROTOCOL = types.PhoneCallProtocol(92, 92, ["13.0.0", "9.0.0"], udp_p2p=True, udp_reflector=True)
f = functions.phone


class Phone:
    """One device of a user."""

    def __init__(self, client: TelegramClient) -> None:
        self.client = client
        self.updates: asyncio.Queue[Any] = asyncio.Queue()
        self.secret = int.from_bytes(os.urandom(32), "big")
        self.public = pow(DH_G, self.secret, P).to_bytes(256, "big")
        client.add_event_handler(self._hear, events.Raw())

    async def _hear(self, update: Any) -> None:
        self.updates.put_nowait(update)

    async def next(self, kind: type, timeout_s: float = 5) -> Any:
        """The next update of this kind; those before it are passed over."""
        async with asyncio.timeout(timeout_s):
            while True:
                update = await self.updates.get()
                if isinstance(update, kind):
                    return update

    async def next_call(self, kind: type, timeout_s: float = 5) -> Any:
        """The next update of a call that says `kind`."""
        async with asyncio.timeout(timeout_s):
            while True:
                update = await self.next(types.UpdatePhoneCall, timeout_s)
                if isinstance(update.phone_call, kind):
                    return update.phone_call

    async def hears_nothing(self, kind: type, for_s: float = 0.15) -> bool:
        try:
            await self.next(kind, for_s)
        except TimeoutError:
            return True
        return False

    async def find(self, number: str) -> types.InputUser:
        found = await self.client(functions.contacts.ResolvePhoneRequest(number))
        return types.InputUser(found.users[0].id, found.users[0].access_hash)

    async def call(self, number: str, *, protocol: Any = PROTOCOL, random_id: int | None = None) -> Any:
        asked = f.RequestCallRequest(
            await self.find(number), hashlib.sha256(self.public).digest(), protocol, random_id=random_id
        )
        return (await self.client(asked)).phone_call

    async def received(self, call: Any) -> None:
        await self.client(f.ReceivedCallRequest(peer(call)))

    async def accept(self, call: Any, *, protocol: Any = PROTOCOL) -> Any:
        return (await self.client(f.AcceptCallRequest(peer(call), self.public, protocol))).phone_call

    async def confirm(self, call: Any, *, g_a: bytes | None = None) -> Any:
        asked = f.ConfirmCallRequest(peer(call), g_a or self.public, 17, PROTOCOL)
        return (await self.client(asked)).phone_call

    async def discard(self, call: Any, reason: Any = None, duration: int = 0) -> Any:
        return await self.client(
            f.DiscardCallRequest(peer(call), duration, reason or types.PhoneCallDiscardReasonHangup(), 0)
        )

    async def signal(self, call: Any, data: bytes) -> None:
        await self.client(f.SendSignalingDataRequest(peer(call), data))


def peer(call: Any) -> Any:
    return types.InputPhoneCall(call.id, call.access_hash)


@contextlib.asynccontextmanager
async def online(sandbox: Sandbox, user: User, **options: Any) -> AsyncIterator[Phone]:
    """A device of the user, logged in and connected."""
    client = sandbox.client(user, **options)
    phone = Phone(client)
    await client.connect()
    assert await client.is_user_authorized()
    try:
        yield phone
    finally:
        await client.disconnect()
