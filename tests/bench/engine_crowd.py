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

from gateway.media.tgcall import CallEngine, library_versions
from tests.integration.tgcall.peer import RATE_HZ, Users, loudest_hz
from tests.integration.tgcall.talk import Side, call_with_user, speak

Row = dict[str, Any]

_CALLS: Final = 60
#: ntgcalls sets up one call at a time in a process.
_PROCESSES: Final = 3
_SPOKEN_S: Final = 6.0
_JUDGED_S: Final = 2
_NEAR_HZ: Final = 1.5


def _ours(number: int) -> float:
    return 400.0 + 40 * number


def _theirs(number: int) -> float:
    return 420.0 + 40 * number


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
        await speak(sides, [_ours(number) for number in range(_CALLS)], _SPOKEN_S)
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
    return asyncio.run(_crowd())
