"""The session, with a test as either peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call.model import MOVES, CallRecord, CallState, Party
from gateway.call.session import CallLimits, CallSession, IllegalMoveError
from gateway.errors import Ending, HangupCause
from tests.scripted import ScriptedLeg, ScriptedMedia, new_record, settle


class Stage:
    """A session between two scripted peers, and all that was seen of it."""

    def __init__(self, limits: CallLimits | None = None) -> None:
        self.near, self.far, self.media = ScriptedLeg("near"), ScriptedLeg("far"), ScriptedMedia()
        self.moves: list[CallState] = []
        self.session = CallSession(new_record(), self.near, self.far, self.media, limits or CallLimits(), self._watch)
        self.task: asyncio.Task[CallRecord] | None = None

    def _watch(self, record: CallRecord, state: CallState) -> None:
        self.moves.append(state)

    async def begin(self) -> None:
        self.task = asyncio.create_task(self.session.run("+4915", Party("100")))
        await settle()

    async def reach(self, state: CallState) -> None:
        """Bring the call to a state by what the peers do."""
        await self.begin()
        if state in (CallState.ALERTING, CallState.ANSWERING, CallState.UP):
            self.far.peer_alerts.set()
            await settle()
        if state in (CallState.ANSWERING, CallState.UP):
            self.far.peer_answers()
            await settle()
        if state is CallState.UP:
            self.near.peer_answers()
            await settle()
        assert self.session.state is state

    async def end(self) -> CallRecord:
        assert self.task is not None
        return await asyncio.wait_for(self.task, 1)


@asynccontextmanager
async def staged(state: CallState | None = None, limits: CallLimits | None = None) -> AsyncIterator[Stage]:
    stage = Stage(limits)
    if state is not None:
        await stage.reach(state)
    yield stage
    if stage.task is not None and not stage.task.done():
        stage.task.cancel()
        await asyncio.gather(stage.task, return_exceptions=True)


LIVE = [CallState.DIALLING, CallState.ALERTING, CallState.ANSWERING, CallState.UP]


async def test_call_goes_through_its_states_in_order() -> None:
    async with staged(CallState.UP) as stage:
        stage.near.peer_lets_go()
        record = await stage.end()
    assert stage.moves == [
        CallState.DIALLING,
        CallState.ALERTING,
        CallState.ANSWERING,
        CallState.UP,
        CallState.ENDING,
        CallState.ENDED,
    ]
    assert record.ending.cause is HangupCause.NORMAL
    assert record.ended_by == "near"
    assert record.answered_at is not None


async def test_near_is_answered_only_after_the_far_leg_carries_audio() -> None:
    async with staged(CallState.ALERTING) as stage:
        assert stage.near.heard == ["ring"]
        stage.far.peer_answers()
        await settle()
        assert stage.near.heard == ["ring", "answer"]


async def test_far_leg_that_answers_without_alerting_leaves_ringing_out() -> None:
    async with staged(CallState.DIALLING) as stage:
        stage.far.peer_answers()
        await settle()
        assert stage.near.heard == ["answer"]


@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize("who", ["near", "far", "media", "gateway"])
async def test_whoever_stops_first_ends_both_legs_once_with_his_cause(state: CallState, who: str) -> None:
    async with staged(state) as stage:
        stop: dict[str, Callable[[], None]] = {
            "near": lambda: stage.near.peer_lets_go(HangupCause.BUSY),
            "far": lambda: stage.far.peer_lets_go(HangupCause.BUSY),
            "media": lambda: stage.media.lose(HangupCause.BUSY),
            "gateway": lambda: stage.session.hang_up(Ending(HangupCause.BUSY)),
        }
        stop[who]()
        record = await stage.end()
    assert record.ending.cause is HangupCause.BUSY
    assert (record.ended_by, record.state) == (who, state)
    for leg in (stage.near, stage.far):
        assert leg.heard.count("release") == 1
        assert leg.let_go_with == record.ending
    assert stage.media.closed == 1
    assert record.media.engine == "scripted"


@pytest.mark.parametrize("state", LIVE)
async def test_plain_hangup_means_what_the_state_says(state: CallState) -> None:
    answered = state in (CallState.ANSWERING, CallState.UP)
    meanings = {
        "near": HangupCause.NORMAL if state is CallState.UP else HangupCause.CANCELLED,
        "far": HangupCause.NORMAL if answered else HangupCause.DECLINED,
    }
    for who, meaning in meanings.items():
        async with staged(state) as stage:
            getattr(stage, who).peer_lets_go(HangupCause.NORMAL)
            record = await stage.end()
        assert record.ending.cause is meaning


async def test_refusal_keeps_its_cause_detail_and_retry_after() -> None:
    async with staged(CallState.DIALLING) as stage:
        stage.far.peer_refuses(HangupCause.FLOOD, "FLOOD_WAIT_31", 31)
        record = await stage.end()
    assert record.ending == Ending(HangupCause.FLOOD, "FLOOD_WAIT_31", 31)
    assert stage.near.let_go_with == record.ending
    assert record.ended_by == "far"


async def test_late_answer_after_hangup_is_ignored() -> None:
    async with staged(CallState.ALERTING) as stage:
        stage.near.peer_lets_go()
        record = await stage.end()
        stage.far.peer_answers()
        await settle()
    assert stage.near.heard == ["ring", "release"]
    assert record.ending.cause is HangupCause.CANCELLED


async def test_both_hanging_up_at_once_is_one_ending() -> None:
    async with staged(CallState.UP) as stage:
        stage.near.peer_lets_go()
        stage.far.peer_lets_go()
        record = await stage.end()
    assert stage.moves.count(CallState.ENDING) == 1
    assert record.ended_by in ("near", "far")
    assert [leg.heard.count("release") for leg in (stage.near, stage.far)] == [1, 1]


async def test_nobody_answering_ends_as_no_answer() -> None:
    async with staged(limits=CallLimits(answer_s=0.01)) as stage:
        await stage.begin()
        record = await stage.end()
    assert record.ending.cause is HangupCause.NO_ANSWER


async def test_near_that_never_carries_audio_ends_as_media_lost() -> None:
    async with staged(CallState.ALERTING, CallLimits(connect_s=0.01)) as stage:
        stage.far.peer_answers()
        record = await stage.end()
    assert record.ending.cause is HangupCause.MEDIA_LOST


async def test_longest_conversation_is_ended_by_the_gateway() -> None:
    async with staged(CallState.ALERTING, CallLimits(talk_s=0.01)) as stage:
        stage.far.peer_answers()
        stage.near.peer_answers()
        record = await stage.end()
    assert (record.ending.cause, record.ended_by) == (HangupCause.OVER_LIMIT, "gateway")


@pytest.mark.parametrize("state", LIVE)
async def test_cancellation_releases_both_legs_as_shutdown(state: CallState) -> None:
    async with staged(state) as stage:
        assert stage.task is not None
        stage.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stage.task
    assert stage.session.record.ending.cause is HangupCause.SHUTDOWN
    assert stage.near.heard[-1] == stage.far.heard[-1] == "release"
    assert stage.session.state is CallState.ENDED


async def test_fault_of_a_leg_ends_the_call_as_internal() -> None:
    async with staged() as stage:
        stage.far.answered.set_exception(ValueError("a fault"))
        await stage.begin()
        record = await stage.end()
    assert record.ending.cause is HangupCause.INTERNAL


@given(st.sampled_from(CallState), st.sampled_from(CallState))
def test_only_the_table_s_moves_are_made(before: CallState, after: CallState) -> None:
    async def move() -> None:
        stage = Stage()
        stage.session.state = before
        if after in MOVES[before]:
            stage.session._move(after)
            assert stage.session.state is after
        else:
            with pytest.raises(IllegalMoveError):
                stage.session._move(after)

    asyncio.run(move())


EVENTS: dict[str, Callable[[Stage], None]] = {
    "far alerts": lambda stage: stage.far.peer_alerts.set(),
    "far answers": lambda stage: stage.far.peer_answers(),
    "far refuses": lambda stage: stage.far.peer_refuses(HangupCause.DECLINED),
    "far lets go": lambda stage: stage.far.peer_lets_go(),
    "near answers": lambda stage: stage.near.peer_answers(),
    "near lets go": lambda stage: stage.near.peer_lets_go(),
    "near refuses": lambda stage: stage.near.peer_refuses(HangupCause.MEDIA_LOST),
    "audio is lost": lambda stage: stage.media.lose(),
    "operator ends": lambda stage: stage.session.hang_up(Ending(HangupCause.SHUTDOWN)),
}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.booleans()), max_size=9))
def test_any_order_of_events_ends_once_with_everything_released(events: list[tuple[str, bool]]) -> None:
    """Events come one by one or, where the flag is set, together with the next."""

    async def play() -> None:
        stage = Stage()
        await stage.begin()
        for event, together in events:
            EVENTS[event](stage)
            if not together:
                await settle()
        stage.near.peer_lets_go()
        record = await stage.end()
        for before, after in zip([CallState.OFFERED, *stage.moves], stage.moves, strict=False):
            assert after in MOVES[before]
        assert stage.moves[-2:] == [CallState.ENDING, CallState.ENDED]
        assert [leg.heard.count("release") for leg in (stage.near, stage.far)] == [1, 1]
        assert stage.media.closed == 1
        assert record.ending.cause is not HangupCause.INTERNAL

    asyncio.run(play())
