"""Legs and audio that do what a test says: the centre's two peers, without a network."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.call.model import CallRecord, Direction, Party
from gateway.call.ports import Alerting, Leg, Media, Offer
from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import AudioFormat, EngineSetup, MediaReport, RtpAddress


class ScriptedLeg:
    """A leg whose peer is the test: it alerts, answers, refuses and lets go when told."""

    def __init__(self, name: str = "leg") -> None:
        self.name = name
        self.heard: list[str] = []  # what the centre asked, in order
        self.let_go_with: Ending | None = None
        self.peer_alerts = asyncio.Event()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._let_go: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What the test's peer does.
    def peer_answers(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def peer_refuses(self, cause: HangupCause, detail: str = "", retry_after_s: int | None = None) -> None:
        if not self.answered.done():
            self.answered.set_exception(CallError(cause, detail, retry_after_s))
            self.answered.exception()  # nobody need have been waiting for it

    def peer_lets_go(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        if not self._gone.done():
            self._gone.set_result(Ending(cause))

    # What the centre asks.
    async def ring(self) -> None:
        self.heard.append("ring")

    async def answer(self) -> None:
        self.heard.append("answer")
        await self._connected()
        self.heard.append("answered")

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        self.heard.append(f"dial {to}")
        alert = asyncio.create_task(self._alert(alerting))
        try:
            await self._connected()
        finally:
            alert.cancel()
            await asyncio.gather(alert, return_exceptions=True)

    async def _connected(self) -> None:
        """Wait for the peer's answer. Raises `CallError` when it is a refusal, or either end lets go before."""
        first: set[asyncio.Future[Any]] = {self.answered, self._gone, self._let_go}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._gone.done():
            ending = self._gone.result()
            raise CallError(ending.cause, ending.detail, ending.retry_after_s)
        if self._let_go.done():
            raise CallError(HangupCause.CANCELLED, "the leg was released")
        self.answered.result()

    async def _alert(self, alerting: Alerting) -> None:
        await self.peer_alerts.wait()
        await alerting()

    async def released(self) -> Ending:
        return await asyncio.shield(self._gone)

    async def release(self, ending: Ending) -> None:
        self.heard.append("release")
        if not self._let_go.done():
            self._let_go.set_result(None)
            self.let_go_with = ending


@dataclass
class ScriptedMedia:
    """Audio that is lost when the test says so."""

    call_id: str = "call"
    format: AudioFormat | None = None
    closed: int = 0
    _gone: asyncio.Future[Ending] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def lose(self, cause: HangupCause = HangupCause.MEDIA_LOST) -> None:
        if not self._gone.done():
            self._gone.set_result(Ending(cause))

    def choose(self, audio_format: AudioFormat) -> None:
        if self.format is not None:
            raise CallError(HangupCause.ANSWERED_ELSEWHERE)
        self.format = audio_format

    async def open_rtp(self) -> RtpAddress:
        return RtpAddress("127.0.0.1", 9)

    def aim_rtp(self, asterisk: RtpAddress) -> None: ...

    async def connect(self, setup: EngineSetup, send_signal: Callable[[bytes], None]) -> None: ...

    def hear_signal(self, blob: bytes) -> None: ...

    async def lost(self) -> Ending:
        return await asyncio.shield(self._gone)

    async def close(self) -> MediaReport:
        self.closed += 1
        return MediaReport(engine="scripted")


class ScriptedPool:
    def __init__(self) -> None:
        self.placed: list[ScriptedMedia] = []
        self.full = False

    def place(self, call_id: str) -> Media:
        if self.full:
            raise CallError(HangupCause.CONGESTION, "no media worker is up")
        self.placed.append(ScriptedMedia(call_id))
        return self.placed[-1]


class ScriptedOffer:
    """An offer and what became of it."""

    def __init__(
        self, direction: Direction, via: str, dialled: str = "", caller: Party | None = None, call_id: str = "call"
    ) -> None:
        self.near = ScriptedLeg("near")
        self.refused_with: Ending | None = None
        self.offer = Offer(call_id, direction, via, dialled, caller or Party(), self._accept, self._refuse)

    def _accept(self, media: Media) -> Leg:
        return self.near

    async def _refuse(self, ending: Ending) -> None:
        self.refused_with = ending


def new_record(call_id: str = "call") -> CallRecord:
    return CallRecord(call_id, Direction.SIP_TO_TELEGRAM, 1, 1, "100", "+4915", dt.datetime.now(dt.UTC))


async def settle(turns: int = 60) -> None:
    """Let every task that can go on go on."""
    for _ in range(turns):
        await asyncio.sleep(0)
