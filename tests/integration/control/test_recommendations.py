"""The recommended settings, against a Telegram that refuses them for a day, floods, hangs, and revokes."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from gateway.call.model import Account
from gateway.control.door import Administrator, NotFoundError, NoticeKind, Notices, Recommendations, Recommended, Roster
from gateway.errors import GatewayError
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.storage.store import Store
from gateway.telegram.model import AccountState, AccountStatus
from gateway.telegram.side import TelegramSide
from tests.integration.control.test_notices import Chat
from tests.integration.telegram.people import VERSIONS, Desk, Town, kept_session

ANNA, BORIS = Administrator(1), Administrator(2)
DAY_S = 86_400.0
R = Recommended
FRESH = "FRESH_RESET_AUTHORISATION_FORBIDDEN"


@dataclass
class Here:
    """An account of Anna's, with a phone of its own, kept online by a gateway's back rooms."""

    sandbox: Sandbox
    user: User
    account: int
    side: TelegramSide
    store: Store
    roster: Roster
    notices: Notices
    recommendations: Recommendations
    chat: Chat

    async def online(self) -> None:
        async with asyncio.timeout(10):
            while self.side.status(self.account).state is not AccountState.ONLINE:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def let_time_pass(self, seconds: float) -> None:
        """By Telegram's clock, which the gateway learns when it connects."""
        self.sandbox.settings.clock_offset_s += seconds
        self.sandbox.drop_connections(self.user)
        await asyncio.sleep(0.1)
        await self.online()

    async def told(self, count: int) -> list[tuple[NoticeKind, bool, str]]:
        await self.chat.said(count)
        return [(one.kind, one.over, one.facts["setting"]) for one in self.chat.told]

    async def states(self) -> dict[Recommended, bool]:
        return {one.setting: one.applied for one in await self.recommendations.read(ANNA, self.account)}

    def phone_rings(self) -> bool:
        """In Telegram's own state, not in ours: whether the other device takes calls."""
        phone = min(self.sandbox.authorizations(self.user), key=lambda one: one.created)
        return not phone.calls_disabled


async def connect(sandbox: Sandbox, store: Store, age_s: float) -> User:
    """A user with a phone, who has just been connected to the gateway."""
    user = sandbox.create_user("+4930111", "Office")
    sandbox.session(user, age_s=10 * DAY_S, device_model="phone")
    account = await store.accounts.keep(Account(0, "4930111", user.id), kept_session(sandbox, user, age_s=age_s))
    await store.accounts.save(Account(account.id, "4930111", user.id, administrator_id=ANNA.id))
    return user


@asynccontextmanager
async def gateway(sandbox: Sandbox, store: Store, user: User) -> AsyncIterator[Here]:
    """The rooms that these settings need; leaving it is a stop."""
    roster, chat = Roster(), Chat()
    await roster.load(store)
    [stored] = roster.accounts
    rooms: list[Recommendations] = []

    def status_changed(account_id: int, status: AccountStatus) -> None:
        for recommendations in rooms:
            recommendations.status_changed(account_id, status)

    settings = Town(sandbox).settings()
    async with (
        Notices(store, roster) as notices,
        TelegramSide(settings, store.telegram, Desk(), lambda: VERSIONS, status_changed) as side,
        Recommendations(store, roster, side.account, notices) as recommendations,
    ):
        rooms.append(recommendations)
        notices.deliver_by(chat)
        here = Here(sandbox, user, stored.account.id, side, store, roster, notices, recommendations, chat)
        side.add(stored.account)
        await here.online()
        yield here


async def test_all_four_are_applied_at_telegram_and_read_back(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 2 * DAY_S)
    sandbox.set_privacy(user, "PhoneCall", [("DisallowAll", [])])
    async with gateway(sandbox, store, user) as here:
        assert set((await here.states()).values()) != {True}
        assert here.phone_rings()
        shown = await here.recommendations.apply_all(ANNA, here.account)
        assert [(one.setting, one.applied) for one in shown] == [(setting, True) for setting in Recommended]
        assert not here.phone_rings()
        world = sandbox.telegram.world
        assert [world.privacy(user.id, key) for key in ("PhoneCall", "PhoneP2P", "ChatInvite")] == [
            [("AllowAll", [])],
            [("AllowAll", [])],
            [("DisallowAll", [])],
        ]
        assert await here.told(0) == []


