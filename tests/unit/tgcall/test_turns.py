from __future__ import annotations

import asyncio
import time

from gateway.media.tgcall.turns import SLICE_S, Turns


async def test_much_work_leaves_the_loop_its_turns_and_is_done_in_order() -> None:
    turns = Turns()
    done: list[int] = []
    passes = 0

    def work(number: int) -> None:
        time.sleep(SLICE_S / 2)  # the work
        done.append(number)

    for number in range(20):
        turns.take(lambda number=number: work(number))  # type: ignore[misc]
    while len(done) < 20:
        before = len(done)
        await asyncio.sleep(0)
        assert len(done) - before <= 3
        passes += 1
    assert done == list(range(20))
    assert passes >= 7


async def test_piece_that_fails_does_not_stop_the_others() -> None:
    turns = Turns()
    told: list[str] = []
    done: list[int] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))

    def fails() -> None:
        raise ValueError("bad")

    turns.take(fails)
    turns.take(lambda: done.append(1))
    await asyncio.sleep(0.01)
    turns.take(lambda: done.append(2))
    await asyncio.sleep(0.01)
    assert told == ["bad"]
    assert done == [1, 2]
