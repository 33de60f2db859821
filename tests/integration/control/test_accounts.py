from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway.call.model import LineKind
from gateway.control.door import Administrator, NotFoundError
from gateway.errors import GatewayError
from gateway.storage.store import Store
from gateway.telegram.model import AccountState
from tests.integration.control.conftest import ALICE, CAROL, OPERATOR, House, again, make_house

ANNA, BORIS = Administrator(1), Administrator(2)


async def test_a_login_is_kept_and_comes_online_and_does_so_again_after_a_restart(house: House) -> None:
    kept = await house.accounts.keep(ANNA, ALICE)
    assert kept.account.administrator_id == 1
    assert kept.status.state is AccountState.ONLINE
    assert await house.store.telegram.load_session(kept.account.id) == ALICE.secret
    assert await house.store.telegram.load_peers(kept.account.id) == [tuple(ALICE.peers[0])]
    restarted = await make_house(house.store)
    assert restarted.telegram.online == {kept.account.id: kept.account}


async def test_a_login_handed_over_twice_is_kept_once(house: House) -> None:
    first = await house.accounts.keep(OPERATOR, ALICE)
    assert await house.accounts.keep(OPERATOR, ALICE) == first
    assert house.telegram.ended == []


async def test_a_new_login_of_a_user_takes_the_place_of_the_old_one_which_is_ended(house: House) -> None:
    account_id = await house.session(ALICE, administrator=1)
    renewed = await house.accounts.keep(ANNA, again(ALICE, b"new"))
    assert renewed.account.id == account_id
    assert await house.store.telegram.load_session(account_id) == b"new"
    assert house.telegram.ended == [ALICE.secret]
    assert account_id in house.telegram.online


async def test_a_user_of_another_administrator_is_refused_and_that_login_is_ended(house: House) -> None:
    account_id = await house.session(ALICE, administrator=1)
    with pytest.raises(GatewayError, match="another administrator"):
        await house.accounts.keep(BORIS, again(ALICE, b"stolen"))
    assert house.telegram.ended == [b"stolen"]
    assert await house.store.telegram.load_session(account_id) == ALICE.secret
    assert account_id in house.telegram.online


async def test_an_account_of_nobody_becomes_his_who_logs_it_in(house: House) -> None:
    await house.session(ALICE)
    assert (await house.accounts.keep(BORIS, again(ALICE, b"new"))).account.administrator_id == 2


async def test_two_logins_of_a_user_at_once_leave_one_and_end_the_other(house: House) -> None:
    await asyncio.gather(house.accounts.keep(OPERATOR, ALICE), house.accounts.keep(OPERATOR, again(ALICE, b"other")))
    [view] = house.accounts.list(OPERATOR)
    kept = await house.store.telegram.load_session(view.account.id)
    assert {kept, *house.telegram.ended} == {ALICE.secret, b"other"}


async def test_changes_are_stored_and_told_to_the_telegram_side(house: House) -> None:
    account_id = await house.session()
    await house.accounts.limit(OPERATOR, account_id, 1)
    view = await house.accounts.enable(OPERATOR, account_id, False)
    assert (view.account.call_limit, view.account.enabled) == (1, False)
    assert house.telegram.online[account_id] == view.account
    assert house.roster.account(account_id) == view.account
    assert [one.account for one in await house.store.accounts.all()] == [view.account]


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_an_impossible_limit_is_refused(house: House, limit: int) -> None:
    account_id = await house.session()
    with pytest.raises(GatewayError, match="from 1 to 1000"):
        await house.accounts.limit(OPERATOR, account_id, limit)
    with pytest.raises(GatewayError, match="such as 123456789"):
        await house.accounts.assign(OPERATOR, account_id, limit - 2000)


