"""Calls: those that live, and the records of those that ended."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gateway.call.model import CallRecord, CallState
from gateway.call.switchboard import Switchboard
from gateway.control.asker import Asker, NotYoursError
from gateway.control.directory import HouseDirectory
from gateway.errors import Ending, HangupCause
from gateway.storage import Store


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that lives now; its record is not whole yet."""

    record: CallRecord
    state: CallState


class Calls:
    def __init__(self, store: Store, directory: HouseDirectory, board: Switchboard | None) -> None:
        self._store = store
        self._directory = directory
        self._board = board

    async def recent(self, asker: Asker, *, since: dt.datetime | None = None, limit: int = 100) -> list[CallRecord]:
        """Records of his accounts' calls, the newest first."""
        return await self._store.records.find(accounts=self._accounts(asker), since=since, limit=limit)

    async def get(self, asker: Asker, call_id: str) -> CallRecord:
        """Raises `NotYoursError`."""
        found = await self._store.records.find(accounts=self._accounts(asker), call_id=call_id, limit=1)
        if not found:
            raise NotYoursError(f"There is no record of a call {call_id}.")
        return found[0]

    async def live(self, asker: Asker) -> list[LiveCall]:
        """His calls that live now, the oldest first."""
        sessions = self._board.calls.values() if self._board else ()
        return [LiveCall(one.record, one.state) for one in sessions if self._is_his(asker, one.record)]

    async def hang_up(self, asker: Asker, call_id: str) -> None:
        """End a call that lives. Raises `NotYoursError`."""
        session = self._board.calls.get(call_id) if self._board else None
        if session is None or not self._is_his(asker, session.record):
            raise NotYoursError(f"There is no call {call_id} now.")
        session.hang_up(Ending(HangupCause.NORMAL, "ended by the administrator"))

    def _is_his(self, asker: Asker, record: CallRecord) -> bool:
        account = self._directory.account(record.account_id or 0)
        return asker.administrator_id is None or (account is not None and asker.may(account))

    def _accounts(self, asker: Asker) -> list[int] | None:
        """Ids of his accounts; None, for all, to the operator: refused offers have no account."""
        if asker.administrator_id is None:
            return None
        return [account.id for account in self._directory.accounts.values() if asker.may(account)]
