from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from gateway.call.model import Account, CallRecord, CallState, Direction, DtmfMethod, Line, LineKind, Transport
from gateway.errors import Ending, HangupCause
from gateway.media.model import AudioFormat, DirectionCounters, MediaReport
from gateway.storage.database import StorageError
from gateway.storage.store import Store

NOON = dt.datetime(2026, 1, 2, 12, 0, 0, 123456, dt.UTC)

ALICE = Account(id=0, phone="79990000001", user_id=7_000_000_001, username="alice", name="Alice Ünï", call_limit=3)


def line_of(account: Account, **changes: object) -> Line:
    line = Line(
        id=0,
        account_id=account.id,
        name="Büro",
        kind=LineKind.WE_REGISTER,
        login="100",
        password="pässword;=\\",
        host="pbx.example.com",
        port=5070,
        proxy="10.0.0.1",
        trusted=("10.0.0.0/8", "2001:db8::/32"),
        header="X-Line: office",
        transport=Transport.TLS,
        srtp=True,
        codecs=("alaw", "g722"),
        dtmf=(DtmfMethod.INFO, DtmfMethod.RFC4733),
        priority=3,
        number="200",
        number_rules="^8=7\n.*=",
        caller_ids=("{phone}",),
        caller_names=("{name}", "{name_ascii}"),
    )
    return dataclasses.replace(line, **changes)  # type: ignore[arg-type]


async def test_an_account_comes_back_as_it_was_kept(store: Store) -> None:
    kept = await store.accounts.keep(ALICE, b"secret")
    [stored] = await store.accounts.all()
    assert stored.account == kept == dataclasses.replace(ALICE, id=kept.id)
    assert stored.logged_in
    assert await store.telegram.load_session(kept.id) == b"secret"


async def test_a_second_login_of_a_user_renews_his_account_and_leaves_its_settings(store: Store) -> None:
    first = await store.accounts.keep(ALICE, b"old")
    await store.accounts.save(dataclasses.replace(first, administrator_id=42, call_limit=7, enabled=False))
    again = await store.accounts.keep(dataclasses.replace(ALICE, phone="79990000002", username="al"), b"new")
    assert again.id == first.id
    assert (again.phone, again.username) == ("79990000002", "al")
    assert (again.administrator_id, again.call_limit, again.enabled) == (42, 7, False)
    assert await store.telegram.load_session(first.id) == b"new"


async def test_after_a_log_out_nothing_of_the_login_is_left_and_a_late_save_does_not_bring_it_back(
    store: Store,
) -> None:
    account = await store.accounts.keep(ALICE, b"secret")
    await store.telegram.save_peers(account.id, [(1, 2, "", "", "")])
    await store.telegram.save_number(account.id, "+1", (1, NOON))
    await store.telegram.save_pending(account.id, (1, 2, NOON))
    await store.telegram.forget_session(account.id)
    with pytest.raises(StorageError, match="not logged in"):
        await store.telegram.save_session(account.id, b"late")
    assert await store.telegram.load_session(account.id) is None
    assert await store.telegram.load_peers(account.id) == []
    assert await store.telegram.load_number(account.id, "+1") is None
    assert await store.telegram.load_pending(account.id) == []
    assert not (await store.accounts.all())[0].logged_in


