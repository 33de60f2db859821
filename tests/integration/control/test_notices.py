"""What administrators are told: once, and once more when all is well again; kept over restarts."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.call.model import CallRecord, CallState, Direction, LineKind
from gateway.control.door import (
    LineHealth,
    LineState,
    Notice,
    NoticeKind,
    Notices,
    Severity,
    UndeliverableError,
    Watchman,
)
from gateway.errors import Ending, GatewayError, HangupCause
from gateway.storage.store import Store
from gateway.telegram.model import AccountState, AccountStatus
from tests.integration.control.conftest import OPERATOR, House, make_house

ANNA, BORIS = 1, 2
DOWN = LineState(LineHealth.DOWN, "pbx:5060 answers the registration with SIP 403: it forbids the registration.")
UP = LineState(LineHealth.UP, "Registered.")
ONLINE = AccountStatus(AccountState.ONLINE)
LOGGED_OUT = AccountStatus(AccountState.LOGGED_OUT, "AUTH_KEY_UNREGISTERED")


@dataclass
class Chat:
    """A scripted face. `fails` is raised instead of telling."""

    told: list[Notice] = field(default_factory=list)
    fails: Exception | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, notice: Notice) -> None:
        self.news.set()
        if self.fails is not None:
            raise self.fails
        self.told.append(notice)

    async def said(self, count: int) -> list[tuple[int, NoticeKind, bool]]:
        """Wait for so many, and a little for one too many."""
        async with asyncio.timeout(5):
            while len(self.told) < count:
                self.news.clear()
                await self.news.wait()
        await asyncio.sleep(0.05)
        return [(one.administrator_id, one.kind, one.over) for one in self.told]

    async def tried(self) -> None:
        async with asyncio.timeout(5):
            await self.news.wait()
        await asyncio.sleep(0.05)


@dataclass
class Desk:
    """A house with a session of Anna's and a line, whose notices are told to `chat`."""

    house: House
    notices: Notices
    watchman: Watchman
    chat: Chat
    account: int
    line: int
    ahead_s: float = 0.0

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.ahead_s)

    def pass_time(self, seconds: float) -> None:
        self.ahead_s += seconds
        self.notices.deliver_by(self.chat)


@asynccontextmanager
async def desk(store: Store, settle_s: float = 0.0) -> AsyncIterator[Desk]:
    """As after a start; the session and the line are made at the first."""
    house = await make_house(store)
    if not house.accounts.list(OPERATOR):
        account = await house.session(administrator=ANNA)
        await house.lines.add(OPERATOR, account, LineKind.WE_REGISTER, {"host": "pbx", "login": "a", "password": "b"})
    [stored], [line] = house.roster.accounts, house.roster.lines
    clock: list[Desk] = []
    async with (
        Notices(store, house.roster, lambda: clock[0].now() if clock else dt.datetime.now(dt.UTC)) as notices,
        Watchman(store, house.roster, notices, settle_s) as watchman,
    ):
        here = Desk(house, notices, watchman, Chat(), stored.account.id, line.id)
        clock.append(here)
        notices.deliver_by(here.chat)
        yield here


async def test_a_lost_session_is_told_once_and_once_more_when_it_is_back(store: Store) -> None:
    async with desk(store) as here:
        for status in (LOGGED_OUT, LOGGED_OUT, AccountStatus(AccountState.OFFLINE), LOGGED_OUT):
            here.watchman.status_changed(here.account, status)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.SESSION_LOST, False)]
        [notice] = here.chat.told
        assert notice.facts == {"state": "logged_out", "detail": "AUTH_KEY_UNREGISTERED"}
        assert (notice.account_id, notice.line_id, notice.severity) == (here.account, None, Severity.ERROR)
        for _ in range(3):
            here.watchman.status_changed(here.account, ONLINE)
        assert (await here.chat.said(2))[1:] == [(ANNA, NoticeKind.SESSION_LOST, True)]
        assert here.chat.told[1].severity is Severity.INFO
        assert await store.notices.all() == []


