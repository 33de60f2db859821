"""The scripted leg, that stands for every network in the centre's own tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import CallError, HangupCause
from tests.contract.stage import NORMAL, Audio, Call, End, Peer, World
from tests.scripted import ScriptedLeg, settle


class ScriptedPeer(Peer):
    def __init__(self, leg: ScriptedLeg, audio: Audio, end: End) -> None:
        self._leg = leg
        self._audio = audio
        self._end = end
        self._connecting: asyncio.Task[None] | None = None

    async def called(self) -> None: ...

    async def alerts(self) -> None:
        self._leg.peer_alerts.set()

    async def answers(self) -> None:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._audio.opened()
            self._leg.peer_answers()
        except CallError as error:
            self._leg.peer_refuses(error.ending.cause, error.ending.detail)

    async def refuses(self, cause: HangupCause) -> None:
        self._leg.peer_lets_go(cause)

    async def hangs_up(self) -> None:
        if self._end is End.NEAR:
            self._leg.peer_lets_go(NORMAL.cause if "answered" in self._leg.heard else HangupCause.CANCELLED)
        else:
            self._leg.peer_lets_go(NORMAL.cause if self._leg.answered.done() else HangupCause.DECLINED)

    async def hears(self) -> None: ...

    async def told(self) -> str:
        assert self._leg.let_go_with is not None
        return self._leg.let_go_with.cause.value

    def words(self, cause: HangupCause) -> str:
        return cause.value

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)


class ScriptedWorld(World):
    chooses = 0

    @asynccontextmanager
    async def place(self, end: End, audio: Audio) -> AsyncIterator[Call]:
        leg = ScriptedLeg(end)
        peer = ScriptedPeer(leg, audio, end)
        if end is End.NEAR:
            await peer.answers()  # whoever calls connects as soon as he is answered
        yield Call(end, leg, audio, peer)

    async def left(self) -> list[str]:
        return []

    async def clear(self) -> None: ...

    async def settle(self) -> None:
        await settle()
