"""Subscriptions: what the operator grants, administrators share, and the switchboard enforces."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.call.model import CallState, Direction, LineKind, Party, Route, TelegramUser
from gateway.call.ports import Leg, Media
from gateway.call.session import CallLimits
from gateway.call.switchboard import Switchboard
from gateway.control.door import Administrator, Coverage, NotFoundError, Subscription, Subscriptions
from gateway.errors import GatewayError, HangupCause
from gateway.storage.store import Store
from gateway.telegram.model import LoggedIn
from tests.integration.control.conftest import ALICE, CAROL, OPERATOR, House, make_house
from tests.scripted import ScriptedLeg, ScriptedOffer, ScriptedPool, settle

ANNA, BORIS = Administrator(1), Administrator(2)
CALLER = Party(user=TelegramUser(777, "caller", "4915"))
NOW = dt.datetime(2026, 11, 30, 23, 0, tzinfo=dt.UTC)


class Exchange:
    """A switchboard with the real roster, store and subscriptions; only the legs are scripted."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.now = NOW
        self.far: list[ScriptedLeg] = []
        self.board = Switchboard(house.roster, ScriptedPool(), house.store.records, CallLimits())
        self.subscriptions = Subscriptions(house.store, house.roster, self.board.hang_up, lambda: self.now)
        self.board.connect(Direction.TELEGRAM_TO_SIP, self)
        self.board.connect(Direction.SIP_TO_TELEGRAM, self)
        self.board.admit_by(self.subscriptions)
        self.board.watch(self.subscriptions.moved)
        self.calls = 0

    def far_leg(self, route: Route, media: Media) -> Leg:
        self.far.append(ScriptedLeg(route.line.endpoint))
        return self.far[-1]

    async def call(self, account: int, *, answered: bool = False) -> ScriptedOffer:
        """A user calls this account."""
        self.calls += 1
        offer = ScriptedOffer(Direction.TELEGRAM_TO_SIP, str(account), "", CALLER, f"c{self.calls}")
        self.board.offered(offer.offer)
        await settle()
        if answered:
            self.far[-1].peer_answers()
            offer.near.peer_answers()
            await settle()
        return offer

    async def refused(self, account: int) -> str:
        """Why a call is refused; empty if it is not."""
        offer = await self.call(account)
        if offer.refused_with is None:
            offer.near.peer_lets_go()
            await settle()
            return ""
        assert offer.refused_with.cause is HangupCause.OVER_LIMIT
        return offer.refused_with.detail


@asynccontextmanager
async def exchange(house: House) -> AsyncIterator[Exchange]:
    here = Exchange(house)
    async with here.subscriptions, here.board:
        yield here


async def session(house: House, login: LoggedIn = ALICE, administrator: int | None = 1) -> int:
    """A session that can be called."""
    account = await house.session(login, administrator=administrator)
    await house.lines.add(OPERATOR, account, LineKind.PBX_REGISTERS, {"name": "x", "number": "100"})
    return account


async def test_without_a_subscription_nothing_is_limited(house: House) -> None:
    account = await session(house)
    assert house.accounts.show(ANNA, account).coverage is Coverage.UNLIMITED
    async with exchange(house) as here:
        assert here.subscriptions.mine(ANNA) is None
        offers = [await here.call(account) for _ in range(8)]
        assert all(offer.refused_with is None for offer in offers)


async def test_simultaneous_calls_are_counted_over_all_sessions_that_share(house: House) -> None:
    first, second = await session(house), await session(house, CAROL)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(1, calls=2))
        one, two = await here.call(first), await here.call(second)
        assert "2 simultaneous calls" in await here.refused(first)
        one.near.peer_lets_go()
        await settle()
        assert await here.refused(first) == ""
        two.near.peer_lets_go()
        await settle()


async def test_a_session_that_does_not_share_has_no_calls_and_takes_no_place(house: House) -> None:
    first, second = await session(house), await session(house, CAROL)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(1, sessions=1))
        assert house.accounts.show(ANNA, second).coverage is Coverage.TOO_MANY
        assert "fewer session accounts" in await here.refused(second)
        await house.accounts.share_subscription(ANNA, first, False)
        assert "not shared" in await here.refused(first)
        assert await here.refused(second) == ""
        with pytest.raises(GatewayError, match="no more sessions"):
            await house.accounts.share_subscription(ANNA, first, True)
        view = here.subscriptions.mine(ANNA)
        assert view is not None
        assert view.sessions == (second,)


