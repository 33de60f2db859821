"""Turns what happens in the house into notices: accounts, lines, calls."""

from __future__ import annotations

import asyncio
from typing import Self

import structlog

from gateway.call.model import CallRecord, CallState, Direction, LineKind
from gateway.control.notices import NoticeKind, Notices
from gateway.control.roster import Roster
from gateway.errors import GatewayError, HangupCause
from gateway.provisioning.state import LineHealth, LineState
from gateway.storage.store import Store
from gateway.telegram.model import AccountState, AccountStatus

log = structlog.get_logger(__name__)


class Watchman:
    """Told of everything, it tells what matters. Opened with `async with`; what it is told by never waits.

    Args:
        line_settle_s: A line that is down, or up again, for less than this is not worth a message.
    """

    def __init__(self, store: Store, roster: Roster, notices: Notices, line_settle_s: float) -> None:
        self._store = store
        self._roster = roster
        self._notices = notices
        self._line_settle_s = line_settle_s
        self._worked: set[int] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        self._worked = await self._store.lines.worked()
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        # What is being written is written; the error of who uses this is not the group's.
        await self._group.__aexit__(None, None, None)

    def status_changed(self, account_id: int, status: AccountStatus) -> None:
        """For `TelegramSide`."""
        match status.state:
            case AccountState.LOGGED_OUT | AccountState.BANNED:
                facts = {"state": status.state.value, "detail": status.detail}
                self._notices.begin(NoticeKind.SESSION_LOST, account_id, facts)
                self._notices.forget(NoticeKind.FLOOD, account_id)
            case AccountState.FLOOD_LIMITED:
                until = status.until.isoformat(timespec="seconds") if status.until else ""
                self._notices.end(NoticeKind.SESSION_LOST, account_id)
                self._notices.begin(NoticeKind.FLOOD, account_id, {"method": status.detail, "until": until})
            case AccountState.ONLINE:
                self._notices.end(NoticeKind.SESSION_LOST, account_id)
                self._notices.end(NoticeKind.FLOOD, account_id)
            case AccountState.OFFLINE:
                pass  # it comes back by itself, and without Telegram nobody could be told

    def line_changed(self, line_id: int, state: LineState) -> None:
        """For `Provisioner.watch`."""
        line = self._roster.line(f"line{line_id}")
        if line is None:
            return
        about = (NoticeKind.LINE_DOWN, line.account_id)
        match state.health:
            case LineHealth.UP:
                self._notices.end(*about, str(line_id), after_s=self._line_settle_s)
                if line_id not in self._worked:
                    self._worked.add(line_id)
                    self._group.create_task(self._keep_worked(line_id), name="keep that a line worked")
            case LineHealth.OFF:
                self._notices.forget(*about, str(line_id))
            case LineHealth.DOWN | LineHealth.REFUSED:
                # A PBX that never registered with us is still being set up.
                if line.kind is not LineKind.PBX_REGISTERS or line_id in self._worked:
                    health, detail = state.health.value, state.detail
                    facts = {"line": str(line_id), "name": line.name, "health": health, "detail": detail}
                    self._notices.begin(*about, facts, str(line_id), after_s=self._line_settle_s)
            case LineHealth.WAITING:
                pass  # nothing is known yet
        if self._roster.lines_of(line.account_id):
            self._notices.end(NoticeKind.NO_LINE, line.account_id)

    def call_moved(self, record: CallRecord, state: CallState) -> None:
        """For `Switchboard.watch`."""
        if state is not CallState.ENDED or record.account_id is None:
            return
        if record.direction is Direction.TELEGRAM_TO_SIP and record.ending.cause is HangupCause.NO_LINE:
            self._notices.begin(NoticeKind.NO_LINE, record.account_id, {"caller": record.caller})

    async def _keep_worked(self, line_id: int) -> None:
        try:
            await self._store.lines.save_worked(line_id)
        except GatewayError as failed:
            log.error("it was not kept that a line worked", line=line_id, error=str(failed))