async def test_peers_are_added_and_replaced_by_id(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    await store.telegram.save_peers(account.id, [(1, -(2**63), "a", "1", "A"), (-2, 5, "", "", "Chat")])
    await store.telegram.save_peers(account.id, [(1, 9, "b", "", ""), (1, 2**63 - 1, "c", "", "Ц")])
    assert sorted(await store.telegram.load_peers(account.id)) == [
        (-2, 5, "", "", "Chat"),
        (1, 2**63 - 1, "c", "", "Ц"),
    ]
    await store.telegram.save_peers(account.id, [(n, n, "", "", "") for n in range(10, 3510)])
    assert len(await store.telegram.load_peers(account.id)) == 3502
    await store.telegram.save_peers(account.id, [])


async def test_flood_waits_last_until_their_time(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    await store.telegram.save_flood(account.id, "phone.requestCall", NOON)
    await store.telegram.save_flood(account.id, "phone.requestCall", later)
    await store.telegram.save_flood(account.id, "contacts.resolvePhone", NOON)
    assert await store.telegram.load_floods(account.id) == {"phone.requestCall": later}
    assert await store.telegram.load_floods(account.id + 1) == {}


async def test_numbers_are_remembered_known_and_unknown(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    assert await store.telegram.load_number(account.id, "+123") is None
    await store.telegram.save_number(account.id, "+123", (None, NOON))
    assert await store.telegram.load_number(account.id, "+123") == (None, NOON)
    await store.telegram.save_number(account.id, "+123", (5, NOON))
    assert await store.telegram.load_number(account.id, "+123") == (5, NOON)


async def test_pending_calls_are_kept_until_dropped(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    for call in (2**62, 2, 3):
        await store.telegram.save_pending(account.id, (call, -call, NOON))
    await store.telegram.drop_pending(account.id, [2, 3, 4])
    assert await store.telegram.load_pending(account.id) == [(2**62, -(2**62), NOON)]


async def test_a_line_comes_back_as_it_was_kept(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    kept = await store.lines.add(line_of(account))
    assert await store.lines.all() == [dataclasses.replace(line_of(account), id=kept.id)]
    changed = dataclasses.replace(kept, password="another", trusted=(), port=None, enabled=False)
    await store.lines.save(changed)
    assert await store.lines.all() == [changed]


async def test_a_deleted_lines_id_is_never_given_again(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    first = await store.lines.add(line_of(account))
    await store.lines.delete(first.id)
    second = await store.lines.add(line_of(account))
    assert second.id > first.id
    with pytest.raises(StorageError, match="no line"):
        await store.lines.save(first)


async def test_an_account_can_be_deleted_only_after_its_lines(store: Store) -> None:
    account = await store.accounts.keep(ALICE, b"s")
    await store.telegram.save_peers(account.id, [(1, 2, "", "", "")])
    line = await store.lines.add(line_of(account))
    with pytest.raises(StorageError):
        await store.accounts.delete(account.id)
    await store.lines.delete(line.id)
    await store.accounts.delete(account.id)
    assert await store.accounts.all() == []
    assert await store.telegram.load_peers(account.id) == []
    with pytest.raises(StorageError, match="no account"):
        await store.accounts.save(account)


def record(call_id: str, account_id: int, offered_at: dt.datetime) -> CallRecord:
    return CallRecord(call_id, Direction.SIP_TO_TELEGRAM, account_id, 5, "100", "+7999", offered_at)


async def test_a_call_record_comes_back_as_it_was_written(store: Store) -> None:
    full = CallRecord(
        call_id="c1",
        direction=Direction.TELEGRAM_TO_SIP,
        account_id=1,
        line_id=2,
        caller="Ünï <1>",
        dialled="200",
        offered_at=NOON,
        answered_at=NOON + dt.timedelta(seconds=2),
        ended_at=NOON + dt.timedelta(seconds=9.5),
        state=CallState.UP,
        ending=Ending(HangupCause.FLOOD, "FLOOD_WAIT_9", 9),
        ended_by="far",
        telegram_user_id=2**40,
        format=AudioFormat.G722,
        media=MediaReport(to_sip=DirectionCounters(packets=5, lost=1), engine="x", rtt_ms=1.5),
    )
    await store.records.write(full)
    bare = record("c2", 1, NOON + dt.timedelta(seconds=1))
    await store.records.write(bare)
    assert await store.records.find() == [bare, full]
    assert full.talk_s == 7.5
    await store.records.write(dataclasses.replace(bare, ended_by="near"))
    assert (await store.records.find(call_id="c2"))[0].ended_by == "near"


async def test_call_records_are_found_by_account_and_time(store: Store) -> None:
    for index in range(6):
        await store.records.write(record(f"c{index}", index % 3, NOON + dt.timedelta(minutes=index)))

    async def found(**query: object) -> list[str]:
        return [one.call_id for one in await store.records.find(**query)]  # type: ignore[arg-type]

    assert await found(accounts=[0, 2]) == ["c5", "c3", "c2", "c0"]
    assert await found(accounts=[]) == []
    assert await found(limit=2) == ["c5", "c4"]
    assert await found(since=NOON + dt.timedelta(minutes=4)) == ["c5", "c4"]


async def test_kept_settings_hold_what_json_can_say(store: Store) -> None:
    assert await store.settings.get("a") is None
    await store.settings.set("a", {"n": [1, None, "ü"]})
    await store.settings.set("a", {"n": [2]})
    assert await store.settings.get("a") == {"n": [2]}
    assert await store.settings.set_once("a", 1) == {"n": [2]}
    assert await store.settings.set_once("b", 1) == 1
