"""Calls between our engine and somebody, carried through in a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gateway.media.tgcall import Call, CallEngine, Pcm, Server

from .peer import Samples, Users, tone


@dataclass
class Side:
    """Our end of a call, with what it heard."""

    call: Call
    rate_hz: int
    frames: list[Pcm] = field(default_factory=list)
    mutes: list[bool] = field(default_factory=list)
    _said: int = 0

    def heard(self) -> Samples:
        """What came since it was last asked."""
        frames, self.frames[:] = list(self.frames), []
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    def say(self, samples: Samples) -> None:
        self.call.feed(samples)


async def speak(sides: Sequence[Side], hz: Sequence[float], seconds: float, amplitude: int = 8000) -> None:
    """Every side says a tone."""
    tones = [tone(f, 1.0, side.rate_hz, amplitude) for side, f in zip(sides, hz, strict=True)]
    await say(sides, tones, seconds)


async def say(sides: Sequence[Side], audio: Sequence[Samples], seconds: float) -> None:
    """Every side says its audio, over and over, in frames of 20 ms at their time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(round(seconds * 50)):
        for side, samples in zip(sides, audio, strict=True):
            frame = side.rate_hz // 50
            at = n * frame % (len(samples) - len(samples) % frame)
            side.say(samples[at : at + frame])
        await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 - loop.time()))


@contextlib.asynccontextmanager
async def call_with_user(
    engine: CallEngine,
    users: Users,
    number: int,
    *,
    outgoing: bool,
    version: str,
    hz: float | None = None,
    rate_hz: int = 8000,
    servers: Sequence[Server] = (),
    p2p_allowed: bool = True,
    key: bytes | None = None,
    dtx: bool = False,
) -> AsyncIterator[Side]:
    """A call with an ntgcalls user, who may speak a tone; connected."""
    key = key or os.urandom(256)
    frames: list[Pcm] = []
    mutes: list[bool] = []
    call = engine.call(
        key=key,
        outgoing=outgoing,
        versions=[version],
        servers=servers,
        p2p_allowed=p2p_allowed,
        rate_hz=rate_hz,
        send_signal=lambda blob: users.hear_signal(number, blob),
        on_audio=frames.append,
        on_peer_muted=mutes.append,
        dtx=dtx,
    )
    users.join(
        number,
        key,
        outgoing=not outgoing,
        versions=[version],
        on_signal=call.hear_signal,
        hz=hz,
        servers=servers,
        p2p_allowed=p2p_allowed,
    )
    async with call:
        await call.connected()
        yield Side(call, rate_hz, frames, mutes)


@contextlib.asynccontextmanager
async def call_between_ours(
    engine: CallEngine,
    *,
    version: str = "9.0.0",
    rate_hz: int = 8000,
    servers: Sequence[Server] = (),
    p2p_allowed: bool = True,
    custom_parameters: str | None = None,
    carry: Callable[[Callable[[bytes], None], bytes], None] | None = None,
    dtx: bool = False,
) -> AsyncIterator[tuple[Side, Side]]:
    """A call of our engine with itself: caller and callee; connected.

    Args:
        carry: Takes each blob with the way to deliver it; may lose, repeat or delay it.
    """
    loop = asyncio.get_running_loop()
    key = os.urandom(256)
    sides: list[Side] = []

    def opening(outgoing: bool) -> Side:
        frames: list[Pcm] = []
        mutes: list[bool] = []
        other = 1 if outgoing else 0

        def send(blob: bytes) -> None:
            def deliver(blob: bytes) -> None:
                sides[other].call.hear_signal(blob)

            if carry is None:
                loop.call_soon(deliver, blob)
            else:
                carry(deliver, blob)

        call = engine.call(
            key=key,
            outgoing=outgoing,
            versions=[version],
            rate_hz=rate_hz,
            servers=servers,
            p2p_allowed=p2p_allowed,
            custom_parameters=custom_parameters,
            send_signal=send,
            on_audio=frames.append,
            on_peer_muted=mutes.append,
            dtx=dtx,
        )
        return Side(call, rate_hz, frames, mutes)

    sides += [opening(True), opening(False)]
    async with sides[0].call, sides[1].call:
        await asyncio.gather(*(side.call.connected() for side in sides))
        yield sides[0], sides[1]
