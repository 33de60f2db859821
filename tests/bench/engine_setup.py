"""A hundred calls set up at once by one of our engines: how long it takes, and whether a call that is up hears of it.

The other ends are our engine as well, in a process of its own. One call is up before; how evenly it is given its audio
meanwhile is the measure of what the others cost it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from typing import Any, Final

import numpy as np
import structlog

from gateway.media.loop import EngineLoop
from gateway.media.tgcall import Call, CallEngine, library_versions
from tests.integration.tgcall.peer import Users

from ._engine_users import OURS

Row = dict[str, Any]

_CALLS: Final = 100
_TIMES: Final = 3
#: One that speaks 8.0.0 and 9.0.0 alike, and one of 12.0.0 and 13.0.0: they differ in how their signalling travels.
_VERSIONS: Final = ("9.0.0", "13.0.0")


class _Burst:
    def __init__(self, engine: CallEngine, users: Users) -> None:
        self._engine = engine
        self._users = users
        self._numbers = itertools.count()

    def dial(self, version: str, audio_at: list[float] | None = None) -> Call:
        number, key = next(self._numbers), os.urandom(256)
        # The other end first: what it is told of a call that it does not know is lost.
        self._users.join(
            number,
            key,
            outgoing=False,
            versions=[version],
            on_signal=lambda blob: call.hear_signal(blob),  # noqa: PLW0108  # there is no call yet
            rate_hz=8000,
        )
        call = self._engine.call(
            key=key,
            outgoing=True,
            versions=[version],
            rate_hz=8000,
            send_signal=lambda blob: self._users.hear_signal(number, blob),
            on_audio=lambda _: None if audio_at is None else audio_at.append(time.monotonic()),
        )
        return call

    async def all_at_once(self, version: str) -> tuple[list[float], float]:
        """Milliseconds from each call's beginning to its audio; and of processor time, for all."""
        took: list[float] = []

        async def one() -> Call:
            began = time.monotonic()
            call = self.dial(version)
            await call.connected()
            took.append(1000 * (time.monotonic() - began))
            return call

        spent = time.process_time()
        calls = await asyncio.gather(*(one() for _ in range(_CALLS)))
        spent = time.process_time() - spent
        for call in calls:
            await call.close()
        return took, 1000 * spent


async def _measure() -> list[Row]:
    rows: list[Row] = []
    async with CallEngine() as engine, Users.open(OURS) as users:
        burst = _Burst(engine, users)
        audio_at: list[float] = []
        up = burst.dial(library_versions()[0], audio_at)
        await up.connected()
        await burst.all_at_once(_VERSIONS[0])  # what comes with the first is the process's
        for version in _VERSIONS:
            took, spent, gaps = [], [], []
            for _ in range(_TIMES):
                await asyncio.sleep(0.5)
                audio_at.clear()
                times, spent_ms = await burst.all_at_once(version)
                took.append(times)
                spent.append(spent_ms)
                gaps.append(1000 * float(np.diff(audio_at).max(initial=0.0)))
            best = min(took, key=max)
            with_ = {"version": version, "calls": _CALLS}
            rows += [
                {"name": "set-up, all at once", "value": float(np.median(best)), "unit": "ms", "of": "p50", **with_},
                {"name": "set-up, all at once", "value": max(best), "unit": "ms", "of": "the last", **with_},
                {"name": "processor time a set-up", "value": min(spent) / _CALLS, "unit": "ms", **with_},
                {"name": "longest wait for 20 ms of another call", "value": min(gaps), "unit": "ms", **with_},
            ]
        await up.close()
    return rows


def run() -> list[Row]:
    """The best of some times: the others say what else the machine did."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        return runner.run(_measure())
