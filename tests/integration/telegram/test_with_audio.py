"""A call with the real media engine at both ends: what the key exchange and the signalling are for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.call.model import Party
from gateway.errors import Ending, HangupCause
from gateway.media.model import AudioFormat
from gateway.media.pool import MediaPool
from gateway.media.settings import MediaSettings
from tests.integration.telegram.people import Gateway, Town

NORMAL = Ending(HangupCause.NORMAL)


@pytest.fixture
async def pool() -> AsyncIterator[MediaPool]:
    async with MediaPool(MediaSettings(workers=1)) as pool:
        yield pool


async def test_the_engine_connects_in_both_directions(town: Town, pool: MediaPool) -> None:
    account = town.account()
    user = town.person("Ann", username="anna")
    shop = town.sandbox.telegram.world.user(account.user_id)
    gateway = Gateway(town.sandbox, account, town.store, town.settings(), versions=lambda: pool.versions)
    async with gateway.open():
        robot = await town.sandbox.robots.add(user)
        media = pool.place("out")
        media.choose(AudioFormat.ULAW)
        leg = gateway.leg(media)
        rings = asyncio.Event()

        async def alerting() -> None:
            rings.set()

        await leg.dial("@anna", Party(), alerting)
        assert rings.is_set()
        await robot.wait("connected")
        await leg.release(NORMAL)
        report = await media.close()
        assert report.version in pool.versions
        await robot.wait("ended")
        assert town.sandbox.calls()[-1].reason == "hangup"

        await robot.call(f"+{shop.phone}")
        offer = await gateway.desk.next()
        media = pool.place("in")
        media.choose(AudioFormat.G722)
        leg = offer.accept(media)
        await leg.answer()
        await robot.wait("connected")
        await robot.hang_up()
        assert (await leg.released()).cause is HangupCause.NORMAL
        await leg.release(NORMAL)
        await media.close()
    assert town.no_call_left()
