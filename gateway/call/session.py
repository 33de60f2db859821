"""One call, from its offer to its end."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.call.model import MOVES, CallRecord, CallState, Party
from gateway.call.ports import Leg, Media
from gateway.errors import CallError, Ending, HangupCause

log = structlog.get_logger(__name__)

#: Telegram itself rings for 90 s; a PBX gives up sooner. Nobody waits longer than this.
ANSWER_S: Final = 90.0
#: Between "the far end answered" and "the near end carries audio" people hear nothing.
CONNECT_S: Final = 20.0
#: Releasing is a few messages on each side; a side that hangs must not hold the call's place.
RELEASE_S: Final = 10.0

#: asyncio can't sleep for ever; nobody talks for a year.
_FOREVER_S: Final = 365 * 86400.0

Watch = Callable[[CallRecord, CallState], None]


@dataclasses.dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call may stay in a state.

    Attributes:
        answer_s: From dialling to the far end's answer.
        connect_s: From there until the near end carries audio.
        talk_s: The longest conversation; none by default.
    """

    answer_s: float = ANSWER_S
    connect_s: float = CONNECT_S
    talk_s: float | None = None


class IllegalMoveError(RuntimeError):
    """A state was left for one that the table doesn't allow: a fault of ours."""


class CallSession:
    """A near leg, a far leg, and the audio between them.

    Direction is data, not a class: Telegram to SIP and SIP to Telegram are the
    same session with its legs swapped.
    """

    def __init__(self, record: CallRecord, near: Leg, far: Leg, media: Media, limits: CallLimits, watch: Watch) -> None:
        self.record = record
        self.state = CallState.OFFERED
        self._near = near
        self._far = far
        self._media = media
        self._limits = limits
        self._watch = watch
        self._told: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._ended_by = "gateway"

    def hang_up(self, ending: Ending) -> None:
        """End the call from within the house (an operator, a limit, the end of a drain)."""
        if not self._told.done():
            self._told.set_result(ending)

    async def run(self, to: str, caller: Party) -> CallRecord:
        """Carry the call to its end. Raises nothing but cancellation."""
        ending = Ending(HangupCause.SHUTDOWN, "the gateway stopped")
        with structlog.contextvars.bound_contextvars(call_id=self.record.call_id):
            try:
                ending = await self._carry(to, caller)
            finally:
                await self._let_go(ending)
        return self.record

    async def _carry(self, to: str, caller: Party) -> Ending:
        """Tell the story, with an ear on each leg and on the audio; answer why it stopped."""
        ending = Ending(HangupCause.INTERNAL, "a fault of the gateway; its log says more")
        try:
            async with asyncio.TaskGroup() as group:
                ears: dict[str, Callable[[], Awaitable[Ending]]] = {
                    "near": self._near.released,
                    "far": self._far.released,
                    "media": self._media.lost,
                    "gateway": lambda: self._told,
                }
                for who, ear in ears.items():
                    group.create_task(self._until(who, ear), name=f"ear {who}")
                await self._story(to, caller)
        except* CallError as stopped:
            ending = self._meant(_first(stopped).ending)
        except* Exception:
            log.exception("call failed by a fault of ours")
        return ending

    async def _until(self, who: str, ear: Callable[[], Awaitable[Ending]]) -> None:
        ending = await ear()
        self._ended_by = who
        raise CallError.of(ending)

    async def _story(self, to: str, caller: Party) -> None:
        self._move(CallState.DIALLING)
        self._ended_by = "far"
        try:
            async with asyncio.timeout(self._limits.answer_s):
                await self._far.dial(to, caller, self._alerting)
        except TimeoutError:
            self._ended_by = "gateway"
            raise CallError(HangupCause.NO_ANSWER, f"no answer within {self._limits.answer_s:.0f} s") from None
        self._move(CallState.ANSWERING)
        self._ended_by = "near"
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await self._near.answer()
        except TimeoutError:
            self._ended_by = "gateway"
            raise CallError(HangupCause.MEDIA_LOST, f"no audio within {self._limits.connect_s:.0f} s") from None
        self._move(CallState.UP)
        self._ended_by = "gateway"
        await asyncio.sleep(self._limits.talk_s or _FOREVER_S)
        raise CallError(HangupCause.OVER_LIMIT, "the longest allowed conversation is over")

    async def _alerting(self) -> None:
        if self.state is CallState.DIALLING:
            self._move(CallState.ALERTING)
            await self._near.ring()

    def _meant(self, ending: Ending) -> Ending:
        """A plain hang-up before the conversation means something else: the caller gave up, or the callee refused."""
        if ending.cause is not HangupCause.NORMAL or self.state is CallState.UP:
            return ending
        if self._ended_by == "near":
            return dataclasses.replace(ending, cause=HangupCause.CANCELLED)
        if self.state is CallState.ANSWERING:  # the callee had answered
            return ending
        return dataclasses.replace(ending, cause=HangupCause.DECLINED)

    async def _let_go(self, ending: Ending) -> None:
        """The one ending: both legs at once, then the audio, then the record."""
        record = self.record
        record.state, record.ending, record.ended_by = self.state, ending, self._ended_by
        self._move(CallState.ENDING)
        try:
            async with asyncio.timeout(RELEASE_S):
                await asyncio.gather(self._near.release(ending), self._far.release(ending))
        except TimeoutError:
            log.error("call was not released in time", seconds=RELEASE_S)
        finally:
            record.media = await self._media.close()
            record.format = self._media.format
            record.ended_at = _now()
            self._move(CallState.ENDED)

    def _move(self, state: CallState) -> None:
        if state not in MOVES[self.state]:
            raise IllegalMoveError(f"{self.state} to {state}")
        if state is CallState.UP:
            self.record.answered_at = _now()
        self.state = state
        self._watch(self.record, state)


def _first(stopped: BaseExceptionGroup[CallError]) -> CallError:
    found: BaseException = stopped
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, CallError)
    return found


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
