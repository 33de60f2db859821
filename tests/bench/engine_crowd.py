"""Sixty calls at once of one engine of ours with unmodified ntgcalls: is everybody heard, both ways?

Each end of each call says a tone of its own. The users cost several times what is tried here, which is why this is no
test of the suite: a machine of two cores is nearly full.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

import numpy as np
import structlog

from gateway.media.loop import EngineLoop
from gateway.media.tgcall import CallEngine, library_versions
from tests.integration.tgcall.peer import RATE_HZ, Users, loudest_hz, tone
from tests.integration.tgcall.talk import Side, call_with_user

Row = dict[str, Any]

_CALLS: Final = 60
#: ntgcalls sets up one call at a time in a process.
_PROCESSES: Final = 3
_SPOKEN_S: Final = 6.0
_JUDGED_S: Final = 2
_MOMENTS: Final = 10
#: Tones lie 20 Hz apart; on a machine that is full they break up, and their peak is broad.
_NEAR_HZ: Final = 8.0


def _ours(number: int) -> float:
    return 400.0 + 40 * number


def _theirs(number: int) -> float:
    return 420.0 + 40 * number


async def _speak(sides: list[Side]) -> None:
    """Each call has a moment of its own in the 20 ms, as calls from a PBX have."""
    loop = asyncio.get_running_loop()
    tones = [tone(_ours(number), 1.0, side.rate_hz) for number, side in enumerate(sides)]
    began = loop.time()
    for moment in range(round(_SPOKEN_S * 50) * _MOMENTS):
        await asyncio.sleep(max(0.0, began + moment * 0.02 / _MOMENTS - loop.time()))
        for number in range(moment % _MOMENTS, len(sides), _MOMENTS):
            frame = sides[number].rate_hz // 50
            at = moment // _MOMENTS % 50 * frame
            sides[number].say(tones[number][at : at + frame])


async def _crowd() -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(CallEngine())
        processes = [await stack.enter_async_context(Users.open()) for _ in range(_PROCESSES)]
        sides: list[Side] = []

        async def dial(users: Users, numbers: range) -> None:
            for number in numbers:
                calling = call_with_user(
                    engine,
                    users,
                    number,
                    outgoing=number % 2 == 0,
                    version=library_versions()[number % 4],
                    hz=_theirs(number),
                    rate_hz=16_000 if number % 3 else 8000,
                )
                sides[number] = await stack.enter_async_context(calling)

        sides += [None] * _CALLS  # type: ignore[list-item]  # each is set below
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for at, users in enumerate(processes):
                group.create_task(dial(users, range(at, _CALLS, _PROCESSES)))
        set_up_s = time.monotonic() - began
        for number, side in enumerate(sides):
            side.heard()
            await processes[number % _PROCESSES].heard(number)
        late = engine.late_ticks
        cpu = time.process_time()
        await _speak(sides)
        cpu = time.process_time() - cpu
        late = engine.late_ticks - late
        by_us = by_them = 0
        for number, side in enumerate(sides):
            heard = side.heard()[-_JUDGED_S * side.rate_hz :]
            by_us += bool(np.isclose(loudest_hz(heard, side.rate_hz), _theirs(number), atol=_NEAR_HZ))
            heard = (await processes[number % _PROCESSES].heard(number))[-_JUDGED_S * RATE_HZ :]
            by_them += bool(np.isclose(loudest_hz(heard, RATE_HZ), _ours(number), atol=_NEAR_HZ))
    return [
        {"name": "calls whose user was heard", "value": by_us, "unit": f"of {_CALLS}"},
        {"name": "calls whose user heard us", "value": by_them, "unit": f"of {_CALLS}"},
        {"name": "set-up, one after the other", "value": set_up_s, "unit": f"s, in {_PROCESSES} processes of users"},
        {"name": "late ticks", "value": late, "unit": f"in {_SPOKEN_S:.0f} s"},
        {"name": "cpu a call, both ways spoken", "value": 100 * cpu / _SPOKEN_S / _CALLS, "unit": "% of a core"},
    ]


def run() -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        return runner.run(_crowd())
