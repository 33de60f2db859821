"""Every codec and packet time, both ways, many calls at once: each hears his own peer and nobody else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import product

import pytest

from gateway.media.model import AudioFormat
from gateway.sandbox.audio import tone
from gateway.sandbox.phone.sound import rate_of
from tests.e2e.stage import Stage, heard_by_phone, heard_by_user

pytestmark = pytest.mark.parametrize("opened", ["tgcall", "ntgcalls"], indirect=True, scope="module")

WAYS = list(product(("ulaw", "alaw", "g722"), (10, 20, 30, 40)))
TALK_S = 2.0
#: A tone has nearly all of the power after two codecs, and half where a loaded machine tore it; another call's
#: tone has less than a twentieth.
CLEAR = 0.5


def tones(number: int) -> tuple[float, float]:
    """What the phone and the user of a call say, each unlike all others."""
    return 400.0 + 110 * number, 455.0 + 110 * number


@pytest.mark.timeout(120)
async def test_tones_cross_from_sip_to_telegram_and_back_in_twelve_calls_at_once(stage: Stage) -> None:
    await stage.limit(len(WAYS))
    seen = len(stage.records)
    async with AsyncExitStack() as calls:
        made = []
        for number, (codec, ptime_ms) in enumerate(WAYS):
            phone_hz, user_hz = tones(number)
            user = await calls.enter_async_context(stage.user(audio=f"tone:{user_hz}"))
            phone = await calls.enter_async_context(stage.another_phone(codecs=(codec,), ptime_ms=ptime_ms))
            call = phone.call(f"+{user.user.phone}", play=tone(phone_hz, 1, rate_of(codec)))
            made.append((call, user, phone_hz, user_hz))
        await asyncio.gather(*(call.answered() for call, *_ in made))
        await asyncio.sleep(TALK_S)
        await asyncio.gather(*(call.hang_up() for call, *_ in made))
        reports = await asyncio.gather(*(user.wait("ended") for _, user, *_ in made))
        for (codec, ptime_ms), (call, _, phone_hz, user_hz), report in zip(WAYS, made, reports, strict=True):
            assert heard_by_phone(call, user_hz) > CLEAR, (codec, ptime_ms)
            assert heard_by_user(report, phone_hz) > CLEAR, (codec, ptime_ms)
    await stage.nothing_left()
    records = stage.records[seen:]
    assert len(records) == len(WAYS)
    assert {record.format for record in records} == set(AudioFormat)
    assert all(record.media.to_telegram.lost == 0 for record in records)


@pytest.mark.timeout(120)
async def test_tones_cross_from_telegram_to_sip_and_back_in_twelve_calls_at_once(stage: Stage) -> None:
    await stage.limit(len(WAYS))
    async with AsyncExitStack() as calls:
        made = []
        for number, (codec, ptime_ms) in enumerate(WAYS):
            phone_hz, user_hz = tones(number)
            user = await calls.enter_async_context(stage.user(audio=f"tone:{user_hz}"))
            stage.phone.codecs, stage.phone.ptime_ms = (codec,), ptime_ms
            stage.phone.plays = tone(phone_hz, 1, rate_of(codec))
            call = await stage.called(user)
            await call.answered()
            made.append((call, user, phone_hz, user_hz))
        await asyncio.gather(*(user.wait("connected", 30) for _, user, *_ in made))
        await asyncio.sleep(TALK_S)
        await asyncio.gather(*(user.hang_up() for _, user, *_ in made))
        reports = await asyncio.gather(*(user.wait("ended") for _, user, *_ in made))
        for (codec, ptime_ms), (call, _, phone_hz, user_hz), report in zip(WAYS, made, reports, strict=True):
            assert heard_by_phone(call, user_hz) > CLEAR, (codec, ptime_ms)
            assert heard_by_user(report, phone_hz) > CLEAR, (codec, ptime_ms)
    await stage.nothing_left()