async def test_all_is_silent_when_all_is_well(store: Store) -> None:
    async with desk(store) as here:
        here.watchman.status_changed(here.account, ONLINE)
        here.watchman.line_changed(here.line, LineState(LineHealth.WAITING))
        here.watchman.line_changed(here.line, UP)
        here.watchman.status_changed(here.account, AccountStatus(AccountState.OFFLINE, "switched off"))
        assert await here.chat.said(0) == []


async def test_a_flood_limit_is_told_as_it_begins_and_ends(store: Store) -> None:
    until = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    flood = AccountStatus(AccountState.FLOOD_LIMITED, "phone.requestCall", until)
    async with desk(store) as here:
        here.watchman.status_changed(here.account, flood)
        await here.chat.said(1)
        here.watchman.status_changed(here.account, ONLINE)
        assert await here.chat.said(2) == [(ANNA, NoticeKind.FLOOD, False), (ANNA, NoticeKind.FLOOD, True)]
        assert here.chat.told[0].facts == {"method": "phone.requestCall", "until": until.isoformat()}


async def test_a_line_that_is_back_before_it_was_told_is_not_told(store: Store) -> None:
    async with desk(store, settle_s=20) as here:
        here.watchman.line_changed(here.line, DOWN)
        here.pass_time(10)
        assert await here.chat.said(0) == []
        here.watchman.line_changed(here.line, UP)
        here.pass_time(60)
        assert await here.chat.said(0) == []
        here.watchman.line_changed(here.line, DOWN)
        here.pass_time(21)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.LINE_DOWN, False)]
        assert here.chat.told[0].line_id == here.line
        assert here.chat.told[0].facts["detail"] == DOWN.detail


async def test_a_line_that_comes_and_goes_is_told_once(store: Store) -> None:
    async with desk(store, settle_s=20) as here:
        here.watchman.line_changed(here.line, DOWN)
        here.pass_time(21)
        await here.chat.said(1)
        for _ in range(5):
            here.watchman.line_changed(here.line, UP)
            here.pass_time(10)
            await asyncio.sleep(0.02)
            here.watchman.line_changed(here.line, DOWN)
            here.pass_time(30)
            await asyncio.sleep(0.02)
        assert len(await here.chat.said(1)) == 1
        here.watchman.line_changed(here.line, UP)
        here.pass_time(21)
        assert (await here.chat.said(2))[1] == (ANNA, NoticeKind.LINE_DOWN, True)


async def test_a_pbx_that_never_registered_is_being_set_up_and_one_that_did_is_missed(store: Store) -> None:
    async with desk(store) as here:
        added = await here.house.lines.add(OPERATOR, here.account, LineKind.PBX_REGISTERS, {"name": "new"})
        here.watchman.line_changed(added.line.id, DOWN)
        assert await here.chat.said(0) == []
        here.watchman.line_changed(added.line.id, UP)
    async with desk_again(store, added.line.id) as here:
        here.watchman.line_changed(added.line.id, DOWN)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.LINE_DOWN, False)]


@asynccontextmanager
async def desk_again(store: Store, line: int) -> AsyncIterator[Desk]:
    house = await make_house(store)
    async with Notices(store, house.roster) as notices, Watchman(store, house.roster, notices, 0) as watchman:
        [stored] = house.roster.accounts
        here = Desk(house, notices, watchman, Chat(), stored.account.id, line)
        notices.deliver_by(here.chat)
        yield here


async def test_switching_a_line_off_or_deleting_it_ends_its_trouble_in_silence(store: Store) -> None:
    async with desk(store) as here:
        here.watchman.line_changed(here.line, DOWN)
        await here.chat.said(1)
        here.watchman.line_changed(here.line, LineState(LineHealth.OFF))
        here.watchman.line_changed(here.line, DOWN)
        await here.chat.said(2)
        await here.house.lines.delete(OPERATOR, here.line)
        here.pass_time(1)
        assert len(await here.chat.said(2)) == 2
        assert await store.notices.all() == []


