from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from structlog.testing import capture_logs

from gateway.media.tgcall.limits import TokenBucket
from gateway.media.tgcall.ticker import PERIOD_S, PHASES, Ticker


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
