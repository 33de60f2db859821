"""How long a call takes to be set up, both ways, one call after the other: what each end sees, on one host.

The Telegram user is unmodified ntgcalls, whose own set-up is in the figures; the telephone answers at once.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

import aiohttp
import numpy as np

from gateway.sandbox.audio import Pcm, read_wav, tone
from gateway.sandbox.behaviour import CallReport
from gateway.sandbox.calls import PhoneCall as TelegramCall
from gateway.sandbox.phone import PhoneCall
from gateway.sandbox.robots import Robot

from ._gateway_world import Row, Served, load, serving

#: Long enough for a tone to be heard at both ends of a slow call.
_TALK_S: Final = 0.5
#: ntgcalls wants 0.1 s between a stop and the next set-up.
_PAUSE_S: Final = 0.3
#: Of a sample of the tone; the codecs' own noise is far below.
_LOUD: Final = 1500
_PACKET_SAMPLES: Final = 160

Times = dict[str, list[float]]


class Observer:
    """Asterisk's events, each with the moment when it came."""

    def __init__(self) -> None:
        self._events: list[tuple[float, dict[str, Any]]] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, gateway: Served) -> AsyncIterator[Observer]:
        etc = gateway.state / "asterisk" / "etc"
        port, password = _value(etc / "siptg_http.conf", "bindport"), _value(etc / "siptg_ari.conf", "password")
        url = f"http://127.0.0.1:{port}/ari/events?app=observer&subscribeAll=true&api_key=siptg:{password}"
        observer = cls()
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket, asyncio.TaskGroup() as group:
            listening = group.create_task(observer._listen(socket))
            yield observer
            listening.cancel()

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self._events.append((monotonic(), message.json()))

    def forget(self) -> None:
        self._events.clear()

    def audio_path_made(self) -> float:
        """When the call's bridge and the channel to the worker both were there."""
        return max(
            at
            for at, event in self._events
            if event["type"] == "BridgeCreated"
            or (event["type"] == "ChannelCreated" and event["channel"]["id"].endswith(".media"))
        )

    def bridged(self) -> float:
        """When both channels were in the bridge."""
        return [at for at, event in self._events if event["type"] == "ChannelEnteredBridge"][1]


def _value(file: Path, key: str) -> str:
    lines = (line.partition("=") for line in file.read_text().splitlines())
    return next(value.strip() for name, _, value in lines if name.strip() == key)


async def _from_sip(gateway: Served, user: Robot, events: Observer, times: Times) -> None:
    seen = len(gateway.sandbox.calls())
    events.forget()
    call = await gateway.call(user.user, "ulaw", tone(500, 1, 8000))
    await asyncio.sleep(_TALK_S)
    await call.hang_up()
    report = await user.wait("ended")
    telegram = gateway.sandbox.calls()[seen]
    assert call.ringing_at is not None
    assert call.answered_at is not None
    made, joined = events.audio_path_made() - call.ringing_at, events.bridged() - call.answered_at
    times["INVITE → requestCall"].append(_at(telegram, "requested") - call.invited_at)
    times["INVITE → 180 at the telephone"].append(call.ringing_at - call.invited_at)
    # Made in the shadow of the ringing, joined at the answer; the telephone may know of either a moment later.
    times["bridge and audio channel: made, and joined"].append(max(0.0, made) + max(0.0, joined))
    times["the user's answer → 200 at the telephone"].append(call.answered_at - _at(telegram, "accepted"))
    times["the user's answer → audio both ways"].append(_heard_by_both(call, report) - _at(telegram, "accepted"))


async def _from_telegram(gateway: Served, user: Robot, times: Times) -> None:
    seen = len(gateway.sandbox.calls())
    gateway.phone.codecs, gateway.phone.plays = ("ulaw",), tone(500, 1, 8000)
    await user.call(gateway.business)
    call = await gateway.phone.came.get()
    await call.answered()
    await user.wait("connected")
    await asyncio.sleep(_TALK_S)
    await user.hang_up()
    report = await user.wait("ended")
    await call.ended()
    assert call.answered_at is not None
    times["requestCall → INVITE at the telephone"].append(
        call.invited_at - _at(gateway.sandbox.calls()[seen], "requested")
    )
    times["the PBX's answer → audio both ways"].append(_heard_by_both(call, report) - call.answered_at)


def _at(call: TelegramCall, event: str) -> float:
    return next(at for at, name in call.events if name == event)


def _heard_by_both(call: PhoneCall, report: CallReport) -> float:
    """When the later one of both ends first heard the other's tone."""
    assert report.recording is not None
    assert report.first_heard_at is not None
    packet = _first_loud(call.sound.pcm()) // _PACKET_SAMPLES
    pcm, rate_hz = read_wav(Path(report.recording))
    return max(call.sound.heard[packet].at, report.first_heard_at + _first_loud(pcm) / rate_hz)


def _first_loud(pcm: Pcm) -> int:
    found = np.flatnonzero(np.abs(pcm.astype(np.int32)) > _LOUD)
    if not found.size:
        raise RuntimeError("nothing was heard")
    return int(found[0])


async def _set_up(engine: str, calls: int) -> list[Row]:
    times: Times = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), engine) as gateway, Observer.of(gateway) as events:
            user = await gateway.sandbox.robots.add(gateway.person(), audio="tone:440")
            for number in range(calls + 1):
                await _from_sip(gateway, user, events, times)
                await asyncio.sleep(_PAUSE_S)
                await _from_telegram(gateway, user, times)
                await asyncio.sleep(_PAUSE_S)
                if number == 0:
                    times.clear()  # a first call resolves the user, and loads what was never used
    return [row for name, seconds in times.items() for row in _rows(name, seconds, engine)]


def _rows(name: str, seconds: Sequence[float], engine: str) -> list[Row]:
    return [
        {
            "name": name,
            "value": float(np.percentile(seconds, percentile)) * 1000,
            "unit": "ms",
            "engine": engine,
            "at": f"p{percentile}",
            "calls": len(seconds),
            "load": load(),
        }
        for percentile in (50, 95)
    ]


def run(quick: bool = False) -> list[Row]:
    if quick:
        return asyncio.run(_set_up("tgcall", 6))
    return [row for engine, calls in (("tgcall", 15), ("ntgcalls", 6)) for row in asyncio.run(_set_up(engine, calls))]