async def test_a_restart_in_the_middle_of_a_trouble_tells_nothing_twice(store: Store) -> None:
    async with desk(store) as here:
        here.watchman.line_changed(here.line, DOWN)
        await here.chat.said(1)
    async with desk(store) as here:
        here.watchman.line_changed(here.line, DOWN)
        assert await here.chat.said(0) == []
        here.watchman.line_changed(here.line, UP)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.LINE_DOWN, True)]


async def test_what_can_t_be_told_now_is_told_later_even_after_a_restart(store: Store) -> None:
    async with desk(store) as here:
        here.chat.fails = GatewayError("Telegram is away")
        here.watchman.status_changed(here.account, LOGGED_OUT)
        await here.chat.tried()
        here.chat.fails = None
        here.pass_time(6)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.SESSION_LOST, False)]
        here.chat.fails = ConnectionError("no route")
        here.notices.tell(NoticeKind.SETTING_REFUSED, here.account, {"setting": "no_groups"})
        here.chat.news.clear()
        await here.chat.tried()
    async with desk(store) as here:
        here.pass_time(6)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.SETTING_REFUSED, False)]


async def test_who_stopped_the_bot_is_not_written_to_again_and_again(store: Store) -> None:
    async with desk(store) as here:
        here.chat.fails = UndeliverableError("the bot was blocked")
        here.watchman.status_changed(here.account, LOGGED_OUT)
        await here.chat.tried()
        here.chat.fails = None
        here.pass_time(3600)
        assert await here.chat.said(0) == []


async def test_a_new_administrator_is_told_of_the_trouble_that_he_took_over(store: Store) -> None:
    async with desk(store) as here:
        here.watchman.line_changed(here.line, DOWN)
        await here.chat.said(1)
        await here.house.accounts.assign(OPERATOR, here.account, BORIS)
        here.pass_time(0)
        assert (await here.chat.said(2))[1] == (BORIS, NoticeKind.LINE_DOWN, False)
        here.watchman.line_changed(here.line, UP)
        assert (await here.chat.said(3))[2:] == [(BORIS, NoticeKind.LINE_DOWN, True)]


async def test_a_session_without_administrator_waits_for_one(store: Store) -> None:
    async with desk(store) as here:
        await here.house.accounts.assign(OPERATOR, here.account, None)
        here.watchman.status_changed(here.account, LOGGED_OUT)
        assert await here.chat.said(0) == []
        assert [one.kind for one in here.notices.troubles(here.account)] == [NoticeKind.SESSION_LOST]
        await here.house.accounts.assign(OPERATOR, here.account, BORIS)
        here.pass_time(0)
        assert await here.chat.said(1) == [(BORIS, NoticeKind.SESSION_LOST, False)]


async def test_calls_without_a_line_are_told_once_and_over_when_there_is_one(store: Store) -> None:
    now = dt.datetime.now(dt.UTC)
    async with desk(store) as here:
        for number in range(3):
            record = CallRecord(f"c{number}", Direction.TELEGRAM_TO_SIP, here.account, None, "4915", "", now)
            record.ending = Ending(HangupCause.NO_LINE)
            here.watchman.call_moved(record, CallState.ENDED)
        assert await here.chat.said(1) == [(ANNA, NoticeKind.NO_LINE, False)]
        here.watchman.line_changed(here.line, UP)
        assert (await here.chat.said(2))[1:] == [(ANNA, NoticeKind.NO_LINE, True)]


@pytest.mark.parametrize("over_before", [True, False])
async def test_a_deleted_account_takes_its_notices_along(store: Store, over_before: bool) -> None:
    async with desk(store) as here:
        here.watchman.status_changed(here.account, LOGGED_OUT)
        await here.chat.said(1)
        if over_before:
            here.watchman.status_changed(here.account, ONLINE)
        await here.house.accounts.log_out(OPERATOR, here.account, with_lines=True)
        here.notices.begin(NoticeKind.FLOOD, here.account, {})
        here.pass_time(1)
        await asyncio.sleep(0.1)
        assert await store.notices.all() == []
