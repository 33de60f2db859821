"""A session account online: kept, watched, revoked, restarted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from telethon.tl import functions, types

from gateway.call.model import Account
from gateway.errors import Ending, GatewayError, HangupCause
from gateway.sandbox.faults import FaultKind
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from gateway.telegram.login import Login
from gateway.telegram.model import AccountState, LoggedIn
from gateway.telegram.recommended import Applied, Flooded, NotApplied, Recommended, TooFresh, apply, is_applied
from tests.integration.telegram.people import Dialling, Gateway, Phone, Town, eventually


def own_login(town: Town, account: Account) -> object:
    (login,) = town.sandbox.authorizations(town.sandbox.telegram.world.user(account.user_id))
    return login


async def test_a_session_revoked_from_the_phone_is_noticed_and_ends_its_calls(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        await ann.rung()
        town.sandbox.revoke(own_login(town, gateway.account))  # type: ignore[arg-type]
        status = await gateway.until(AccountState.LOGGED_OUT)
        assert status.detail == "AUTH_KEY_UNREGISTERED"
        assert (await dialling.refused()).cause is HangupCause.OFFLINE
        assert (await Dialling(gateway, "@anna").refused()).cause is HangupCause.OFFLINE


async def test_a_banned_account_is_told_from_one_that_was_logged_out(town: Town) -> None:
    async with town.gateway() as gateway:
        town.sandbox.ban(town.sandbox.telegram.world.user(gateway.account.user_id))
        assert (await gateway.until(AccountState.BANNED)).detail == "USER_DEACTIVATED_BAN"


async def test_a_login_used_from_two_places_is_over(town: Town) -> None:
    async with town.gateway() as gateway:
        town.sandbox.fault("updates.getState", error="406 AUTH_KEY_DUPLICATED", times=1)
        assert (await gateway.until(AccountState.LOGGED_OUT)).detail == "AUTH_KEY_DUPLICATED"


async def test_another_406_does_not_cost_the_login(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", error="406 FRESH_CHANGE_PHONE_FORBIDDEN", times=1)
        assert (await Dialling(gateway, "@anna").refused()).cause is HangupCause.CONGESTION
        await asyncio.sleep(0.1)
        assert gateway.side.status(gateway.account.id).state is AccountState.ONLINE
        assert not ann.news


async def test_an_account_without_a_session_says_so(town: Town) -> None:
    gateway = Gateway(town.sandbox, Account(9, "1", 1), town.store, town.settings())
    async with gateway.side:
        gateway.side.add(gateway.account)
        assert "log the account in" in (await gateway.until(AccountState.LOGGED_OUT)).detail


async def test_a_damaged_session_costs_its_own_account_only(town: Town) -> None:
    broken = town.account()
    town.store.sessions[broken.id] = b"\x00rubbish"
    gateway = Gateway(town.sandbox, broken, town.store, town.settings())
    async with gateway.side:
        gateway.side.add(broken)
        assert "can't be read" in (await gateway.until(AccountState.LOGGED_OUT)).detail
        whole = town.account()
        gateway.side.add(whole)
        await eventually(lambda: gateway.side.status(whole.id).state is AccountState.ONLINE)


async def test_a_key_that_telegram_lost_is_believed_at_the_third_time(town: Town) -> None:
    account = town.account()
    kept = json.loads(town.store.sessions[account.id])
    kept["key"] = "01" * 256
    town.store.sessions[account.id] = json.dumps(kept).encode()
    gateway = Gateway(town.sandbox, account, town.store, town.settings())
    async with gateway.side:
        gateway.side.add(account)
        assert "does not know" in (await gateway.until(AccountState.LOGGED_OUT)).detail


@pytest.mark.parametrize("zeros", [1, 2])
async def test_an_authorization_key_with_leading_zeros_works(town: Town, zeros: int) -> None:
    from gateway.sandbox.mtproto import AuthKey

    account = town.account()
    kept = json.loads(town.store.sessions[account.id])
    key = AuthKey(bytes(zeros) + bytes.fromhex(kept["key"])[zeros:])

    def swap() -> None:
        world = town.sandbox.telegram.world
        world.add_key(key, 5)
        world.authorize(key.id, account.user_id, town.sandbox.telegram.cloud.now())

    town.sandbox.change(swap)
    kept["key"] = key.key.hex()
    town.store.sessions[account.id] = json.dumps(kept).encode()
    async with town.gateway(account), town.gateway(town.account()):
        pass


async def test_one_login_has_one_owner(town: Town) -> None:
    async with town.gateway() as gateway:
        account = gateway.account
        for twin in (account, Account(account.id + 50, account.phone, account.user_id)):
            with pytest.raises(GatewayError, match="already"):
                gateway.side.add(twin)


async def test_accounts_come_and_go_while_others_stay(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        other = town.account()
        gateway.side.add(other)
        await eventually(lambda: gateway.side.status(other.id).state is AccountState.ONLINE)
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        await gateway.side.update(Account(other.id, other.phone, other.user_id, enabled=False))
        assert gateway.side.status(other.id).state is AccountState.OFFLINE
        assert gateway.side.account(other.id) is None
        await gateway.side.update(other)
        await eventually(lambda: gateway.side.status(other.id).state is AccountState.ONLINE)
        assert set(gateway.side.statuses) == {gateway.account.id, other.id}
        await ann.accept(call)
        await dialling.answered()
        await dialling.leg.release(Ending(HangupCause.NORMAL))


async def test_a_dead_connection_is_noticed_by_the_poll(town: Town) -> None:
    async with town.gateway(request_timeout_s=0.3, poll_s=0.1) as gateway:
        town.sandbox.fault("updates.getState", kind=FaultKind.HANG, times=1)
        await gateway.until(AccountState.OFFLINE)
        await gateway.until(AccountState.ONLINE)


async def test_the_network_coming_back_brings_the_account_back(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        for _ in range(3):
            town.sandbox.drop_connections(town.sandbox.telegram.world.user(gateway.account.user_id))
            await gateway.until(AccountState.OFFLINE)
            await gateway.until(AccountState.ONLINE)
        dialling = Dialling(gateway, "@anna")
        await ann.accept(await ann.rung())
        await dialling.answered()
        await dialling.leg.release(Ending(HangupCause.NORMAL))


async def test_what_was_missed_is_read_once(town: Town) -> None:
    account = town.account()
    shop = town.sandbox.telegram.world.user(account.user_id)
    heard: list[str] = []
    async with town.phone("Ann", account) as ann:
        async with town.gateway(account) as gateway:
            listen(gateway, heard)
            town.sandbox.send_message(ann.user, shop, "while online")
            await eventually(lambda: heard == ["while online"])
            town.sandbox.fault("help.getConfig", kind=FaultKind.DROP, user=shop.id, times=1)
            town.sandbox.drop_connections(shop)
            await gateway.until(AccountState.OFFLINE)
            town.sandbox.send_message(ann.user, shop, "while away")
            await eventually(lambda: heard == ["while online", "while away"])
            await eventually(lambda: updates_read(town, account) == town.sandbox.telegram.world.user(shop.id).pts)
        town.sandbox.send_message(ann.user, shop, "while down")
        again = Gateway(town.sandbox, account, town.store, town.settings())
        async with again.side:
            again.side.add(account)
            listen(again, heard)
            await eventually(lambda: heard[-1] == "while down")
            await asyncio.sleep(0.1)
        assert heard == ["while online", "while away", "while down"]


def listen(gateway: Gateway, heard: list[str]) -> None:
    account = gateway.side.account(gateway.account.id)
    assert account is not None

    def hear(update: object) -> None:
        if isinstance(update, types.UpdateNewMessage) and isinstance(update.message, types.Message):
            heard.append(update.message.message)

    account.listen(hear)


def updates_read(town: Town, account: Account) -> int:
    pts: int = json.loads(town.store.sessions[account.id])["updates"]["0"][0]
    return pts


async def test_a_quiet_session_is_not_saved_again_and_again(town: Town) -> None:
    async with town.gateway(poll_s=0.05):
        await asyncio.sleep(0.3)
        before = town.store.saves
        await asyncio.sleep(0.4)
        assert town.store.saves == before


async def test_the_recommended_settings_are_applied_and_read_back(town: Town) -> None:
    account = town.account(age_s=86_401)
    user = town.sandbox.telegram.world.user(account.user_id)
    town.sandbox.set_privacy(user, "PhoneCall", [("DisallowAll", [])])
    town.sandbox.set_privacy(user, "PhoneP2P", [("DisallowAll", [])])
    town.sandbox.set_privacy(user, "ChatInvite", [("AllowAll", [])])
    other = Phone(town.sandbox.client(user), user)
    await other.client.connect()
    try:
        async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
            online = gateway.side.account(account.id)
            assert online is not None
            for setting in Recommended:
                assert not await is_applied(online, setting)
                assert await apply(online, setting) == Applied()
                assert await is_applied(online, setting)
            call, _ = await ann.dial(account.user_id)
            await (await gateway.desk.next()).refuse(Ending(HangupCause.BUSY))
            await ann.until(types.PhoneCallDiscarded, call.id)
            assert not [one for one in other.news if isinstance(one, types.PhoneCallRequested)]
    finally:
        await other.client.disconnect()


async def test_what_a_fresh_login_may_not_do_yet_says_until_when(town: Town) -> None:
    account = town.account(age_s=3600)
    town.sandbox.session(town.sandbox.telegram.world.user(account.user_id))
    async with town.gateway(account) as gateway:
        online = gateway.side.account(account.id)
        assert online is not None
        outcome = await apply(online, Recommended.CALLS_ELSEWHERE_OFF)
        assert isinstance(outcome, TooFresh)
        assert outcome.detail == "FRESH_RESET_AUTHORISATION_FORBIDDEN"
        left_s = (outcome.until - online.server_now()).total_seconds()
        assert abs(left_s - 23 * 3600) < 10
        for error, kind in (
            ("400 SESSION_TOO_FRESH_60", TooFresh),
            ("400 PRIVACY_KEY_INVALID", NotApplied),
            ("420 FLOOD_WAIT_60", Flooded),
        ):
            town.sandbox.fault("account.setPrivacy", error=error, times=1)
            assert isinstance(await apply(online, Recommended.P2P_FROM_ALL), kind)


async def test_other_rooms_may_ask_telegram_in_the_name_of_the_account(town: Town) -> None:
    async with town.gateway() as gateway:
        online = gateway.side.account(gateway.account.id)
        assert online is not None
        (me,) = await online.ask(functions.users.GetUsersRequest([types.InputUserSelf()]))
        assert me.id == gateway.account.user_id


async def test_calls_leave_nothing_behind(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        before: set[str] = set()
        for number in range(20):
            dialling = Dialling(gateway, "@anna")
            call = await ann.rung()
            if number % 2:
                await ann.accept(call)
                await dialling.answered()
                await dialling.leg.release(Ending(HangupCause.NORMAL))
            else:
                await ann.discard(call)
                await dialling.refused()
            await eventually(lambda: not town.store.pending[gateway.account.id])
            tasks = {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("account")}
            before = before or tasks
            assert tasks == before
        online = gateway.side.account(gateway.account.id)
        assert online is not None
        assert len(online.book) == 0


async def test_an_account_lives_in_the_real_store(town: Town, tmp_path: Path) -> None:
    user = town.person("Shop")
    async with Store(StorageSettings(), tmp_path / "state") as store:
        async with Login(town.settings()) as login:
            await login.phone(user.phone or "")
            done = await login.code(town.sandbox.login_code(user.phone or ""))
        assert isinstance(done, LoggedIn)
        account = await store.accounts.keep(done.account, done.secret)
        await store.telegram.save_peers(account.id, done.peers)
        async with town.phone(username="anna") as ann:
            for to in ("@anna", f"id:{ann.user.id}"):
                async with Gateway(town.sandbox, account, store.telegram, town.settings()).open() as gateway:
                    dialling = Dialling(gateway, to)
                    call = await ann.rung()
                    await until_pending(store, account, 1)
                    await ann.discard(call, types.PhoneCallDiscardReasonBusy)
                    assert (await dialling.refused()).cause is HangupCause.BUSY
                    await until_pending(store, account, 0)
            town.sandbox.fault("phone.requestCall", error="420 FLOOD_WAIT_60", times=1)
            for _ in range(2):
                async with Gateway(town.sandbox, account, store.telegram, town.settings()).open() as gateway:
                    assert (await Dialling(gateway, "@anna").refused()).cause is HangupCause.FLOOD
        await store.telegram.forget_session(account.id)


async def until_pending(store: Store, account: Account, count: int) -> None:
    async with asyncio.timeout(5):
        while len(await store.telegram.load_pending(account.id)) != count:  # noqa: ASYNC110 - a table has no event
            await asyncio.sleep(0.01)
