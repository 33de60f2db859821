"""What a Telegram call costs in our engine and in ntgcalls: processor time, memory, set-up, punctuality.

Speech goes both ways; the subject is a process of its own, its users send prepared packets.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any, Final

import psutil
import structlog

from gateway.media.tgcall import CallEngine
from tests.integration.tgcall.peer import Users

from ._engine_users import NTGCALLS, OURS, CheapUsers, spare_decoding, speech

Row = dict[str, Any]

#: (subject, rate, calls): ntgcalls can't carry a hundred on one core beside its users.
_LOADS: Final = [
    (OURS, 8000, 1),
    (OURS, 8000, 30),
    (OURS, 8000, 100),
    (OURS, 16000, 30),
    (OURS, 16000, 100),
    (NTGCALLS, 8000, 30),
    (NTGCALLS, 16000, 30),
]
_MEASURED_S: Final = 8.0
_NAMES: Final = {OURS: "tgcall", NTGCALLS: "ntgcalls"}


async def _load(subject: str, rate_hz: int, calls: int) -> list[Row]:
    async with CallEngine() as engine, Users.open(subject) as users:
        cheap = CheapUsers(engine, users)
        process = psutil.Process(users.pid)
        # One call first: what comes with it is the process's, not a call's.
        await _dial(cheap, users, 0, 1, rate_hz)
        memory = process.memory_info().rss
        began = time.monotonic()
        await _dial(cheap, users, 1, calls, rate_hz)
        set_up_ms = 1000 * (time.monotonic() - began)
        grown = process.memory_info().rss - memory
        pcm = base64.b64encode(speech(rate_hz).tobytes()).decode()
        for number in range(calls):
            await users.ask("say", number, pcm=pcm)
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(cheap.speak())
            await asyncio.sleep(1.5)
            late = await _late(users) if subject == OURS else 0
            before = process.cpu_times()
            began = time.monotonic()
            await asyncio.sleep(_MEASURED_S)
            spent, took = process.cpu_times(), time.monotonic() - began
            late = await _late(users) - late if subject == OURS else 0
            speaking.cancel()
        grown = max(grown, process.memory_info().rss - memory)
        cpu = spent.user + spent.system - before.user - before.system
        parameters = {"engine": _NAMES[subject], "rate": rate_hz, "calls": calls}
        rows: list[Row] = [
            {"name": "cpu a call", "value": 100 * cpu / took / calls, "unit": "% of a core", **parameters}
        ]
        if calls > 1:
            rows.append({"name": "memory a call", "value": grown / 2**20 / (calls - 1), "unit": "MB", **parameters})
            rows.append({"name": "set-ups at once", "value": set_up_ms, "unit": "ms for all", **parameters})
        if subject == OURS:
            rows.append({"name": "late ticks", "value": late, "unit": f"in {took:.0f} s", **parameters})
        for call in cheap.calls:
            await call.close()
        return rows


async def _dial(cheap: CheapUsers, users: Users, begin: int, end: int, rate_hz: int) -> None:
    for number in range(begin, end):
        spare_decoding(cheap.dial(number, rate_hz))
    async with asyncio.timeout(60):
        await asyncio.gather(*(users.connected(number) for number in range(begin, end)))


async def _late(users: Users) -> int:
    ticks: int = (await users.ask("late", 0))["ticks"]
    return ticks


def run() -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    rows = [row for load in _LOADS for row in asyncio.run(_load(*load))]
    for rate_hz in (8000, 16000):
        cost = {
            row["engine"]: row["value"]
            for row in rows
            if row["name"] == "cpu a call" and row["rate"] == rate_hz and row["calls"] == 30
        }
        ratio = cost["ntgcalls"] / cost["tgcall"]
        rows.append({"name": "cpu, ntgcalls / tgcall", "value": ratio, "unit": "times", "rate": rate_hz, "calls": 30})
    return rows
