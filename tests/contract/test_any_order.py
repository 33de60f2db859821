"""Whatever the peer and we do, in whatever order: once a leg is released, nothing is left of its call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import CallError
from tests.contract.scripted_world import ScriptedWorld
from tests.contract.stage import NORMAL, Call, End, World, within

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: An event, and whether the next one comes at once.
Happenings = list[tuple[str, bool]]

NEAR_EVENTS: Final = ("we ring", "we answer", "we cancel", "we release", "the peer hangs up")
FAR_EVENTS: Final = ("the peer alerts", "the peer answers", "the peer hangs up", "we cancel", "we release")


class Play:
    """A leg, and all that is under way with it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._attempts: list[asyncio.Task[None]] = []
        self._others: list[asyncio.Task[None]] = []
        self._events: dict[str, Callable[[], None]] = {
            "we dial": lambda: self._attempt(call.dial()),
            "we ring": lambda: self._attempt(call.leg.ring()),
            "we answer": lambda: self._attempt(call.leg.answer()),
            "we cancel": self._cancel,
            "we release": lambda: self._do(call.leg.release(NORMAL)),
            "the peer alerts": lambda: self._do(call.peer.alerts()),
            "the peer answers": lambda: self._do(call.peer.answers()),
            "the peer hangs up": lambda: self._do(call.peer.hangs_up()),
        }

    def happens(self, event: str) -> None:
        self._events[event]()

    async def end(self) -> None:
        """Let go; every attempt ends then, and fails in no other way than a call may."""
        await within(self._call.leg.release(NORMAL))
        await within(asyncio.gather(*self._others))
        for ended in await within(asyncio.gather(*self._attempts, return_exceptions=True)):
            assert ended is None or isinstance(ended, CallError | asyncio.CancelledError), repr(ended)
        assert self._call.alerted <= 1

    def _attempt(self, work: Awaitable[None]) -> None:
        self._attempts.append(asyncio.ensure_future(work))

    def _do(self, work: Awaitable[None]) -> None:
        self._others.append(asyncio.ensure_future(work))

    def _cancel(self) -> None:
        for attempt in self._attempts:
            attempt.cancel()


async def _play(world: World, end: End, happenings: Happenings, *, early: bool = False) -> None:
    """`early`: what happens to a far leg begins before its peer knows of the call."""
    async with world.call(end) as call:
        play = Play(call)
        if end is End.FAR:
            play.happens("we dial")
            if not early:
                await within(call.peer.called())
        for event, at_once in happenings:
            play.happens(event)
            if not at_once:
                await world.settle()
        await play.end()


def _happenings(events: tuple[str, ...], most: int) -> st.SearchStrategy[Happenings]:
    # A near leg is answered once, and a far one dialled once: used again, it owes nothing.
    happenings = st.lists(st.tuples(st.sampled_from(events), st.booleans()), max_size=most)
    return happenings.filter(lambda one: sum(event == "we answer" for event, _ in one) < 2)


#: Each example is a call through a network.
real = settings(max_examples=12)


@settings(max_examples=150)
@given(happenings=_happenings(FAR_EVENTS, 8), early=st.booleans())
async def test_far_leg_on_a_script(happenings: Happenings, early: bool) -> None:
    await _play(ScriptedWorld(), End.FAR, happenings, early=early)


@settings(max_examples=150)
@given(happenings=_happenings(NEAR_EVENTS, 8))
async def test_near_leg_on_a_script(happenings: Happenings) -> None:
    await _play(ScriptedWorld(), End.NEAR, happenings)


@pytest.mark.parametrize("world", ["sip", "telegram"], indirect=True, scope="module")
@real
@given(happenings=_happenings(FAR_EVENTS, 5), early=st.booleans())
async def test_far_leg_on_a_network(world: World, happenings: Happenings, early: bool) -> None:
    await _play(world, End.FAR, happenings, early=early)


@pytest.mark.parametrize("world", ["sip", "telegram"], indirect=True, scope="module")
@real
@given(happenings=_happenings(NEAR_EVENTS, 5))
async def test_near_leg_on_a_network(world: World, happenings: Happenings) -> None:
    await _play(world, End.NEAR, happenings)
