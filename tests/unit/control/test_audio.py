from __future__ import annotations

from typing import Any

import pytest

from gateway.control.audio import AudioFault, audio_faults
from gateway.media.model import DirectionCounters, MediaReport

F = AudioFault


def report(**media: Any) -> MediaReport:
    both = {"to_telegram": DirectionCounters(packets=3000), "to_sip": DirectionCounters(packets=1000)}
    return MediaReport(**both | media)


def came(packets: int = 1000, **counters: int) -> DirectionCounters:
    return DirectionCounters(packets=packets, **counters)


@pytest.mark.parametrize(
    ("media", "faults"),
    [
        ({}, ()),
        ({"to_telegram": came(0), "to_sip": came(0), "counted": False}, ()),
        ({"to_telegram": came(0)}, (F.NOTHING_FROM_PBX,)),
        ({"to_sip": came(0)}, (F.NOTHING_FROM_USER,)),
        ({"to_telegram": came(0), "to_sip": came(0)}, (F.NOTHING_FROM_PBX, F.NOTHING_FROM_USER)),
        ({"to_telegram": came(first_ms=2500)}, (F.LATE_FROM_PBX,)),
        ({"to_sip": came(first_ms=2500)}, (F.LATE_FROM_USER,)),
        ({"to_sip": came(first_ms=1500, lost=20)}, ()),
        ({"to_telegram": came(lost=40)}, (F.LOSS_FROM_PBX,)),
        ({"to_sip": came(lost=40)}, (F.LOSS_FROM_USER,)),
        ({"loss_sent": 0.05, "rtt_ms": 600.0}, (F.LOSS_TO_USER, F.SLOW)),
        ({"loss_sent": 0.02, "rtt_ms": 200.0}, ()),
    ],
)
def test_what_was_wrong_is_told_by_what_was_counted(media: dict[str, Any], faults: tuple[AudioFault, ...]) -> None:
    assert audio_faults(report(**media), 60.0) == faults


def test_a_call_of_a_moment_tells_nothing() -> None:
    assert audio_faults(report(to_telegram=came(0), to_sip=came(0)), 2.0) == ()
