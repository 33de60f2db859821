from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from structlog.testing import capture_logs

from gateway.media.tgcall.limits import TokenBucket
from gateway.media.tgcall.ticker import MOST_UNEVEN, PERIOD_S, PHASES, Ticker


async def test_every_member_is_called_each_period_at_exact_times() -> None:
    ticker = Ticker()
    dues: dict[int, list[float]] = {n: [] for n in range(2 * PHASES)}
    for n, seen in dues.items():
        ticker.add(n, seen.append)
    await asyncio.sleep(0.31)
    for n in dues:
        ticker.remove(n)
    for seen in dues.values():
        assert len(seen) >= 12
        steps = [later - earlier for earlier, later in itertools.pairwise(seen)]
        assert steps == pytest.approx([PERIOD_S] * len(steps))
    assert len({round(seen[0] / PERIOD_S % 1, 2) for seen in dues.values()}) == PHASES


@pytest.mark.parametrize("wanted_s", [0.001, 0.0074, 0.0123, 0.0199, 0.0501])
async def test_member_that_asks_for_another_moment_gets_the_next_one(wanted_s: float) -> None:
    ticker = Ticker()
    seen: list[float] = []
    ticker.add(1, seen.append)
    await asyncio.sleep(0.033)
    at = asyncio.get_running_loop().time() + wanted_s
    before = len(seen)
    following = ticker.align(1, at)
    await asyncio.sleep(0.1)
    ticker.remove(1)
    moved = seen[before:]
    assert moved[0] == pytest.approx(following)
    assert min(due for due in moved if due >= at - 1e-6) - at <= PERIOD_S / PHASES
    assert [later - earlier for earlier, later in itertools.pairwise(moved)] == pytest.approx(
        [PERIOD_S] * (len(moved) - 1)
    )


async def test_moment_that_many_ask_for_is_shared_with_the_next_ones() -> None:
    ticker = Ticker()
    for n in range(100):
        ticker.add(n, lambda _: None)
    at = asyncio.get_running_loop().time() + 0.008
    for n in range(100):
        ticker.align(n, at)
    sizes = [len(phase) for phase in ticker._phases]
    for n in range(100):
        ticker.remove(n)
    assert max(sizes) <= 100 / PHASES + MOST_UNEVEN


async def test_member_that_fails_does_not_stop_the_others() -> None:
    ticker = Ticker()
    seen: list[float] = []

    def fails(_: float) -> None:
        raise ZeroDivisionError

    with capture_logs() as logs:
        for n in range(PHASES):
            ticker.add(n, fails)
        for n in range(PHASES):
            ticker.add(n + PHASES, seen.append)
        await asyncio.sleep(0.1)
        for n in range(2 * PHASES):
            ticker.remove(n)
    assert len(seen) >= 8
    assert logs[0]["event"] == "a call's tick failed"


async def test_late_ticks_are_caught_up_and_counted() -> None:
    ticker = Ticker()
    seen: list[float] = []
    ticker.add(1, seen.append)
    await asyncio.sleep(0.05)
    time.sleep(0.1)  # noqa: ASYNC251  # somebody blocks the loop
    await asyncio.sleep(0.05)
    ticker.remove(1)
    assert ticker.late >= 2
    assert len(seen) >= 8


async def test_silent_ticker_rests() -> None:
    ticker = Ticker()
    ticker.add(1, lambda _: None)
    ticker.remove(1)
    ticker.remove(1)
    assert ticker._timer is None


def test_bucket_lets_the_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(10, 5)
    assert sum(bucket.take(100.0) for _ in range(20)) == 5
    assert sum(bucket.take(101.0) for _ in range(20)) == 5
    assert sum(bucket.take(101.0 + n / 100) for n in range(100)) == pytest.approx(10, abs=1)
