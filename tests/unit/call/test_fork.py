"""Several lines ring; one wins."""

from __future__ import annotations

import asyncio

import pytest

from gateway.call.fork import Fork
from gateway.call.model import Account, Line, LineKind, Party, Route
from gateway.errors import CallError, HangupCause
from tests.scripted import ScriptedLeg, settle

ACCOUNT = Account(1, "4915", 1000)


class Forked:
    """A fork over lines of these priorities, and its scripted branches by line number."""

    def __init__(self, *priorities: int) -> None:
        self.legs: dict[int, ScriptedLeg] = {}
        routes = [
            Route(ACCOUNT, Line(n, 1, f"line {n}", LineKind.TRUNK, priority=priority), str(n), Party())
            for n, priority in enumerate(priorities, 1)
        ]
        self.fork = Fork(routes, self._make)
        self.alerts = 0
        self.dial = asyncio.create_task(self.fork.dial("", Party(), self._alerting))

    def _make(self, route: Route) -> ScriptedLeg:
        self.legs[route.line.id] = ScriptedLeg(route.line.endpoint)
        return self.legs[route.line.id]

    async def _alerting(self) -> None:
        self.alerts += 1


async def test_first_answer_wins_and_the_others_are_let_go() -> None:
    forked = Forked(10, 10)
    await settle()
    forked.legs[2].peer_answers()
    await forked.dial
    assert forked.fork.name == "line2"
    assert forked.legs[1].let_go_with is not None
    assert forked.legs[1].let_go_with.cause is HangupCause.ANSWERED_ELSEWHERE
    assert forked.legs[2].let_go_with is None


async def test_next_priority_rings_only_when_all_of_the_lower_failed() -> None:
    forked = Forked(10, 10, 20)
    await settle()
    assert set(forked.legs) == {1, 2}
    forked.legs[1].peer_refuses(HangupCause.LINE_DOWN)
    await settle()
    assert set(forked.legs) == {1, 2}
    forked.legs[2].peer_lets_go(HangupCause.BUSY)
    await settle()
    assert set(forked.legs) == {1, 2, 3}
    forked.legs[3].peer_answers()
    await forked.dial
    assert forked.fork.name == "line3"


async def test_caller_hears_ringing_once_whoever_rings() -> None:
    forked = Forked(10, 10)
    await settle()
    for leg in forked.legs.values():
        leg.peer_alerts.set()
    await settle()
    forked.legs[1].peer_answers()
    await forked.dial
    assert forked.alerts == 1


async def test_when_all_fail_the_most_telling_reason_is_given() -> None:
    forked = Forked(10, 10)
    await settle()
    forked.legs[1].peer_refuses(HangupCause.LINE_DOWN)
    forked.legs[2].peer_refuses(HangupCause.BUSY, "SIP 486")
    with pytest.raises(CallError) as failed:
        await forked.dial
    assert failed.value.ending.cause is HangupCause.BUSY


async def test_release_while_ringing_lets_every_branch_go() -> None:
    forked = Forked(10, 10)
    await settle()
    forked.dial.cancel()
    await asyncio.gather(forked.dial, return_exceptions=True)
    await forked.fork.release(CallError(HangupCause.CANCELLED).ending)
    assert all(leg.let_go_with is not None for leg in forked.legs.values())


async def test_end_of_the_winning_branch_is_the_fork_s_end() -> None:
    forked = Forked(10, 10)
    released = asyncio.create_task(forked.fork.released())
    await settle()
    forked.legs[1].peer_answers()
    await forked.dial
    await settle()
    assert not released.done()
    forked.legs[1].peer_lets_go()
    assert (await released).cause is HangupCause.NORMAL
