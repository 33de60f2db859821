"""A thousand calls in a row, some at once, between two ends of our engine in one process: does anything stay behind?"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any, Final

import psutil
import structlog

from gateway.media.tgcall import CallEngine, library_versions
from tests.integration.tgcall.talk import call_between_ours, speak

Row = dict[str, Any]

_CALLS: Final = 1000
_AT_ONCE: Final = 20
_WARM_UP: Final = 200


async def _one(engine: CallEngine, number: int, took: list[float]) -> None:
    began = time.monotonic()
    async with call_between_ours(engine, version=library_versions()[number % 4]) as sides:
        took.append(1000 * (time.monotonic() - began))
        await speak(sides, (600, 900), 0.2)


async def _some(engine: CallEngine, calls: int) -> list[float]:
    took: list[float] = []
    numbers = iter(range(calls))

    async def one_after_the_other() -> None:
        for number in numbers:
            await _one(engine, number, took)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one_after_the_other())
    return took


async def _churn() -> list[Row]:
    process = psutil.Process()
    async with CallEngine() as engine:
        await _some(engine, _WARM_UP)
        gc.collect()
        before = process.memory_info().rss, process.num_fds(), len(gc.get_objects()), len(asyncio.all_tasks())
        took = await _some(engine, _CALLS // 2)
        gc.collect()
        half_way = process.memory_info().rss
        took += await _some(engine, _CALLS // 2)
        gc.collect()
        after = process.memory_info().rss, process.num_fds(), len(gc.get_objects()), len(asyncio.all_tasks())
        left = engine.calls
    took.sort()
    grown = [b - a for a, b in zip(before, after, strict=True)]
    parameters = {"calls": _CALLS, "at once": _AT_ONCE}
    return [
        {"name": "calls that failed", "value": _CALLS - len(took), "unit": "", **parameters},
        {"name": "calls left over", "value": left, "unit": "", **parameters},
        {"name": "memory that stayed", "value": grown[0] / 2**20, "unit": "MB", **parameters},
        {"name": "of it, in the second half", "value": (after[0] - half_way) / 2**20, "unit": "MB", **parameters},
        {"name": "descriptors that stayed", "value": grown[1], "unit": "", **parameters},
        {"name": "objects that stayed", "value": grown[2], "unit": "", **parameters},
        {"name": "tasks that stayed", "value": grown[3], "unit": "", **parameters},
        {"name": "set-up, both ends", "value": took[len(took) // 2], "unit": "ms p50", **parameters},
        {"name": "set-up, both ends", "value": took[int(len(took) * 0.95)], "unit": "ms p95", **parameters},
    ]


def run() -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return asyncio.run(_churn())
