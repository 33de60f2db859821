"""The Telegram leg, through a local Telegram, to a user's app."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

from telethon import errors
from telethon.tl import functions, types

from gateway.errors import HangupCause
from gateway.sandbox.server import Sandbox
from tests.contract.stage import Audio, Call, End, Peer, World
from tests.integration.telegram.people import Gateway, Phone, Town, as_input, protocol

#: A key that any caller accepts.
G_B: Final = (1 << 2047).to_bytes(256, "big")
#: What an app may be answered when its user was too late.
TOO_LATE: Final = (errors.CallAlreadyDeclinedError, errors.CallAlreadyAcceptedError, errors.CallPeerInvalidError)

BUSY, HANGUP = types.PhoneCallDiscardReasonBusy, types.PhoneCallDiscardReasonHangup
MISSED, DISCONNECT = types.PhoneCallDiscardReasonMissed, types.PhoneCallDiscardReasonDisconnect
#: What we say to a user's app, which knows no better word for "declined" than "busy".
SAID: Final = {
    HangupCause.NORMAL: HANGUP,
    HangupCause.BUSY: BUSY,
    HangupCause.DECLINED: BUSY,
    HangupCause.NO_ANSWER: MISSED,
    HangupCause.CANCELLED: MISSED,
    HangupCause.MEDIA_LOST: DISCONNECT,
}
#: What a user's app says to us.
REFUSALS: Final = {HangupCause.BUSY: BUSY, HangupCause.DECLINED: HANGUP}


class TelegramPeer(Peer):
    """A user's app in one call; a far leg's has no call until it comes."""

    def __init__(self, phone: Phone, audio: Audio, former: set[int], call: Any = None, exponent: int = 0) -> None:
        """`former`: calls of which there may still be news."""
        self._phone = phone
        self._former = former
        self._audio = audio
        self._call = call
        self._answered = False
        # Whoever calls confirms as soon as he is answered.
        self._confirming = asyncio.create_task(self._confirm(exponent)) if call is not None else None

    async def _confirm(self, exponent: int) -> None:
        with contextlib.suppress(TimeoutError, *TOO_LATE):
            await self._phone.confirm(self._call, exponent)

    async def called(self) -> None:
        while self._call is None:
            call = await self._phone.rung()
            self._call = call if call.id not in self._former else None

    def _at_hand(self) -> Any:
        """The call, while it lives as far as the app knows."""
        requested = [one for one in self._phone.news if isinstance(one, types.PhoneCallRequested)]
        if self._call is None:
            self._call = next((one for one in requested if one.id not in self._former), None)
        over = {one.id for one in self._phone.news if isinstance(one, types.PhoneCallDiscarded)}
        return self._call if self._call is not None and self._call.id not in over else None

    async def alerts(self) -> None:
        if (call := self._at_hand()) and not self._answered:
            with contextlib.suppress(*TOO_LATE):
                await self._phone.receive(call)

    async def answers(self) -> None:
        if (call := self._at_hand()) and not self._answered:
            self._answered = True
            with contextlib.suppress(*TOO_LATE):
                await self._phone.client(functions.phone.AcceptCallRequest(as_input(call), G_B, protocol()))

    async def refuses(self, cause: HangupCause) -> None:
        if call := self._at_hand():
            await self._phone.discard(call, REFUSALS[cause])

    async def hangs_up(self) -> None:
        if call := self._at_hand():
            await self._phone.discard(call, HANGUP)

    async def hears(self) -> None:
        assert self._audio.connected

    async def told(self) -> str:
        over = await self._phone.until(types.PhoneCallDiscarded, self._call.id)
        return str(type(over.reason).__name__)

    def words(self, cause: HangupCause) -> str:
        return str(SAID[cause].__name__)

    async def close(self) -> None:
        if self._confirming is not None:
            self._confirming.cancel()
            await asyncio.gather(self._confirming, return_exceptions=True)


class TelegramWorld(World):
    chooses = 0  # the format is that of the PBX's leg

    def __init__(self, town: Town, gateway: Gateway, phone: Phone) -> None:
        self._town = town
        self._gateway = gateway
        self._phone = phone

    @classmethod
    @asynccontextmanager
    async def open(cls, state: Path, key: Path) -> AsyncIterator[Self]:
        shutil.copy(key, state)
        async with Sandbox(state) as sandbox:
            town = Town(sandbox)
            account = town.account()
            async with town.gateway(account) as gateway, town.phone("Ann", account, username="anna") as phone:
                yield cls(town, gateway, phone)

    @asynccontextmanager
    async def place(self, end: End, audio: Audio) -> AsyncIterator[Call]:
        self._phone.news.clear()
        former = {call.id for call in self._town.sandbox.calls()}
        if end is End.NEAR:
            call, exponent = await self._phone.dial(self._gateway.account.user_id)
            offer = await self._gateway.desk.next()
            yield Call(end, offer.accept(audio), audio, TelegramPeer(self._phone, audio, former, call, exponent))
        else:
            yield Call(end, self._gateway.leg(audio), audio, TelegramPeer(self._phone, audio, former), "@anna")

    async def left(self) -> list[str]:
        at_telegram = [f"Telegram call {call.id} is {call.state}" for call in self._living()]
        account = self._gateway.side.account(self._gateway.account.id)
        assert account is not None
        in_the_book = [f"{len(account.book)} in the book"] if len(account.book) else []
        kept = [f"call {call.id} kept as pending" for call in await self._town.store.load_pending(account.account.id)]
        return [*at_telegram, *in_the_book, *kept]

    def _living(self) -> list[Any]:
        return [call for call in self._town.sandbox.calls() if call.state != "discarded"]

    async def clear(self) -> None:
        for call in self._living():
            self._town.sandbox.telegram.calls.end(call.id)
        while not self._gateway.desk.offers.empty():
            self._gateway.desk.offers.get_nowait()
