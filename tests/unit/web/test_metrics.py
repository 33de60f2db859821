from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.call.model import CallRecord, CallState, Direction
from gateway.control.vitals import VitalSigns
from gateway.errors import Ending, HangupCause
from gateway.media.model import DirectionCounters, MediaReport
from gateway.provisioning.state import LineHealth
from gateway.telegram.model import AccountState
from gateway.web.metrics import Metrics

S = CallState
IN, OUT = Direction.TELEGRAM_TO_SIP, Direction.SIP_TO_TELEGRAM


def signs() -> VitalSigns:
    return VitalSigns(
        calls={(IN, S.UP): 2, (OUT, S.UP): 0},
        accounts={AccountState.ONLINE: 3, AccountState.FLOOD_LIMITED: 1},
        lines={LineHealth.UP: 2, LineHealth.DOWN: 1},
        asterisk_up=True,
        asterisk_restarts=1,
        unknown_events=7,
        engine="tgcall",
        workers=2,
        worker_deaths=4,
        memory_bytes={"node": 1 << 20},
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(signs)


def samples(metrics: Metrics) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Of the samples of a name, with these labels among theirs, all together."""
    return sum(
        value
        for sampled, has, value in samples(metrics)
        if sampled == f"siptg_{name}" and labels.items() <= has.items()
    )


def call(metrics: Metrics, record: CallRecord, *states: CallState) -> None:
    for state in (*states, S.ENDED):
        metrics.call_moved(record, state)


def record(
    direction: Direction = IN, *, talk_s: float | None = None, cause: str = "normal", **media: Any
) -> CallRecord:
    now = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    made = CallRecord("c1", direction, 1, 2, "+15550123456", "id:998877", now, telegram_user_id=998877)
    made.ending = Ending(HangupCause(cause), "SIP 486")
    made.ended_at = now + dt.timedelta(seconds=talk_s or 0)
    made.answered_at = now if talk_s is not None else None
    made.media = MediaReport(**media)
    return made


def test_a_conversation_is_counted_by_its_engine_and_path_and_what_its_audio_was_like(metrics: Metrics) -> None:
    talked = record(
        talk_s=61,
        engine="tgcall",
        version="13.0.0",
        path="relay",
        rtt_ms=70.0,
        jitter_ms=4.0,
        loss_sent=0.04,
        loss_received=0.0,
        to_telegram=DirectionCounters(packets=3050, lost=3, concealed_ms=60),
        to_sip=DirectionCounters(packets=1000, late=2, filled_ms=1500),
    )
    call(metrics, talked, S.DIALLING, S.ALERTING, S.ANSWERING, S.UP, S.ENDING)
    way = {"direction": "telegram-to-sip"}
    assert value(metrics, "calls_answered_total", **way) == 1
    assert value(metrics, "calls_ended_total", **way, cause="normal") == 1
    assert value(metrics, "call_duration_seconds_sum", **way) == 61
    for phase in ("post_dial_delay", "setup", "connect"):
        assert value(metrics, f"call_{phase}_seconds_count", **way) == 1
    assert value(metrics, "media_calls_total", engine="tgcall", version="13.0.0", path="relay") == 1
    assert value(metrics, "media_round_trip_seconds_sum", path="relay") == pytest.approx(0.07)
    assert value(metrics, "media_jitter_seconds_sum") == pytest.approx(0.004)
    assert value(metrics, "media_loss_ratio_sum", to="telegram") == pytest.approx(0.04)
    assert value(metrics, "media_packets_total", to="telegram") == 3050
    assert value(metrics, "media_packets_lost_total", to="telegram") == 3
    assert value(metrics, "media_concealed_seconds_total", to="telegram") == pytest.approx(0.06)
    assert value(metrics, "media_packets_late_total", to="sip") == 2
    assert value(metrics, "media_filled_seconds_total", to="sip") == 1.5
    assert value(metrics, "calls_one_way_total") == 0


def test_a_refused_call_is_counted_by_its_cause_and_has_no_length(metrics: Metrics) -> None:
    call(metrics, record(OUT, cause="no_line"))
    assert value(metrics, "calls_ended_total", direction="sip-to-telegram", cause="no_line") == 1
    assert value(metrics, "calls_answered_total") == 0
    assert value(metrics, "call_duration_seconds_count") == 0
    assert value(metrics, "media_calls_total") == 0


def test_a_conversation_in_which_one_heard_nothing_is_told_by_its_silent_end(metrics: Metrics) -> None:
    call(metrics, record(talk_s=20, to_telegram=DirectionCounters(packets=1000)), S.DIALLING, S.UP)
    call(metrics, record(talk_s=2, to_telegram=DirectionCounters(packets=100)), S.DIALLING, S.UP)  # too short to tell
    assert value(metrics, "calls_one_way_total", to="sip") == 1
    assert value(metrics, "calls_one_way_total", to="telegram") == 0


def test_a_failed_engine_and_the_call_that_the_spare_one_had_then_are_counted_with_the_reason(metrics: Metrics) -> None:
    call(metrics, record(engine="tgcall", cause="media_lost"), S.DIALLING)
    call(metrics, record(engine="ntgcalls", spare_for="media_lost", talk_s=9), S.DIALLING, S.UP)
    assert value(metrics, "media_failures_total", engine="tgcall", cause="media_lost", when="connecting") == 1
    assert value(metrics, "media_engine_switches_total", engine="ntgcalls", cause="media_lost") == 1
    assert value(metrics, "media_calls_total", engine="ntgcalls", version="unknown", path="unknown") == 1


def test_the_house_is_asked_when_figures_are_fetched(metrics: Metrics) -> None:
    assert value(metrics, "calls", direction="telegram-to-sip", state="up") == 2
    assert ("siptg_calls", {"direction": "sip-to-telegram", "state": "up"}, 0.0) in samples(metrics)
    assert value(metrics, "accounts", state="flood_limited") == 1
    assert value(metrics, "lines", state="down") == 1
    assert value(metrics, "media_workers") == 2
    assert value(metrics, "media_worker_deaths_total") == 4
    assert value(metrics, "unknown_events_total") == 7
    assert value(metrics, "asterisk_up") == 1
    assert value(metrics, "asterisk_restarts_total") == 1
    assert value(metrics, "resident_memory_bytes", part="node") == 1 << 20


def test_labels_are_words_of_the_field_and_never_who_called_whom(metrics: Metrics) -> None:
    for way in Direction:
        for cause in HangupCause:
            call(metrics, record(way, cause=cause.value, engine="tgcall"), S.DIALLING)
            call(metrics, record(way, cause=cause.value, engine="tgcall", talk_s=7), S.DIALLING, S.UP)
    text = metrics.text().decode()
    assert "15550123456" not in text
    assert "998877" not in text
    assert "SIP 486" not in text
    ended = [has for name, has, _ in samples(metrics) if name == "siptg_calls_ended_total"]
    assert len(ended) == len(Direction) * len(HangupCause)
    assert not metrics._began


def test_calls_at_once_have_a_time_each(metrics: Metrics) -> None:
    first, second = record(talk_s=1), record(talk_s=1)
    second.call_id = "c2"
    for one in (first, second):
        metrics.call_moved(one, S.DIALLING)
    call(metrics, second, S.UP)
    assert list(metrics._began) == ["c1"]
    call(metrics, first, S.UP)
    assert value(metrics, "call_setup_seconds_count") == 2
