"""How long audio takes through a Telegram call: our engine and ntgcalls, each talking to ntgcalls.

Clicks are said at one end and looked for at the other; a click's delay runs from the moment that its frame is handed
to the one engine to the moment that it is handed out by the other, its place in both frames minded.
"""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any, Final

import numpy as np
import structlog

from gateway.media.tgcall import library_versions
from tests.integration.tgcall.peer import Samples, Users

from ._engine_users import NTGCALLS, OURS

Row = dict[str, Any]

_RATE_HZ: Final = 16_000
_CLICKS_S: Final = 14.0
_NAMES: Final = {OURS: "tgcall", NTGCALLS: "ntgcalls"}


def clicks() -> Samples:
    """A second with one short burst in it; the rest is a hum that keeps the coder awake."""
    t = np.arange(_RATE_HZ) / _RATE_HZ
    hum = 60 * np.sin(2 * np.pi * 200 * t)
    burst = np.where((t >= 0.5) & (t < 0.56), 12_000 * np.sin(2 * np.pi * 1000 * t), 0.0)
    return (hum + burst).astype(np.int16)


def onsets(samples: Samples, frame: int, at: list[float]) -> list[float]:
    """When each click was handed out."""
    loud = np.abs(samples.astype(int)) > 2500
    found: list[float] = []
    quiet_until = 0
    for place in np.flatnonzero(loud).tolist():
        if place >= quiet_until and place // frame < len(at):
            found.append(at[place // frame] + place % frame / _RATE_HZ)
        quiet_until = place + _RATE_HZ // 4
    return found


async def _heard(users: Users, number: int) -> tuple[Samples, list[float]]:
    answer = await users.ask("heard", number)
    return np.frombuffer(base64.b64decode(answer["pcm"]), np.int16), answer["at"]


async def _delays(listener: Users, frame: int, speaker: Users) -> list[float]:
    """Milliseconds of each click that was said and heard."""
    samples, at = await _heard(listener, 1)
    said = (await speaker.ask("said", 1))["at"]
    heard = onsets(samples, frame, at)
    delays = []
    for begun in said:
        click = begun + 0.5
        after = [moment - click for moment in heard if 0 <= moment - click < 0.5]
        if after:
            delays.append(1000 * after[0])
    return delays[1:]


async def _between(subject: str) -> list[Row]:
    async with Users.open(subject) as near, Users.open(NTGCALLS) as far:
        key, version = os.urandom(256), library_versions()[0]
        near.join(
            1,
            key,
            outgoing=True,
            versions=[version],
            on_signal=lambda blob: far.hear_signal(1, blob),
            rate_hz=_RATE_HZ,
        )
        far.join(1, key, outgoing=False, versions=[version], on_signal=lambda blob: near.hear_signal(1, blob))
        async with asyncio.timeout(10):
            await asyncio.gather(near.connected(1), far.connected(1))
        pcm = base64.b64encode(clicks().tobytes()).decode()
        if subject == OURS:
            await near.ask("keep", 1)
        await near.ask("say", 1, pcm=pcm)
        await far.ask("say", 1, pcm=pcm)
        await asyncio.sleep(_CLICKS_S)
        near_frame = _RATE_HZ // 50 if subject == OURS else _RATE_HZ // 100
        rows: list[Row] = []
        for way, delays in (
            ("to Telegram", await _delays(far, _RATE_HZ // 100, near)),
            ("from Telegram", await _delays(near, near_frame, far)),
        ):
            p50, p95 = np.percentile(delays, [50, 95]) if delays else (float("nan"), float("nan"))
            for name, value in (("p50", p50), ("p95", p95)):
                rows.append(
                    {"name": f"delay {way}", "value": float(value), "unit": "ms", "engine": _NAMES[subject], "of": name}
                )
        return rows


def run() -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    rows = [row for subject in (OURS, NTGCALLS) for row in asyncio.run(_between(subject))]
    for way in ("to Telegram", "from Telegram"):
        median = {row["engine"]: row["value"] for row in rows if row["name"] == f"delay {way}" and row["of"] == "p50"}
        ratio = median["ntgcalls"] / median["tgcall"]
        rows.append({"name": f"delay {way}, ntgcalls / tgcall", "value": ratio, "unit": "times", "of": "p50"})
    return rows
