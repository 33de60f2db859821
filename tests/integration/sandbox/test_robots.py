"""Robots with their real voices: each end's tone is found, by its frequency, at the other."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.sandbox.audio import level_dbfs, match, read_wav, speech, tone_share
from gateway.sandbox.behaviour import CallReport
from gateway.sandbox.calls import PhoneCall
from gateway.sandbox.robots import RobotError
from gateway.sandbox.server import Sandbox
from gateway.sandbox.settings import Settings
from gateway.sandbox.world import User
from tests.integration.sandbox.phones import online

pytestmark = pytest.mark.asyncio(loop_scope="module")

NewUser = Callable[[], User]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Sandbox]:
    """One for all: the robots' processes take a second to start."""
    state = tmp_path_factory.mktemp("sandbox")
    shutil.copy(sandbox_key, state)
    async with Sandbox(state) as opened:
        yield opened


@pytest.fixture(scope="module")
def numbers() -> itertools.count[int]:
    return itertools.count(15550001)


@pytest.fixture
def new_user(sandbox: Sandbox, numbers: itertools.count[int]) -> NewUser:
    return lambda: sandbox.create_user(str(next(numbers)), "Robot")


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def tidy(sandbox: Sandbox) -> AsyncIterator[None]:
    """No robot and no setting outlives its test."""
    yield
    for robot in sandbox.robots.all():
        await robot.remove()
    for name, value in Settings().model_dump().items():
        setattr(sandbox.settings, name, value)


def tone_heard(call: CallReport, hz: int) -> float:
    """The share of a tone in what was heard, but for the beginning and the end."""
    assert call.recording
    pcm, rate_hz = read_wav(Path(call.recording))
    return tone_share(pcm[len(pcm) // 3 : -len(pcm) // 10], rate_hz, hz)


def call_of(sandbox: Sandbox, user: User) -> PhoneCall:
    return next(call for call in reversed(sandbox.calls()) if user.id in (call.caller, call.callee))


async def test_each_hears_the_other_s_tone(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    caller, callee = await asyncio.gather(
        sandbox.robots.add(ann, audio="tone:440"),
        sandbox.robots.add(bob, host=1, audio="tone:1000", hangup_after_s=1.2),
    )
    await caller.call(bob)
    at_caller, at_callee = await caller.wait("ended"), await callee.wait("ended")
    assert tone_heard(at_caller, 1000) > 0.98
    assert tone_heard(at_callee, 440) > 0.98
    assert at_caller.reason == at_callee.reason == "hangup"
    assert [event for _, event in at_caller.events] == ["ringing", "connecting", "connected", "ended"]
    assert "13.0.0" in at_caller.versions
    call = call_of(sandbox, ann)
    assert (call.reason, call.ended_by, call.duration) == ("hangup", "callee", 1)


async def test_an_echo_brings_speech_back_and_the_delay_can_be_told(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    caller, _ = await asyncio.gather(
        sandbox.robots.add(ann, audio="speech:telephone", rate_hz=8000, hangup_after_s=3),
        sandbox.robots.add(bob, host=1, audio="echo", rate_hz=8000),
    )
    await caller.call(bob)
    report = await caller.wait("ended")
    assert report.recording
    assert report.first_heard_at
    assert report.first_said_at
    heard, rate_hz = read_wav(Path(report.recording))
    # The first second teaches both engines' buffers how much to hold; until then they stretch what is said.
    found = match(speech("telephone", rate_hz)[rate_hz : rate_hz * 8 // 5], heard, rate_hz)
    delay_s = report.first_heard_at + found.delay_s - report.first_said_at - 1
    assert found.likeness > 0.5
    assert 0.1 < delay_s < 1.0  # twice through an engine of about 90 ms


async def test_ten_calls_at_once_none_crossed(sandbox: Sandbox, new_user: NewUser) -> None:
    callers, callees = [new_user() for _ in range(10)], [new_user() for _ in range(10)]
    playing = await asyncio.gather(
        *(
            sandbox.robots.add(user, audio=f"tone:{300 + 100 * number}", rate_hz=8000)
            for number, user in enumerate(callers)
        )
    )
    answering = await asyncio.gather(*(sandbox.robots.add(user, host=1, rate_hz=8000) for user in callees))
    for robot, callee in zip(playing, callees, strict=True):
        await robot.call(callee)
    await asyncio.gather(*(robot.wait("connected", 30) for robot in (*playing, *answering)))
    await asyncio.sleep(1)
    await asyncio.gather(*(robot.hang_up() for robot in playing))
    for number, robot in enumerate(answering):
        assert tone_heard(await robot.wait("ended", 20), 300 + 100 * number) > 0.95
    for robot, callee in zip(playing, callees, strict=True):
        heard = (await robot.wait("ended", 20)).recording
        assert heard
        assert level_dbfs(read_wav(Path(heard))[0]) < -60
        assert call_of(sandbox, callee).reason == "hangup"


@pytest.mark.parametrize(("on_call", "reason"), [("decline", "hangup"), ("busy", "busy"), ("ignore", "missed")])
async def test_a_robot_refuses_as_told(sandbox: Sandbox, new_user: NewUser, on_call: str, reason: str) -> None:
    sandbox.settings.call_ring_timeout_ms = 200
    ann, bob = new_user(), new_user()
    robot = await sandbox.robots.add(bob, on_call=on_call)
    async with online(sandbox, ann) as phone:
        await phone.call(str(bob.phone))
        assert (await robot.wait("ended")).reason == reason
    assert call_of(sandbox, bob).reason == reason


async def test_robots_on_one_host_do_not_call_each_other(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    caller, _ = await sandbox.robots.add(ann), await sandbox.robots.add(bob)
    with pytest.raises(RobotError, match="same host"):
        await caller.call(bob)


async def test_an_offline_robot_does_not_ring_until_it_comes(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    robot = await sandbox.robots.add(bob, on_call="offline")
    async with online(sandbox, ann) as phone:
        await phone.call(str(bob.phone))
        assert not (await robot.report()).online
        assert await robot.calls() == []
        await robot.behave(on_call="decline")
        await robot.wait("ended")


async def test_an_answer_may_come_late(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    robot = await sandbox.robots.add(bob, after_s=0.4)
    async with online(sandbox, ann) as phone:
        await phone.call(str(bob.phone))
        await robot.wait("connecting")
    events = {event: at for at, event in call_of(sandbox, bob).events}
    assert 0.4 <= events["accepted"] - events["ringing"] < 1.5


async def test_a_refused_call_tells_why(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    robot = await sandbox.robots.add(ann)
    sandbox.set_privacy(bob, "PhoneCall", [("DisallowAll", [])])
    with pytest.raises(RobotError, match="USER_PRIVACY_RESTRICTED"):
        await robot.call(bob)
    with pytest.raises(RobotError, match="PHONE_NOT_OCCUPIED"):
        await robot.call("+15559999")


@pytest.mark.parametrize("wrong", [{"on_call": "dance"}, {"after_s": -1}, {"rate_hz": 44100}, {"volume": 11}])
async def test_nonsense_is_refused(sandbox: Sandbox, new_user: NewUser, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        await sandbox.robots.add(new_user(), **wrong)


async def test_a_sound_that_is_not_there_ends_the_call_with_a_reason(sandbox: Sandbox, new_user: NewUser) -> None:
    ann, bob = new_user(), new_user()
    caller = await sandbox.robots.add(ann, audio="/nowhere.wav")
    await sandbox.robots.add(bob, host=1)
    await caller.call(bob)
    assert "no such sound" in (await caller.wait("ended")).reason
