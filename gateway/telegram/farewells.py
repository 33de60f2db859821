"""The end of calls at Telegram: told for as long as it takes, after a crash even, so that no phone rings on."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

import structlog
from telethon import errors
from telethon.errors import RPCError
from telethon.tl import TLRequest, functions, types

from gateway.errors import GatewayError
from gateway.telegram.causes import error_name
from gateway.telegram.client import CLOSE_S
from gateway.telegram.ports import PendingCall, PendingCalls

log = structlog.get_logger(__name__)

#: Nobody's phone rings longer than this (call_ring_timeout_ms), so nothing needs to be discarded after it.
RING_S: Final = 90.0


class Speaker(Protocol):
    """Who speaks to Telegram for the account."""

    async def ask(self, request: TLRequest) -> Any: ...

    async def online(self) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...


class Farewells:
    """The calls of one account that Telegram knows of, and the telling of their ends."""

    def __init__(self, account_id: int, speaker: Speaker, store: PendingCalls) -> None:
        self.ring_s = RING_S
        self._account_id = account_id
        self._speaker = speaker
        self._store = store
        self._under_way: set[asyncio.Task[None]] = set()
        self._ledger: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()

    async def run(self) -> None:
        """Keep the store's list of pending calls, in order, until cancelled."""
        while True:
            await self._write(await self._ledger.get())

    async def close(self) -> None:
        """Write what is not written yet."""
        while not self._ledger.empty():
            await self._write(self._ledger.get_nowait())

    async def settle(self) -> None:
        """Give the discards under way a moment."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_S)

    async def left_over(self) -> Sequence[PendingCall]:
        """The calls that a former run did not see end. Raises `GatewayError`."""
        return [PendingCall(*row) for row in await self._store.load_pending(self._account_id)]

    def call_began(self, call: types.InputPhoneCall) -> None:
        """Telegram knows this call: keep it in the store until it is over."""
        pending = PendingCall(call.id, call.access_hash, dt.datetime.now(dt.UTC))
        self._ledger.put_nowait(lambda: self._store.save_pending(self._account_id, pending))

    def call_over(self, call_id: int) -> None:
        self._ledger.put_nowait(lambda: self._store.drop_pending(self._account_id, (call_id,)))

    def discard(self, call: types.InputPhoneCall, duration_s: int, reason: Any) -> asyncio.Task[None]:
        """Tell Telegram that a call is over."""
        request = functions.phone.DiscardCallRequest(call, duration_s, reason, connection_id=0)
        task = self._speaker.spawn(self._discard(request), f"discard {call.id}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _discard(self, request: functions.phone.DiscardCallRequest) -> None:
        call_id = request.peer.id
        try:
            async with asyncio.timeout(self.ring_s):
                while not await self._is_told(request):
                    await self._speaker.online()
        except TimeoutError:
            log.warning("call was not discarded in time", account=self._account_id, telegram_call=call_id)
        except OSError as gone:
            log.warning("call was left to Telegram", account=self._account_id, telegram_call=call_id, error=str(gone))
        self.call_over(call_id)

    async def _is_told(self, request: functions.phone.DiscardCallRequest) -> bool:
        try:
            await self._speaker.ask(request)
        except errors.FloodWaitError as flood:
            await asyncio.sleep(flood.seconds)
            return False
        except (OSError, TimeoutError):
            return False
        except RPCError as refused:
            # Mostly that it is over already, which is what was wanted.
            log.info("discard was refused", account=self._account_id, error=error_name(refused))
        return True

    async def _write(self, entry: Callable[[], Awaitable[None]]) -> None:
        try:
            await entry()
        except GatewayError as failed:
            log.error("pending call was not kept", account=self._account_id, error=str(failed))