async def test_what_is_shared_is_kept_over_restarts(house: House, store: Store) -> None:
    account = await session(house)
    await house.accounts.share_subscription(ANNA, account, False)
    await house.subscriptions.grant(OPERATOR, Subscription(1, calls=3, expires_at=NOW))
    again = await make_house(store)
    assert not again.accounts.show(ANNA, account).shares_subscription
    async with exchange(again) as here:
        view = here.subscriptions.mine(ANNA)
        assert view is not None
        assert view.subscription == Subscription(1, calls=3, expires_at=NOW)


async def test_an_expired_subscription_ends_new_calls_and_leaves_running_ones(house: House) -> None:
    account = await session(house)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(1, expires_at=NOW + dt.timedelta(minutes=1)))
        await here.call(account, answered=True)
        here.now += dt.timedelta(minutes=2)
        assert "has expired" in await here.refused(account)
        assert [call.state for call in here.board.calls.values()] == [CallState.UP]


async def test_minutes_are_counted_in_calendar_months_and_kept(house: House, store: Store) -> None:
    account = await session(house)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(1, minutes=30))
        offer = await here.call(account, answered=True)
        here.now += dt.timedelta(minutes=20)
        view = here.subscriptions.mine(ANNA)
        assert view is not None
        assert view.used_s == 1200  # the running call counts
        here.now += dt.timedelta(minutes=10)
        assert "minutes of this month are used up" in await here.refused(account)
        offer.near.peer_lets_go()
        await settle()
    again = await make_house(store)
    async with exchange(again) as here:
        here.now = NOW + dt.timedelta(minutes=40)
        assert "used up" in await here.refused(account)
        here.now = NOW + dt.timedelta(hours=1, seconds=1)  # December
        assert await here.refused(account) == ""


async def test_running_calls_end_when_the_minutes_do(house: House) -> None:
    account = await session(house)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(1, minutes=1))
        offers = [await here.call(account, answered=True) for _ in range(2)]
        here.now += dt.timedelta(seconds=29.9)  # together 59.8 of 60 s
        await here.subscriptions.grant(OPERATOR, Subscription(1, minutes=1))
        assert len(here.board.calls) == 2
        async with asyncio.timeout(5):
            while here.board.calls:  # noqa: ASYNC110 - the switchboard is looked at
                await asyncio.sleep(0.02)
        for offer in offers:
            assert offer.near.let_go_with is not None
            assert offer.near.let_go_with.cause is HangupCause.OVER_LIMIT


async def test_what_everybody_is_granted_counts_for_who_has_nothing_of_his_own(house: House) -> None:
    first, second = await session(house), await session(house, CAROL, administrator=2)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(0, calls=0))
        await here.subscriptions.grant(OPERATOR, Subscription(1, calls=5))
        assert await here.refused(first) == ""
        assert "0 simultaneous calls" in await here.refused(second)
        await here.subscriptions.revoke(OPERATOR, 1)
        assert "0 simultaneous calls" in await here.refused(first)
        assert [view.subscription.administrator_id for view in here.subscriptions.list(OPERATOR)] == [0]


async def test_the_operator_s_own_sessions_are_not_limited(house: House) -> None:
    account = await session(house, administrator=None)
    async with exchange(house) as here:
        await here.subscriptions.grant(OPERATOR, Subscription(0, calls=0))
        assert await here.refused(account) == ""


async def test_only_the_operator_grants(house: House) -> None:
    with pytest.raises(NotFoundError):
        await house.subscriptions.grant(ANNA, Subscription(1))
    with pytest.raises(NotFoundError):
        await house.subscriptions.revoke(ANNA, 1)
    with pytest.raises(NotFoundError):
        house.subscriptions.list(ANNA)
    with pytest.raises(NotFoundError):
        await house.subscriptions.revoke(OPERATOR, 5)
    for wrong in (Subscription(-1), Subscription(1, calls=-1)):
        with pytest.raises(GatewayError):
            await house.subscriptions.grant(OPERATOR, wrong)


async def test_a_call_that_is_refused_is_somebody_s_all_the_same(house: House) -> None:
    account = await house.session(administrator=1)  # without a line
    async with exchange(house) as here:
        await here.call(account)
    [record] = await house.calls.records(ANNA)
    assert (record.account_id, record.ending.cause) == (account, HangupCause.NO_LINE)
