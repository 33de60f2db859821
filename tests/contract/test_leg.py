"""What every leg owes to the centre, on whatever network: `gateway.call.ports.Leg`, sentence by sentence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import CallError, Ending, HangupCause
from tests.contract.stage import NORMAL, Audio, Call, End, State, World, outcome, within

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEAR, FAR = End.NEAR, End.FAR
UNTOUCHED, CALLING, RINGING, UP = State
NO_AUDIO = CallError(HangupCause.MEDIA_LOST, "no path")

#: Every state that a leg can be let go in. A near leg is born with a peer that calls.
STATES = [(NEAR, UNTOUCHED), (NEAR, RINGING), (NEAR, UP), (FAR, UNTOUCHED), (FAR, CALLING), (FAR, RINGING), (FAR, UP)]
#: Those in which there is a peer that can let go.
LIVE = [(end, state) for end, state in STATES if (end, state) != (FAR, UNTOUCHED)]
#: How far into an operation it is given up, in seconds; a call through a real network takes some 20 ms to be there.
HALF_WAY = [0.0, 0.002, 0.005, 0.01, 0.02, 0.05]

any_state = pytest.mark.parametrize(("end", "state"), STATES)
live_state = pytest.mark.parametrize(("end", "state"), LIVE)
either_end = pytest.mark.parametrize("end", End)


async def _give_up(task: asyncio.Task[Any], after_s: float) -> None:
    await asyncio.sleep(after_s)
    task.cancel()
    await asyncio.wait([task])


# --- a near leg answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rung", [False, True], ids=["at once", "after ringing"])
async def test_answer_connects_the_caller_whether_or_not_he_heard_ringback(world: World, rung: bool) -> None:
    async with world.call(NEAR) as call:
        if rung:
            await call.leg.ring()
        await within(call.leg.answer())
        await call.peer.hears()
        assert call.audio.chosen == world.chooses


@pytest.mark.parametrize("after_s", HALF_WAY)
async def test_ringing_given_up_half_way_does_not_keep_the_answer_from_connecting(world: World, after_s: float) -> None:
    async with world.call(NEAR) as call:
        await _give_up(asyncio.create_task(call.leg.ring()), after_s)
        await within(call.leg.answer())
        await call.peer.hears()


async def test_answer_fails_when_the_caller_has_gone_and_says_why(world: World) -> None:
    async with world.call(NEAR) as call:
        await call.peer.hangs_up()
        assert (await call.leg.released()).cause is HangupCause.CANCELLED
        ending = await outcome(call.begin())
        assert ending is not None
        assert ending.cause is HangupCause.CANCELLED


async def test_answer_after_the_release_changes_nothing(world: World) -> None:
    async with world.call(NEAR) as call:
        await call.leg.release(Ending(HangupCause.BUSY))
        told = await call.peer.told()
        assert await outcome(call.begin()) is not None
        assert told == call.peer.words(HangupCause.BUSY)


# --- a far leg dials -------------------------------------------------------------------------------------------------


async def test_dial_says_once_that_the_peer_rings_and_connects_when_he_answers(world: World) -> None:
    async with world.call(FAR) as call:
        dialling = call.begin()
        await call.peer.called()
        for _ in range(3):
            await call.peer.alerts()
            await world.settle()
        assert not dialling.done()
        await call.peer.answers()
        assert await outcome(dialling) is None
        await call.peer.hears()
        assert call.alerted == 1
        assert call.audio.chosen == world.chooses


async def test_dial_of_a_peer_who_answers_without_ringing_says_nothing_of_ringing(world: World) -> None:
    async with world.call(FAR) as call:
        dialling = call.begin()
        await call.peer.called()
        await call.peer.answers()
        assert await outcome(dialling) is None
        await call.peer.hears()
        assert call.alerted == 0


@pytest.mark.parametrize("state", [CALLING, RINGING])
@pytest.mark.parametrize("cause", [HangupCause.BUSY, HangupCause.DECLINED])
async def test_refused_dial_fails_with_what_the_peer_meant(world: World, state: State, cause: HangupCause) -> None:
    async with world.call(FAR) as call:
        dialling = await call.reach(state)
        assert dialling is not None
        await call.peer.refuses(cause)
        ending = await outcome(dialling)
        assert ending is not None
        assert ending.cause is cause
        assert await within(call.leg.released()) == ending


@pytest.mark.parametrize("after_s", HALF_WAY)
@pytest.mark.parametrize("answered", [False, True], ids=["silent", "answered meanwhile"])
async def test_dial_given_up_half_way_leaves_nothing_once_released(
    world: World, after_s: float, answered: bool
) -> None:
    async with world.call(FAR) as call:
        dialling = call.begin()
        if answered:
            await call.peer.called()
            await call.peer.answers()
        await _give_up(dialling, after_s)
        await call.leg.release(Ending(HangupCause.CANCELLED))


async def test_dial_after_the_release_calls_nobody(world: World) -> None:
    async with world.call(FAR) as call:
        await call.leg.release(NORMAL)
        assert await outcome(call.begin()) is not None
        assert call.audio.chosen == 0


async def test_answer_in_the_moment_of_the_release_changes_nothing(world: World) -> None:
    async with world.call(FAR) as call:
        dialling = await call.reach(RINGING)
        assert dialling is not None
        dialling.cancel()
        await asyncio.gather(call.peer.answers(), call.leg.release(Ending(HangupCause.CANCELLED)))
        await world.settle()
        assert not call.audio.connected


# Several lines may ring for one call; several Telegram users don't.
@pytest.mark.parametrize("world", ["sip"], indirect=True, scope="module")
async def test_dial_that_finds_the_audio_taken_fails_as_answered_elsewhere(world: World) -> None:
    async with world.call(FAR) as call:
        dialling = await call.reach(RINGING)
        assert dialling is not None
        call.audio.format = "taken"  # type: ignore[assignment]
        await call.peer.answers()
        ending = await outcome(dialling)
        assert ending is not None
        assert ending.cause is HangupCause.ANSWERED_ELSEWHERE


# --- audio -----------------------------------------------------------------------------------------------------------


async def _connecting(call: Call) -> asyncio.Task[None]:
    """The dial or answer of a leg that needs nothing but its audio any more."""
    connecting = call.begin()
    if call.end is FAR:
        await call.peer.called()
        await call.peer.answers()
    return connecting


@either_end
async def test_leg_is_connected_only_when_audio_can_flow(world: World, end: End) -> None:
    async with world.call(end, Audio(held=True)) as call:
        connecting = await _connecting(call)
        await within(call.audio.asked.wait())
        await world.settle()
        assert not connecting.done()
        call.audio.let()
        assert await outcome(connecting) is None
        await call.peer.hears()


@either_end
async def test_audio_that_does_not_open_ends_the_attempt_with_its_cause(world: World, end: End) -> None:
    async with world.call(end, Audio(failure=NO_AUDIO)) as call:
        assert await outcome(await _connecting(call)) == NO_AUDIO.ending


@either_end
async def test_peer_who_lets_go_while_audio_opens_ends_the_attempt(world: World, end: End) -> None:
    async with world.call(end, Audio(held=True)) as call:
        connecting = await _connecting(call)
        await within(call.audio.asked.wait())
        await call.peer.hangs_up()
        ending = await outcome(connecting)
        assert ending is not None
        assert ending == await within(call.leg.released())


# --- the peer lets go ------------------------------------------------------------------------------------------------


@live_state
async def test_whoever_listens_hears_the_peer_let_go_once_and_why(world: World, end: End, state: State) -> None:
    async with world.call(end) as call:
        await call.reach(state)
        ears = [asyncio.create_task(call.leg.released()) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(ear.done() for ear in ears)
        await call.peer.hangs_up()
        first, second = await asyncio.gather(*(within(ear) for ear in ears))
        before = HangupCause.CANCELLED if end is NEAR else HangupCause.DECLINED
        assert first.cause is (HangupCause.NORMAL if state is UP else before)
        await call.leg.release(Ending(HangupCause.INTERNAL))
        await world.settle()
        assert first == second == await within(call.leg.released())


@either_end
async def test_listener_who_stops_listening_does_not_stop_the_others(world: World, end: End) -> None:
    async with world.call(end) as call:
        await call.reach(UP)
        deaf, ear = (asyncio.create_task(call.leg.released()) for _ in range(2))
        await _give_up(deaf, 0)
        await call.peer.hangs_up()
        assert (await within(ear)).cause is HangupCause.NORMAL


# --- we let go -------------------------------------------------------------------------------------------------------


@any_state
async def test_release_is_safe_in_every_state_any_number_of_times_and_all_at_once(
    world: World, end: End, state: State
) -> None:
    async with world.call(end) as call:
        under_way = await call.reach(state)
        if under_way is not None:
            under_way.cancel()
        await within(asyncio.gather(*(call.leg.release(Ending(cause)) for cause in HangupCause)))
        await within(call.leg.release(NORMAL))


@pytest.mark.parametrize(
    ("end", "state", "cause"),
    [
        (NEAR, UNTOUCHED, HangupCause.BUSY),
        (NEAR, UNTOUCHED, HangupCause.NO_ANSWER),
        (NEAR, RINGING, HangupCause.DECLINED),
        (NEAR, RINGING, HangupCause.NO_ANSWER),
        (NEAR, UP, HangupCause.NORMAL),
        (NEAR, UP, HangupCause.MEDIA_LOST),
        (FAR, CALLING, HangupCause.CANCELLED),
        (FAR, RINGING, HangupCause.CANCELLED),
        (FAR, RINGING, HangupCause.NO_ANSWER),
        (FAR, UP, HangupCause.NORMAL),
        (FAR, UP, HangupCause.MEDIA_LOST),
    ],
)
async def test_peer_is_told_what_the_first_release_meant(
    world: World, end: End, state: State, cause: HangupCause
) -> None:
    async with world.call(end) as call:
        await call.reach(state)
        # Asterisk renegotiates once the bridge is made; a BYE that has to wait for that has no Reason.
        await world.settle()
        await asyncio.gather(call.leg.release(Ending(cause)), call.leg.release(Ending(HangupCause.FLOOD)))
        assert await call.peer.told() == call.peer.words(cause)


@live_state
async def test_release_cancelled_half_way_lets_go_all_the_same(world: World, end: End, state: State) -> None:
    async with world.call(end) as call:
        await call.reach(state)
        letting_go = asyncio.create_task(call.leg.release(NORMAL))
        await _give_up(letting_go, 0)


@any_state
async def test_release_is_not_heard_as_the_peers(world: World, end: End, state: State) -> None:
    async with world.call(end) as call:
        await call.reach(state)
        ear = asyncio.create_task(call.leg.released())
        await call.leg.release(NORMAL)
        await world.settle()
        assert not ear.done()
        await _give_up(ear, 0)


@pytest.mark.parametrize("audio", ["held", "open"])
@pytest.mark.parametrize(("end", "state"), [(NEAR, UNTOUCHED), (FAR, CALLING), (FAR, RINGING)])
async def test_release_ends_an_attempt_that_nobody_gave_up(world: World, end: End, state: State, audio: str) -> None:
    async with world.call(end, Audio(held=audio == "held")) as call:
        attempt = await call.reach(state) or call.begin()
        if audio == "held":
            await call.peer.answers()
            await within(call.audio.asked.wait())
        await call.leg.release(Ending(HangupCause.CANCELLED))
        ending = await outcome(attempt)
        assert ending is None or ending.cause is HangupCause.CANCELLED


@pytest.mark.parametrize("after_s", HALF_WAY)
async def test_release_while_the_answer_is_under_way_opens_nothing_more(world: World, after_s: float) -> None:
    async with world.call(FAR) as call:
        dialling = await call.reach(RINGING)
        assert dialling is not None
        await call.peer.answers()
        await asyncio.sleep(after_s)
        await call.leg.release(Ending(HangupCause.CANCELLED))
        ending = await outcome(dialling)
        assert ending is None or ending.cause is HangupCause.CANCELLED


@live_state
async def test_both_ends_letting_go_at_once_is_one_ending(world: World, end: End, state: State) -> None:
    async with world.call(end) as call:
        await call.reach(state)
        await within(asyncio.gather(call.peer.hangs_up(), call.leg.release(NORMAL)))
