"""The SIP leg, through a real Asterisk, to a telephone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

from gateway.errors import HangupCause
from gateway.sandbox.phone import Behaviour, PhoneCall
from tests.asterisk_fixtures import Place, asterisk, eventually, left_in, place, registering_line, route
from tests.contract.stage import Audio, Call, End, Peer, World, within

#: The telephone does nothing by itself.
SILENT: Final = Behaviour(ring_after_s=None, answer_after_s=None)

CODES: Final = {HangupCause.BUSY: 486, HangupCause.DECLINED: 603, HangupCause.NO_ANSWER: 480}
#: Source: ITU-T Q.850, table 1.
Q850: Final = {HangupCause.NORMAL: 16, HangupCause.MEDIA_LOST: 38}


class SipPeer(Peer):
    """A telephone in one call; a far leg's has no call until it comes."""

    def __init__(self, here: Place, audio: Audio, number: str = "", call: PhoneCall | None = None) -> None:
        """`number`: what a far leg dials."""
        self._here = here
        self._number = number
        self._audio = audio
        self._call = call
        self._answering: asyncio.Task[None] | None = None
        self._hung_up = False

    async def called(self) -> None:
        while self._call is None:
            self._take(await self._here.phone.came.get())
        sound = self._call.sound
        await eventually(lambda: bool(sound.port))

    def _take(self, call: PhoneCall) -> None:
        """Take a call that came, unless it is of a former leg."""
        if call.invite.uri.startswith(f"sip:{self._number}@"):
            self._call = call
        else:
            call.sound.close()

    def _at_hand(self) -> PhoneCall | None:
        """The call, while it lives and the telephone can do something about it."""
        while self._call is None and not self._here.phone.came.empty():
            self._take(self._here.phone.came.get_nowait())
        call = self._call
        return call if call is not None and call.sound.port and call.ended_at is None else None

    async def alerts(self) -> None:
        if (call := self._at_hand()) and call.answered_at is None:
            call._respond(180, "Ringing")

    async def answers(self) -> None:
        if (call := self._at_hand()) and call.incoming and self._answering is None:
            self._answering = asyncio.create_task(call.answer())

    async def refuses(self, cause: HangupCause) -> None:
        if call := self._at_hand():
            call.refuse(CODES[cause])

    async def hangs_up(self) -> None:
        if (call := self._at_hand()) and not self._hung_up:
            self._hung_up = True
            if call.incoming and call.answered_at is None:
                call.refuse(CODES[HangupCause.DECLINED])
            else:
                await call.hang_up()

    async def hears(self) -> None:
        call = self._call
        assert call is not None
        await eventually(lambda: bool(call.sound.heard and self._audio.packets))

    async def told(self) -> str:
        assert self._call is not None
        async with asyncio.timeout(5):
            ended = await self._call.ended()
        assert ended.by == "them"
        if ended.message.method == "BYE":
            return f"BYE {ended.header('Reason')}"
        return ended.message.method or str(ended.code)

    def words(self, cause: HangupCause) -> str:
        assert self._call is not None
        if self._call.answered_at is not None:
            return f"BYE Q.850;cause={Q850[cause]}"
        return "CANCEL" if self._call.incoming else str(CODES[cause])

    async def close(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)
        if self._call is not None:
            # A call that was over before the telephone had a socket for its sound leaves that socket open.
            self._call.sound.close()


class SipWorld(World):
    chooses = 1

    def __init__(self, here: Place) -> None:
        self._here = here
        self._numbers = itertools.count(200)

    @classmethod
    @asynccontextmanager
    async def open(cls, state: Path) -> AsyncIterator[Self]:
        async with asterisk(state, registering_line(1)) as running, place(running, behaviour=SILENT) as here:
            yield cls(here)

    @asynccontextmanager
    async def place(self, end: End, audio: Audio) -> AsyncIterator[Call]:
        if end is End.NEAR:
            calling = self._here.phone.call("100")
            offer = await self._here.offers.next()
            yield Call(end, offer.accept(audio), audio, SipPeer(self._here, audio, call=calling))
        else:
            number = str(next(self._numbers))
            leg = self._here.side.far_leg(route(1), audio)
            yield Call(end, leg, audio, SipPeer(self._here, audio, number), number)
        self._forget()

    async def left(self) -> list[str]:
        side = self._here.side
        at_the_phone = [f"call {call_id} at the phone" for call_id in self._here.phone.calls]
        return [*await left_in(side.ari), *at_the_phone, *side._legs, *side._ears]

    async def clear(self) -> None:
        for channel in await self._here.side.ari.channels():
            await self._here.side.ari.hang_up(channel.id, 16)
        for bridge in await self._here.side.ari.bridges():
            await self._here.side.ari.drop_bridge(bridge)
        for call in list(self._here.phone.calls.values()):
            await within(call.hang_up())
        self._forget()

    def _forget(self) -> None:
        """Of calls that came, and nobody took."""
        while not self._here.phone.came.empty():
            self._here.phone.came.get_nowait().sound.close()
        while not self._here.offers.queue.empty():
            self._here.offers.queue.get_nowait()