async def test_what_telegram_refuses_for_a_day_is_applied_by_itself_after_it(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        [pending, *others] = await here.recommendations.apply_all(ANNA, here.account)
        assert (pending.setting, pending.applied, pending.detail) == (R.CALLS_ELSEWHERE_OFF, False, FRESH)
        assert all(one.applied for one in others)
        left = pending_in(pending.pending_until)
        assert DAY_S - 120 < left < DAY_S
        await here.let_time_pass(DAY_S / 2)
        assert here.phone_rings()
        assert await here.told(0) == []  # Anna has seen it on the screen
        await here.let_time_pass(DAY_S / 2)
        assert await here.told(1) == [(NoticeKind.SETTING_PENDING, True, "calls_elsewhere_off")]
        assert not here.phone_rings()
        assert await store.jobs.all("recommended") == []


def pending_in(until: dt.datetime | None) -> float:
    assert until is not None
    return (until - dt.datetime.now(dt.UTC)).total_seconds()


async def test_the_day_may_pass_while_the_gateway_is_away(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        await here.recommendations.apply(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
    async with gateway(sandbox, store, user) as here:
        [shown] = [one for one in await here.recommendations.read(ANNA, here.account) if one.pending_until]
        assert (shown.setting, shown.applied, shown.detail) == (R.CALLS_ELSEWHERE_OFF, False, FRESH)
    sandbox.settings.clock_offset_s += DAY_S
    async with gateway(sandbox, store, user) as here:
        assert await here.told(1) == [(NoticeKind.SETTING_PENDING, True, "calls_elsewhere_off")]
        assert not here.phone_rings()


async def test_a_flood_wait_is_waited_out(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 2 * DAY_S)
    async with gateway(sandbox, store, user) as here:
        sandbox.fault("account.setPrivacy", error="420 FLOOD_WAIT_2", times=1)
        shown = await here.recommendations.apply(ANNA, here.account, R.CALLS_FROM_ALL)
        assert (shown.applied, shown.detail) == (False, "FLOOD_WAIT_2")
        assert 0 < pending_in(shown.pending_until) < 5
        assert await here.told(1) == [(NoticeKind.SETTING_PENDING, True, "calls_from_all")]


async def test_what_telegram_refuses_for_good_is_told_and_not_tried_again(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        sandbox.fault("account.setPrivacy", error="400 PRIVACY_KEY_INVALID", times=1)
        shown = await here.recommendations.apply(ANNA, here.account, R.NO_GROUPS)
        assert (shown.applied, shown.pending_until, shown.detail) == (False, None, "PRIVACY_KEY_INVALID")
        assert await here.told(0) == []
        await here.recommendations.apply(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
        sandbox.fault("account.changeAuthorizationSettings", error="400 HASH_INVALID")
        await here.let_time_pass(DAY_S)
        assert await here.told(1) == [(NoticeKind.SETTING_REFUSED, False, "calls_elsewhere_off")]
        assert await store.jobs.all("recommended") == []


async def test_a_lost_answer_is_tried_again_later(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        await here.recommendations.apply(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
        sandbox.fault("account.changeAuthorizationSettings", kind="drop", times=1)
        await here.let_time_pass(DAY_S)
        await asyncio.sleep(0.2)
        await here.let_time_pass(61)
        assert await here.told(1) == [(NoticeKind.SETTING_PENDING, True, "calls_elsewhere_off")]


async def test_a_session_that_was_revoked_is_asked_nothing(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        await here.recommendations.apply(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
        sandbox.revoke(max(sandbox.authorizations(user), key=lambda one: one.created))
        async with asyncio.timeout(10):
            while here.side.status(here.account).state is not AccountState.LOGGED_OUT:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        for ask in (here.recommendations.read, here.recommendations.apply_all):
            with pytest.raises(GatewayError, match="not connected to Telegram"):
                await ask(ANNA, here.account)


async def test_an_administrator_may_stop_it(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        await here.recommendations.apply(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
        await here.recommendations.forget(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
        await here.let_time_pass(DAY_S)
        await asyncio.sleep(0.1)
        assert here.phone_rings()
        assert await here.told(0) == []


async def test_another_s_account_is_not_there(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        for ask in (
            here.recommendations.read(BORIS, here.account),
            here.recommendations.apply_all(BORIS, here.account),
            here.recommendations.apply(BORIS, here.account, R.NO_GROUPS),
            here.recommendations.forget(BORIS, here.account, R.NO_GROUPS),
        ):
            with pytest.raises(NotFoundError):
                await ask


async def test_after_a_log_out_nothing_is_left_to_do(sandbox: Sandbox, store: Store) -> None:
    user = await connect(sandbox, store, 60)
    async with gateway(sandbox, store, user) as here:
        await here.recommendations.apply(ANNA, here.account, R.CALLS_ELSEWHERE_OFF)
        await here.side.remove(here.account)
        [stored] = await store.accounts.all()
        here.roster.put_account(stored.account, logged_in=False)
        here.recommendations.status_changed(here.account, AccountStatus(AccountState.ONLINE))  # another one's
        async with asyncio.timeout(5):
            while await store.jobs.all("recommended"):  # noqa: ASYNC110 - the store is looked at
                await asyncio.sleep(0.02)
        assert here.notices.troubles(here.account) == []
