"""Parts that die or lose each other: their calls end with a cause on both sides, others go on, the next call works."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from gateway.errors import HangupCause
from gateway.sandbox.audio import tone
from gateway.sandbox.phone import PhoneCall, PhoneError
from gateway.sandbox.robots import Robot
from tests.e2e.stage import Stage, heard_by_phone, heard_by_user


async def up(stage: Stage, user: Robot) -> PhoneCall:
    """A call from the phone to the user, up, both speaking."""
    call = stage.phone.call(f"+{user.user.phone}", codecs=("ulaw",), play=tone(1000, 1, 8000))
    await asyncio.wait_for(call.answered(), 15)
    await user.wait("connected")
    return call


async def next_call_works(stage: Stage) -> None:
    """Call until it works, for no longer than five seconds; with audio both ways."""
    began = time.monotonic()
    async with stage.user(audio="tone:700") as user:
        while True:
            try:
                call = await up(stage, user)
                break
            except PhoneError:
                assert time.monotonic() - began < 5
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        await call.hang_up()
        report = await user.wait("ended")
        assert heard_by_phone(call, 700) > 0.5
        assert heard_by_user(report, 1000) > 0.5
    await stage.nothing_left()


async def test_killed_worker_ends_its_own_calls_alone_with_a_cause(stage: Stage) -> None:
    seen = len(stage.records)
    async with stage.user() as first, stage.user() as second:
        calls = [await up(stage, first), await up(stage, second)]
        workers = stage.gateway.pool.pids
        assert len(workers) > 1
        os.kill(workers[0], signal.SIGKILL)
        record = await stage.record(seen)
        assert (record.ending.cause, record.ended_by) == (HangupCause.MEDIA_LOST, "media")
        await asyncio.sleep(0.5)
        alive = [call for call in calls if call.ended_at is None]
        assert len(alive) == 1
        await next_call_works_beside(stage)
        await alive[0].hang_up()
        for user in (first, second):
            await user.wait("ended")
    await stage.nothing_left()


async def next_call_works_beside(stage: Stage) -> None:
    async with stage.user() as user:
        call = await up(stage, user)
        await call.hang_up()
        await user.wait("ended")


async def test_killed_asterisk_ends_its_calls_and_takes_new_ones_soon(stage: Stage) -> None:
    seen = len(stage.records)
    async with stage.user() as user:
        await up(stage, user)
        asterisk = stage.gateway.asterisk
        assert asterisk.pid is not None
        os.kill(asterisk.pid, signal.SIGKILL)
        await user.wait("ended")
        assert (await stage.record(seen)).ending.cause is HangupCause.INTERNAL
    for call in list(stage.phone.calls.values()):
        await call.hang_up()
    await next_call_works(stage)
    await stage.phone.register()  # it may have died before it had written the registration down


async def test_call_goes_on_when_the_connection_to_asterisk_drops_and_its_hangup_is_seen(stage: Stage) -> None:
    seen = len(stage.records)
    async with stage.user(audio="tone:700") as user:
        call = await up(stage, user)
        stage.cut_asterisk()
        await asyncio.sleep(1.0)
        assert len(stage.records) == seen
        await call.hang_up()
        report = await user.wait("ended")
        assert heard_by_user(report, 1000) > 0.5
    assert (await stage.record(seen)).ending.cause is HangupCause.NORMAL
    await next_call_works(stage)


async def test_call_goes_on_when_the_connection_to_telegram_drops_and_its_hangup_is_seen(stage: Stage) -> None:
    seen = len(stage.records)
    async with stage.user() as user:
        call = await up(stage, user)
        stage.sandbox.drop_connections(stage.world.business)
        await stage.gateway.online(stage.world.account.id)
        assert len(stage.records) == seen
        await user.hang_up()
        await asyncio.wait_for(call.ended(), 10)
    assert (await stage.record(seen)).ending.cause is HangupCause.NORMAL
    await next_call_works(stage)


async def test_call_goes_on_when_the_connection_to_telegram_drops_while_it_rings(stage: Stage) -> None:
    async with stage.user(after_s=1.0) as user:
        call = stage.phone.call(f"+{user.user.phone}")
        await call.ringing()
        stage.sandbox.drop_connections(stage.world.business)
        await asyncio.wait_for(call.answered(), 15)
        await user.wait("connected")
        await call.hang_up()
        await user.wait("ended")
    await next_call_works(stage)


@pytest.mark.parametrize("method", ["phone.requestCall", "phone.confirmCall", "phone.discardCall"])
async def test_lost_answer_leaves_no_call_behind(stage: Stage, method: str) -> None:
    async with stage.user() as user:
        stage.sandbox.fault(method, kind="drop_after", times=1)
        call = stage.phone.call(f"+{user.user.phone}")
        try:
            await asyncio.wait_for(call.answered(), 20)
            await call.hang_up()
        except PhoneError:
            await call.ended()
        await stage.nothing_left()
    await next_call_works(stage)


async def test_lost_answer_to_an_accepted_call_leaves_no_call_behind(stage: Stage) -> None:
    async with stage.user() as user:
        stage.sandbox.fault("phone.acceptCall", kind="drop_after", times=1)
        call = await stage.called(user)
        await call.answered()
        await user.wait("connected", 20)
        await user.hang_up()
        await call.ended()
    await next_call_works(stage)


@pytest.mark.usefixtures("our_engine_first")
async def test_user_with_whom_our_engine_fails_is_reached_by_the_other_one(stage: Stage) -> None:
    """What our engine does not speak is refused by it; ntgcalls does not look at it, and connects."""
    seen = len(stage.records)
    stage.sandbox.settings.custom_parameters = '{"network_kcp_experiment": true}'
    try:
        async with stage.user(audio="tone:700") as user:
            first = stage.phone.call(f"+{user.user.phone}")
            with pytest.raises(PhoneError):
                await first.answered()
            assert (await stage.record(seen)).ending.cause is HangupCause.INCOMPATIBLE_PEER
            await user.wait("ended")
            call = await up(stage, user)
            await asyncio.sleep(1.5)
            await call.hang_up()
            assert heard_by_user(await user.wait("ended"), 1000) > 0.5
            assert heard_by_phone(call, 700) > 0.5
    finally:
        stage.sandbox.settings.custom_parameters = None
    media = (await stage.record(seen + 1)).media
    assert (media.engine, media.spare_for) == ("ntgcalls", "incompatible_peer")
    await next_call_works(stage)
    assert (stage.records[-1].media.engine, stage.records[-1].media.spare_for) == ("tgcall", "")
