"""Several lines ring for one call: a leg made of legs (L4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from gateway.call.model import Party, Route
from gateway.call.ports import Alerting, Leg
from gateway.errors import CallError, Ending, HangupCause

#: When every branch failed, the caller is told the most telling of their reasons:
#: a person's answer says more than a line that is down.
_TELLING: Final = (HangupCause.DECLINED, HangupCause.BUSY, HangupCause.NO_ANSWER)

_ELSEWHERE: Final = Ending(HangupCause.ANSWERED_ELSEWHERE)


class Fork:
    """The far leg of a call to several lines.

    Lines of the lowest priority number ring together and the first answer wins;
    the next number is tried only when all of these failed. Which branch has the
    audio is settled by `Media.choose`, that only one of them can do.
    """

    def __init__(self, routes: Sequence[Route], make: Callable[[Route], Leg]) -> None:
        """`routes` in the order of their lines' priority; `make` gives a fresh leg for each."""
        self._routes = routes
        self._make = make
        self._winner: Leg | None = None
        self._won = asyncio.Event()
        self._ringing: list[Leg] = []

    @property
    def name(self) -> str:
        return self._winner.name if self._winner else self._routes[0].line.endpoint

    async def ring(self) -> None:
        raise NotImplementedError("a fork only calls out")

    answer = ring

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        """Call out on every line, each to the number and as the caller that its own route says."""
        failures: list[CallError] = []
        told = False

        async def alerting_once() -> None:
            nonlocal told
            if not told:
                told = True
                await alerting()

        for _, group in groupby(self._routes, key=lambda route: route.line.priority):
            winner = await self._ring_together(list(group), alerting_once, failures)
            if winner is not None:
                self._winner = winner
                self._won.set()
                return
        raise min(failures, key=_telling)

    async def _ring_together(
        self, routes: Sequence[Route], alerting: Alerting, failures: list[CallError]
    ) -> Leg | None:
        """The leg that answered first; None when all failed. The others are let go before it returns."""
        branches = {self._make(route): route for route in routes}
        self._ringing = list(branches)
        dials = {
            asyncio.create_task(_dial(leg, route, alerting), name=f"branch {leg.name}"): leg
            for leg, route in branches.items()
        }
        pending = set(dials)
        winner: Leg | None = None
        try:
            while pending and winner is None:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for dial in done:
                    failure = dial.result()
                    if failure is not None:
                        failures.append(failure)
                    elif winner is None:
                        winner = dials[dial]
        finally:
            for dial in pending:
                dial.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        losers = [leg for leg in branches if leg is not winner]
        await asyncio.gather(*(leg.release(_ELSEWHERE) for leg in losers))
        return winner

    async def released(self) -> Ending:
        """Only the branch that won can end the call; a branch that fails while ringing ends its own dial."""
        await self._won.wait()
        assert self._winner is not None
        return await self._winner.released()

    async def release(self, ending: Ending) -> None:
        legs = [self._winner] if self._winner else self._ringing
        await asyncio.gather(*(leg.release(ending) for leg in legs))


async def _dial(leg: Leg, route: Route, alerting: Alerting) -> CallError | None:
    """Dial one branch, with an ear on it: a peer that lets go ends the branch."""
    ear = asyncio.create_task(leg.released(), name=f"ear {leg.name}")
    dial = asyncio.create_task(leg.dial(route.to, route.caller, alerting), name=f"dial {leg.name}")
    try:
        await asyncio.wait({ear, dial}, return_when=asyncio.FIRST_COMPLETED)
        if dial.done():
            dial.result()
            return None
        return CallError.of(ear.result())
    except CallError as failure:
        return failure
    finally:
        for task in (ear, dial):
            task.cancel()
        await asyncio.gather(ear, dial, return_exceptions=True)


def _telling(failure: CallError) -> int:
    cause = failure.ending.cause
    return _TELLING.index(cause) if cause in _TELLING else len(_TELLING)
