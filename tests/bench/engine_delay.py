"""How long audio takes through a Telegram call: our engine and ntgcalls, each talking to ntgcalls.

Clicks are said at one end and looked for at the other; a click's delay runs from the moment that its frame is handed
to the one engine to the moment that it is handed out by the other, its place in both frames minded. Several calls at
once, for where in a period their packets happen to come is each one's luck.
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

from ._engine_users import NTGCALLS, OURS, USERS_PACKET_MS

Row = dict[str, Any]

#: Of what the users at the far end say and hear.
_USER_HZ: Final = 16_000
_CALLS: Final = 4
_CLICKS_S: Final = 14.0
_NAMES: Final = {OURS: "tgcall", NTGCALLS: "ntgcalls"}


def clicks(rate_hz: int) -> Samples:
    """A second with one short burst in it; the rest is a hum that keeps the coder awake."""
    t = np.arange(rate_hz) / rate_hz
    hum = 60 * np.sin(2 * np.pi * 200 * t)
    burst = np.where((t >= 0.5) & (t < 0.56), 12_000 * np.sin(2 * np.pi * 1000 * t), 0.0)
    return (hum + burst).astype(np.int16)


def onsets(samples: Samples, rate_hz: int, frame: int, at: list[float]) -> list[float]:
    """When each click was handed out."""
    loud = np.abs(samples.astype(int)) > 2500
    found: list[float] = []
    quiet_until = 0
    for place in np.flatnonzero(loud).tolist():
        if place >= quiet_until and place // frame < len(at):
            found.append(at[place // frame] + place % frame / rate_hz)
        quiet_until = place + rate_hz // 4
    return found


async def _delays(speaker: Users, listener: Users, number: int, rate_hz: int, frame_ms: int) -> list[float]:
    """Milliseconds of each click that was said and heard; the first is left out, for the ends to settle."""
    answer = await listener.ask("heard", number)
    samples = np.frombuffer(base64.b64decode(answer["pcm"]), np.int16)
    said = (await speaker.ask("said", number))["at"]
    heard = onsets(samples, rate_hz, rate_hz * frame_ms // 1000, answer["at"])
    delays = []
    for begun in said:
        click = begun + 0.5
        after = [moment - click for moment in heard if 0 <= moment - click < 0.5]
        if after:
            delays.append(1000 * after[0])
    return delays[1:]


async def _connect(near: Users, far: Users, number: int, rate_hz: int) -> None:
    key, versions = os.urandom(256), [library_versions()[0]]
    near.join(
        number,
        key,
        outgoing=True,
        versions=versions,
        on_signal=lambda blob: far.hear_signal(number, blob),
        rate_hz=rate_hz,
    )
    far.join(number, key, outgoing=False, versions=versions, on_signal=lambda blob: near.hear_signal(number, blob))
    async with asyncio.timeout(15):
        await asyncio.gather(near.connected(number), far.connected(number))


async def _between(subject: str, rate_hz: int) -> list[Row]:
    async with Users.open(subject) as near, Users.open(NTGCALLS) as far:
        calls = range(1, _CALLS + 1)
        for number in calls:
            await _connect(near, far, number, rate_hz)
            if subject == OURS:
                await near.ask("keep", number)
        for number in calls:
            await asyncio.sleep(0.013)  # no two begin at the same moment of a period
            await near.ask("say", number, pcm=base64.b64encode(clicks(rate_hz).tobytes()).decode())
            await far.ask("say", number, pcm=base64.b64encode(clicks(_USER_HZ).tobytes()).decode())
        await asyncio.sleep(_CLICKS_S)
        near_frame_ms = 20 if subject == OURS else 10
        to_telegram, from_telegram = [], []
        for number in calls:
            to_telegram += await _delays(near, far, number, _USER_HZ, 10)
            from_telegram += await _delays(far, near, number, rate_hz, near_frame_ms)
        parameters = {"engine": _NAMES[subject], "rate": rate_hz}
        rows: list[Row] = []
        for way, delays in (
            ("to Telegram", to_telegram),
            ("from Telegram", from_telegram),
            ("from Telegram, beyond the user's packet", [delay - USERS_PACKET_MS for delay in from_telegram]),
        ):
            p50, p95 = np.percentile(delays, [50, 95]) if delays else (float("nan"), float("nan"))
            for at, value in (("p50", p50), ("p95", p95)):
                rows.append({"name": f"delay {way}", "value": float(value), "unit": "ms", **parameters, "at": at})
        return rows


def run() -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    rows: list[Row] = []
    for rate_hz in (8000, 16_000):
        found = [row for subject in (OURS, NTGCALLS) for row in asyncio.run(_between(subject, rate_hz))]
        rows += found
        for way in ("to Telegram", "from Telegram"):
            median = {
                row["engine"]: row["value"] for row in found if (row["name"], row["at"]) == (f"delay {way}", "p50")
            }
            ratio = median["ntgcalls"] / median["tgcall"]
            name = f"delay {way}, ntgcalls / tgcall"
            rows.append({"name": name, "value": ratio, "unit": "times", "rate": rate_hz, "at": "p50"})
    return rows
