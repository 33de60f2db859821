"""Which call is whose: hands Telegram's news about calls to the legs, in order, each to its own."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from telethon.tl import types

log = structlog.get_logger(__name__)

#: So many ended calls are remembered, because news of a call may come late, or twice, or before its id is known.
REMEMBERED: Final = 1000
#: A call whose id we never learnt is awaited for this long: no phone rings longer.
GHOST_S: Final = 120.0


class CallEnd(Protocol):
    """Our end of a call, as far as news of it goes. Nothing here waits."""

    def hear(self, call: Any) -> None:
        """A PhoneCall of any form, the first of which may be the first that tells the call's id."""

    def hear_signal(self, blob: bytes) -> None: ...

    def hear_over(self, reason: Any) -> None:
        """The call is over, for a PhoneCallDiscardReason or None."""

    def check(self) -> None:
        """The connection was away: find out whether the call still lives."""

    def abandon(self, detail: str) -> None:
        """The account is gone, and the call with it."""


@dataclass(slots=True)
class _Placed:
    """A call that we asked for and whose id we don't know yet."""

    end: CallEnd
    until: float
    asked: bool = True  # the answer to the request may still come


class CallBook:
    """The calls of one account.

    Args:
        offered: Is given each new incoming call, with the users whom the update tells of.
    """

    def __init__(self, offered: Callable[[types.PhoneCallRequested, Mapping[int, Any]], None]) -> None:
        self._offered = offered
        self._calls: dict[int, CallEnd] = {}
        self._over: OrderedDict[int, None] = OrderedDict()
        self._placed: dict[int, list[_Placed]] = {}  # by the user who is called
        self._held: dict[int, list[Any]] = {}
        self._early_ends: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._calls)

    # What legs say

    def claim(self, call_id: int, end: CallEnd) -> bool:
        """This call is ours. False when it is known already, or over."""
        if call_id in self._calls or call_id in self._over:
            return self._calls.get(call_id) is end
        self._calls[call_id] = end
        return True

    def close(self, call_id: int) -> None:
        """The call is over; news of it is dropped from now on."""
        self._calls.pop(call_id, None)
        _remember(self._over, call_id, None)

    def recall(self, call_id: int) -> None:
        """Tell the call's end what came before its id was known."""
        if call_id in self._early_ends and (end := self._calls.get(call_id)):
            end.hear_over(self._early_ends.pop(call_id))

    def place(self, user_id: int, end: CallEnd) -> None:
        """A call is about to be asked for; until its id is known, news is matched by whom it is for."""
        now = time.monotonic()
        waiting = [placed for placed in self._placed.get(user_id, ()) if placed.until > now]
        self._placed[user_id] = [*waiting, _Placed(end, now + GHOST_S)]

    def answered(self, user_id: int, end: CallEnd, *, lost: bool) -> None:
        """The request was answered, or its answer is `lost`: then the id is learnt from the news, if it comes."""
        placed = self._placed.get(user_id, [])
        for one in placed:
            one.asked &= one.end is not end
        if not lost:
            self._settle(user_id, end)
        for call in self._held.pop(user_id, ()):
            self._hear_call(call, {})

    def _settle(self, user_id: int, end: CallEnd) -> None:
        left = [placed for placed in self._placed.pop(user_id, ()) if placed.end is not end]
        if left:
            self._placed[user_id] = left

    # What Telegram says

    def hear(self, update: Any, users: Mapping[int, Any]) -> None:
        match update:
            case types.UpdatePhoneCall(phone_call=call):
                self._hear_call(call, users)
            case types.UpdatePhoneCallSignalingData(phone_call_id=call_id, data=blob):
                if end := self._calls.get(call_id):
                    end.hear_signal(blob)
            case types.UpdateNewMessage(message=types.MessageService(action=types.MessageActionPhoneCall()) as note):
                # The note in the chat. It comes with the updates that were missed, as news of the call does not.
                self._hear_note(note)

    def _hear_call(self, call: Any, users: Mapping[int, Any]) -> None:
        if call.id in self._over:
            return
        if end := self._calls.get(call.id):
            if isinstance(call, types.PhoneCallDiscarded):
                end.hear_over(call.reason)
            else:
                end.hear(call)
            return
        match call:
            case types.PhoneCallRequested():
                self._offered(call, users)
            case types.PhoneCallWaiting() | types.PhoneCallAccepted():
                self._adopt(call)
            case types.PhoneCallDiscarded():
                _remember(self._early_ends, call.id, call.reason)
            case _:
                log.info("news of an unknown call was dropped", telegram_call=call.id, kind=type(call).__name__)

    def _adopt(self, call: Any) -> None:
        """News of a call with an id that we don't know: of one that we placed to that user, if any."""
        now = time.monotonic()
        placed = [one for one in self._placed.get(call.participant_id, ()) if one.until > now]
        if not placed:
            log.info("news of an unknown call was dropped", telegram_call=call.id, kind=type(call).__name__)
        elif len(placed) > 1 and any(one.asked for one in placed):
            self._held.setdefault(call.participant_id, []).append(call)  # the answer will tell whose it is
        else:
            end = placed[0].end
            if not placed[0].asked:
                self._settle(call.participant_id, end)
            end.hear(call)

    def _hear_note(self, note: types.MessageService) -> None:
        call_id, reason = note.action.call_id, note.action.reason
        if end := self._calls.get(call_id):
            end.hear_over(reason)
            return
        user_id = getattr(note.peer_id, "user_id", 0)
        lost = [one for one in self._placed.get(user_id, ()) if not one.asked]
        if note.out and lost and call_id not in self._over:
            self._settle(user_id, lost[0].end)
            self.close(call_id)
            lost[0].end.hear_over(reason)

    # What the account says

    def check_all(self) -> None:
        for end in tuple(self._calls.values()):
            end.check()

    def abandon_all(self, detail: str) -> None:
        ends = {*self._calls.values(), *(one.end for placed in self._placed.values() for one in placed)}
        self._placed.clear()
        for end in ends:
            end.abandon(detail)


def _remember(memory: OrderedDict[int, Any], call_id: int, what: Any) -> None:
    memory[call_id] = what
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
