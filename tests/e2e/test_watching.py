"""What an operator sees of calls and troubles over HTTP, while they happen."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.call.model import CallState, Direction
from gateway.demo.world import BUSINESS_PHONE, OPERATOR
from tests.e2e.stage import Stage
from tests.user_app import emoji_of


async def fetch(stage: Stage, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{stage.gateway.metrics_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def figure(stage: Stage, name: str, **labels: str) -> float:
    status, text = await fetch(stage, "/metrics")
    assert status == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"siptg_{name}" and labels.items() <= sample.labels.items()
    )


async def health(stage: Stage) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{stage.gateway.metrics_port}/health"
        async with session.get(url) as answer:
            return answer.status, await answer.json()


async def until_health(stage: Stage, status: str, within_s: float = 20.0) -> dict[str, Any]:
    async with asyncio.timeout(within_s):
        while (found := (await health(stage))[1])["status"] != status:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


@pytest.mark.usefixtures("our_engine_first")
async def test_a_call_is_seen_while_it_lives_and_counted_when_it_ends(stage: Stage) -> None:
    before = len(stage.records)
    counted = await figure(stage, "media_calls_total", engine="tgcall")
    user = stage.person()
    async with stage.user(user) as robot:
        call = stage.phone.call(f"+{user.phone}")
        await call.answered()
        await stage.up()
        assert await figure(stage, "calls", direction="sip-to-telegram", state="up") == 1
        await asyncio.sleep(1.5)
        await call.hang_up()
        await robot.wait("ended")
    record = await stage.record(before)
    await stage.nothing_left()
    media = record.media
    assert await figure(stage, "calls") == 0
    assert await figure(stage, "media_calls_total", engine="tgcall", version=media.version, path=media.path) >= 1
    assert await figure(stage, "media_calls_total", engine="tgcall") == counted + 1
    assert await figure(stage, "calls_ended_total", direction="sip-to-telegram", cause="normal") >= 1
    assert await figure(stage, "media_round_trip_seconds_count") >= 1
    assert await figure(stage, "media_packets_total", to="sip") >= media.to_sip.packets > 0
    # The user's app sends a packet each 20 or 60 ms; the engine's frames are not them.
    assert media.to_sip.packets <= 50 * record.talk_s + 50
    assert media.to_sip.first_ms is not None
    assert media.to_telegram.first_ms is not None
    text = (await fetch(stage, "/metrics"))[1]
    for private in (f"{user.phone}", str(user.id), BUSINESS_PHONE[1:], f"{user.username}"):
        assert private not in text


@pytest.mark.parametrize("way", list(Direction))
async def test_a_live_call_has_the_emoji_that_the_user_sees(stage: Stage, way: Direction) -> None:
    user = stage.person()
    async with stage.user(user) as robot:
        if way is Direction.SIP_TO_TELEGRAM:
            call = stage.phone.call(f"+{user.phone}")
            await call.answered()
        else:
            call = await stage.called(robot)
        report = await robot.wait("connected")
        await stage.up()
        [live] = stage.gateway.calls.living(OPERATOR)
        assert live.state is CallState.UP
        assert live.emoji == emoji_of(report)
        assert len(live.emoji.split(" ")) == 4
        await asyncio.sleep(1.0)
        [live] = await stage.gateway.calls.living_audio(OPERATOR)
        assert live.audio is not None
        assert live.audio.engine == "tgcall"
        assert live.audio.path == "direct"
        assert live.audio.to_telegram.packets > 25
        assert live.audio.to_sip.packets > 10
        [again] = await stage.gateway.calls.living_audio(OPERATOR)  # to look changes nothing
        assert again.audio is not None
        assert again.audio.to_sip.lost == live.audio.to_sip.lost == 0
        await call.hang_up()
    await stage.nothing_left()
    assert not stage.gateway.telegram.key_emoji(live.record.call_id)


async def test_a_refused_call_is_counted_by_its_cause(stage: Stage) -> None:
    before = len(stage.records)
    user = stage.person()
    async with stage.user(user, on_call="decline"):
        call = stage.phone.call(f"+{user.phone}")
        await call.ended()
    cause = (await stage.record(before)).ending.cause.value
    assert await figure(stage, "calls_ended_total", direction="sip-to-telegram", cause=cause) >= 1


async def test_health_names_an_account_that_is_away_and_fails_when_none_is_left(stage: Stage) -> None:
    status, found = await health(stage)
    assert (status, found) == (200, {"status": "ok", "troubles": [], "accounts": {"online": 1, "of": 1}})
    settings = stage.sandbox.settings
    settings.accepts_connections = False
    try:
        stage.sandbox.drop_connections(stage.world.business)
        found = await until_health(stage, "failing")
        assert found["accounts"] == {"online": 0, "of": 1}
        assert any("No session account is online" in trouble for trouble in found["troubles"])
        assert (await health(stage))[0] == 503
        assert await figure(stage, "accounts", state="offline") == 1
    finally:
        settings.accepts_connections = True
    await until_health(stage, "ok")


async def test_a_worker_that_dies_is_counted(stage: Stage) -> None:
    deaths = await figure(stage, "media_worker_deaths_total")
    os.kill(stage.gateway.pool.pids[0], signal.SIGKILL)
    async with asyncio.timeout(20):
        while await figure(stage, "media_worker_deaths_total") != deaths + 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await until_health(stage, "ok")
    assert await figure(stage, "media_workers") >= 1


@pytest.mark.timeout(120)
async def test_health_fails_while_asterisk_is_away_and_its_restart_is_counted(stage: Stage) -> None:
    pid = stage.gateway.asterisk.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    found = await until_health(stage, "failing")
    assert any("Asterisk is not reached" in trouble for trouble in found["troubles"])
    await until_health(stage, "ok", 60)
    await stage.phone.register()  # Asterisk may have died before it had written the registration down
    assert await figure(stage, "asterisk_restarts_total") == 1
    assert await figure(stage, "asterisk_up") == 1
    assert all(call.state is not CallState.UP for call in stage.gateway.board.calls.values())
