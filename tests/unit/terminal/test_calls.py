from __future__ import annotations

import datetime as dt

import pytest

from gateway.call.model import CallRecord, Direction
from gateway.control.audio import AudioFault
from gateway.media.model import DirectionCounters, MediaReport
from gateway.terminal import calls

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


@pytest.fixture
def one_way() -> CallRecord:
    return CallRecord(
        *("c", Direction.SIP_TO_TELEGRAM, 1, 1, "100", "+7999", AT),
        answered_at=AT,
        ended_at=AT + dt.timedelta(seconds=61),
        media=MediaReport(
            to_sip=DirectionCounters(packets=1000, first_ms=84, lost=7, concealed_ms=140),
            engine="tgcall",
            version="13.0.0",
            path="relay",
            rtt_ms=71.6,
            loss_sent=0.0,
        ),
    )


def test_a_one_way_call_says_so_in_the_list_and_shows_its_figures(one_way: CallRecord) -> None:
    headings, [row] = calls.ended([one_way])
    assert row[headings.index("audio")] == "nothing came from the PBX"
    headings, [row] = calls.audio([one_way])
    shown = dict(zip(headings, row, strict=True))
    assert shown["talked"] == "61 s"
    assert shown["audio"] == "nothing came from the PBX"
    assert shown["packets from the PBX"] == "none"
    assert shown["packets from the user"] == "1000, the first after 84 ms, 7 lost (0.7%), 140 ms made up"
    assert shown["to the user"] == "round trip 72 ms, 0.0% lost to him"
    assert shown["carried by"] == "tgcall 13.0.0 relay"


def test_a_good_call_says_what_carried_it_and_an_unanswered_one_has_no_audio(one_way: CallRecord) -> None:
    one_way.media.to_telegram.packets = 3000
    headings, [row] = calls.ended([one_way])
    assert row[headings.index("audio")] == "tgcall 13.0.0 relay"
    headings, [row] = calls.audio([one_way])
    assert row[headings.index("audio")] == "ok"
    one_way.answered_at = None
    assert calls.audio([one_way])[1] == []


def test_every_fault_has_its_words() -> None:
    assert set(calls._FAULTS) == set(AudioFault)
