"""Calls in a row: what was opened for one is gone when it is over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.sandbox.robots import Robot
from tests.e2e.stage import Stage


@pytest.mark.timeout(120)
async def test_a_hundred_calls_leave_nothing_behind(stage: Stage) -> None:
    """Four lanes of calls in a row, both ways; the second half must not need more than the first."""
    await stage.limit(8)
    stage.phone.codecs, stage.phone.ptime_ms = ("ulaw",), 20
    async with AsyncExitStack() as people:
        users = [await people.enter_async_context(stage.user(record=False)) for _ in range(4)]
        callers = [await people.enter_async_context(stage.user(record=False)) for _ in range(1)]

        async def call_out(user: Robot, times: int) -> None:
            for _ in range(times):
                call = stage.phone.call(f"+{user.user.phone}")
                await call.answered()
                await call.hang_up()
                await user.wait("ended")

        async def call_in(times: int) -> None:
            for _ in range(times):
                call = await stage.called(callers[0])
                await call.answered()
                await callers[0].wait("connected")
                await callers[0].hang_up()
                await callers[0].wait("ended")
                await call.ended()

        async def fifty() -> None:
            await asyncio.gather(*(call_out(user, 10) for user in users), call_in(10))
            await stage.nothing_left()

        await fifty()
        half_way = stage.footprint()
        await fifty()
        await asyncio.sleep(0.5)  # ports of closed calls drain for a moment
        at_the_end = stage.footprint()
    assert at_the_end.tasks <= half_way.tasks
    assert at_the_end.files <= half_way.files + 2
