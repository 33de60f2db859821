from __future__ import annotations

import csv
import datetime as dt
import io

import pytest

from gateway.call.model import CallRecord, CallState, Direction
from gateway.control.door import Administrator, LiveCall, NotFoundError
from gateway.errors import Ending, HangupCause
from gateway.media.model import AudioFormat, MediaReport
from tests.integration.control.conftest import CAROL, OPERATOR, House

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


def record(call_id: str, account_id: int | None, minute: int = 0, caller: str = "100") -> CallRecord:
    at = NOON + dt.timedelta(minutes=minute)
    return CallRecord(call_id, Direction.SIP_TO_TELEGRAM, account_id, 1, caller, "+7999", at)


async def test_an_administrator_sees_the_calls_of_his_accounts_and_the_operator_sees_all(house: House) -> None:
    mine, other = await house.session(administrator=1), await house.session(CAROL, administrator=2)
    for index, account in enumerate((mine, other, None)):
        await house.store.records.write(record(f"c{index}", account, index))
        house.living.append(LiveCall(record(f"l{index}", account, -index), CallState.UP))
    anna = Administrator(1)
    assert [one.call_id for one in await house.calls.records(anna)] == ["c0"]
    assert [one.record.call_id for one in house.calls.living(anna)] == ["l0"]
    assert [one.call_id for one in await house.calls.records(OPERATOR)] == ["c2", "c1", "c0"]
    assert [one.call_id for one in await house.calls.records(OPERATOR, account_id=other)] == ["c1"]
    assert [one.record.call_id for one in house.calls.living(OPERATOR)] == ["l2", "l1", "l0"]
    assert (await house.calls.record(anna, "c0")).call_id == "c0"
    with pytest.raises(NotFoundError):
        await house.calls.record(anna, "c1")
    assert "c1" not in await house.calls.csv(anna)


async def test_the_table_for_spreadsheets_is_whole_and_no_formula(house: House) -> None:
    account = await house.session()
    ended = record("c1", account, caller='=HYPERLINK("http://x"),1')
    ended.answered_at, ended.ended_at = NOON + dt.timedelta(seconds=3), NOON + dt.timedelta(seconds=10)
    ended.ending = Ending(HangupCause.BUSY, "-1+1")
    ended.format = AudioFormat.ALAW
    await house.store.records.write(ended)
    [row] = csv.DictReader(io.StringIO(await house.calls.csv(OPERATOR)))
    assert row["caller"] == "'" + ended.caller
    assert row["detail"] == "'-1+1"
    assert (row["dialled"], row["talk_s"], row["cause"], row["codec"]) == ("+7999", "7.0", "busy", "alaw")
    assert row["offered_at"] == "2026-01-02T12:00:00.000+00:00"
    assert await house.calls.csv(OPERATOR, since=NOON + dt.timedelta(days=1)) != ""


async def test_what_a_worker_took_with_it_is_unknown_in_the_table_and_not_zero(house: House) -> None:
    account = await house.session()
    cut = record("c1", account)
    cut.media = MediaReport(counted=False)
    await house.store.records.write(cut)
    await house.store.records.write(record("c2", account, 1))
    whole, unknown = csv.DictReader(io.StringIO(await house.calls.csv(OPERATOR)))
    assert (whole["lost_to_telegram"], whole["lost_to_sip"]) == ("0", "0")
    assert (unknown["lost_to_telegram"], unknown["lost_to_sip"]) == ("", "")