async def test_an_administrator_sees_and_touches_only_what_is_his(house: House) -> None:
    mine = await house.session(ALICE, administrator=1)
    other = await house.session(CAROL, administrator=2)
    line = (await house.lines.add(OPERATOR, other, LineKind.PBX_REGISTERS, {"name": "x"})).line.id
    assert [view.account.id for view in house.accounts.list(ANNA)] == [mine]
    assert house.lines.list(ANNA) == []
    accounts, lines, calls = house.accounts, house.lines, house.calls
    for forbidden in (
        lambda: accounts.enable(ANNA, other, False),
        lambda: accounts.limit(ANNA, other, 5),
        lambda: accounts.assign(ANNA, other, 1),
        lambda: accounts.log_out(ANNA, other, with_lines=True),
        lambda: lines.add(ANNA, other, LineKind.PBX_REGISTERS, {}),
        lambda: lines.edit(ANNA, line, {"name": "y"}),
        lambda: lines.reset_password(ANNA, line),
        lambda: lines.delete(ANNA, line),
        lambda: calls.records(ANNA, account_id=other),
        lambda: calls.record(ANNA, "c1"),
    ):
        with pytest.raises(NotFoundError):
            await forbidden()
    for hidden in (accounts.show, lines.list):
        with pytest.raises(NotFoundError):
            hidden(ANNA, other)
    for hidden_line in (lines.show, lines.credentials):
        with pytest.raises(NotFoundError):
            hidden_line(ANNA, line)
    with pytest.raises(GatewayError, match="who then accepts it"):
        await accounts.assign(BORIS, other, 1)
    await accounts.assign(OPERATOR, other, 1)
    assert len(accounts.list(ANNA)) == 2
    assert lines.show(ANNA, line).line.id == line
    with pytest.raises(NotFoundError):
        accounts.show(BORIS, other)


async def test_after_a_log_out_with_its_lines_nothing_is_left(house: House) -> None:
    account_id = await house.session()
    await house.lines.add(OPERATOR, account_id, LineKind.PBX_REGISTERS, {"name": "x"})
    await house.accounts.log_out(OPERATOR, account_id, with_lines=True)
    assert house.telegram.ended == [ALICE.secret]
    assert house.telegram.online == {}
    assert house.accounts.list(OPERATOR) == []
    assert house.lines.list(OPERATOR) == []
    assert await house.store.accounts.all() == []
    assert await house.store.lines.all() == []


async def test_an_account_whose_lines_are_kept_waits_for_its_user_to_log_in_again(house: House) -> None:
    account_id = await house.session()
    line = (await house.lines.add(OPERATOR, account_id, LineKind.PBX_REGISTERS, {"name": "x"})).line
    await house.accounts.log_out(OPERATOR, account_id, with_lines=False)
    [view] = house.accounts.list(OPERATOR)
    assert (view.logged_in, view.status.state, view.lines) == (False, AccountState.LOGGED_OUT, 1)
    assert house.telegram.online == {}
    assert (await make_house(house.store)).telegram.online == {}
    await house.accounts.limit(OPERATOR, account_id, 3)  # what is not logged in does not come online by a change
    assert house.telegram.online == {}
    back = await house.accounts.keep(OPERATOR, again(ALICE, b"new"))
    assert (back.account.id, back.lines) == (account_id, 1)
    assert house.lines.show(OPERATOR, line.id).line.account_id == account_id
    await house.accounts.log_out(OPERATOR, account_id, with_lines=True)


async def test_a_log_out_that_telegram_does_not_hear_changes_nothing(house: House) -> None:
    account_id = await house.session()
    house.telegram.reachable = False
    with pytest.raises(GatewayError, match="Try again"):
        await house.accounts.log_out(OPERATOR, account_id, with_lines=True)
    assert account_id in house.telegram.online
    assert await house.store.telegram.load_session(account_id) == ALICE.secret


async def test_a_session_that_nobody_can_read_can_still_be_removed(house: House, tmp_path: Path) -> None:
    account_id = await house.session()
    with sqlite3.connect(tmp_path / "state" / "siptg.db") as other:
        other.execute("UPDATE accounts SET session = x'00'")
    other.close()
    await house.accounts.log_out(OPERATOR, account_id, with_lines=True)
    assert house.accounts.list(OPERATOR) == []


async def test_without_a_gateway_the_store_alone_is_changed(store: Store) -> None:
    house = await make_house(store, running=False)
    account_id = await house.session()
    assert house.telegram.online == {}
    assert house.accounts.show(OPERATOR, account_id).status.detail == "the gateway is not running"
    await house.accounts.enable(OPERATOR, account_id, False)
    await house.accounts.log_out(OPERATOR, account_id, with_lines=False)
    assert house.telegram.ended == [ALICE.secret]
