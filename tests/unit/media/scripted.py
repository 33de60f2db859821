"""An engine that does as the test says, behind the door that real ones stand behind."""

from __future__ import annotations

import asyncio

import numpy as np

from gateway.errors import CallError, HangupCause
from gateway.media.codec import Pcm
from gateway.media.engine import EngineCall, EngineEar, EngineStatistics
from gateway.media.model import EngineSetup


class ScriptedCall:
    def __init__(self, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> None:
        self.rate_hz = rate_hz
        self.setup = setup
        self.ear = ear
        self.signals: list[bytes] = []
        self.fed: list[Pcm] = []
        self.refuses = False
        self.breaks = False
        self.may_connect = asyncio.Event()
        self.closed = asyncio.Event()

    async def connect(self) -> None:
        await self.may_connect.wait()
        if self.breaks:
            raise ZeroDivisionError
        if self.refuses:
            raise CallError(HangupCause.MEDIA_LOST, "refused by the script")

    def hear_signal(self, blob: bytes) -> None:
        self.signals.append(blob)

    def feed(self, pcm: Pcm) -> None:
        self.fed.append(pcm.copy())

    def statistics(self) -> EngineStatistics:
        return EngineStatistics(version="9.0.0", path="direct", rtt_ms=12.0, lost=2, concealed_ms=40)

    async def close(self) -> None:
        self.closed.set()

    @property
    def heard(self) -> Pcm:
        return np.concatenate(self.fed) if self.fed else np.zeros(0, np.int16)


class ScriptedEngine:
    name = "scripted"
    versions = ("9.0.0",)
    one_at_a_time = False

    def __init__(self) -> None:
        self.calls: list[ScriptedCall] = []

    def call(self, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> EngineCall:
        self.calls.append(ScriptedCall(rate_hz, setup, ear))
        return self.calls[-1]
