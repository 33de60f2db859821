from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.tgcall.rtp import (
    ReceiverStatistics,
    RtpSender,
    is_rtcp,
    middle_ntp,
    parse_rtcp,
    parse_rtp,
    round_trip_s,
    sender_report,
)


def test_what_is_packed_is_read_again() -> None:
    sender = RtpSender(0xCAFE, 65535, 0xFFFF_FFFF)
    first = parse_rtp(sender.pack(111, b"one", True))
    sender.advance(960)
    second = parse_rtp(sender.pack(111, b"two", False))
    assert first
    assert second
    assert (first.sequence, first.timestamp, first.marker, first.payload) == (65535, 0xFFFF_FFFF, True, b"one")
    assert (second.sequence, second.timestamp, second.marker, second.payload) == (0, 959, False, b"two")


def test_contributors_extension_and_padding_are_passed_over() -> None:
    header = struct.pack(">BBHLL", 0x80 | 0x20 | 0x10 | 2, 111, 1, 2, 3) + bytes(8)
    extension = struct.pack(">HH", 0xBEDE, 1) + bytes(4)
    packet = parse_rtp(header + extension + b"speech" + b"\0\0\3")
    assert packet
    assert packet.payload == b"speech"


def test_packet_of_padding_alone_is_empty() -> None:
    packet = parse_rtp(struct.pack(">BBHLL", 0xA0, 111, 1, 2, 3) + bytes(254) + b"\xff")
    assert packet
    assert packet.payload == b""


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(12),
        b"\x80\x6f" + bytes(9),
        b"\x8f\x6f" + bytes(20),
        b"\x90\x6f" + bytes(10) + b"\xbe\xde\xff\xff",
        b"\xa0\x6f" + bytes(10) + b"\xff",
        b"\xa0\x6f" + bytes(11),
    ],
)
def test_malformed_packets_are_none(packet: bytes) -> None:
    assert parse_rtp(packet) is None


@given(st.binary(max_size=200))
def test_noise_is_survived(noise: bytes) -> None:
    parse_rtp(noise)
    parse_rtp(b"\xbf\x6f" + noise)
    parse_rtcp(noise)
    parse_rtcp(b"\x9f\xc8" + noise)
    is_rtcp(noise)


def test_reports_tell_loss_and_round_trip() -> None:
    theirs = RtpSender(7, 0, 0)
    ours = ReceiverStatistics(7)
    for n in range(100):
        if n % 10:
            ours.hear(n, n * 960, 5 + n * 0.02)
        theirs.pack(111, b"x", False)
    heard = parse_rtcp(sender_report(theirs, 1000.0, b""))
    assert heard.sender_ntp == middle_ntp(1000.0)
    block = ours.block(heard.sender_ntp or 0, int(0.5 * 65536))
    back = parse_rtcp(sender_report(RtpSender(8, 0, 0), 1001.0, block)).blocks[0]
    assert back.ssrc == 7
    assert back.fraction_lost == pytest.approx(0.09, abs=0.02)
    assert round_trip_s(back, middle_ntp(1000.6)) == pytest.approx(0.1, abs=0.001)
    assert ours.lost == 9
    assert ours.jitter_ticks < 2


def test_jitter_is_that_of_the_arrivals() -> None:
    statistics = ReceiverStatistics(1)
    for n in range(500):
        statistics.hear(n & 0xFFFF, n * 960, n * 0.02 + (0.01 if n % 2 else 0.0))
    assert statistics.jitter_ticks / 48 == pytest.approx(10, abs=0.5)


def test_nonsense_round_trips_are_none() -> None:
    block = parse_rtcp(sender_report(RtpSender(8, 0, 0), 1.0, struct.pack(">LLLLLL", 7, 0, 0, 0, 0, 0))).blocks[0]
    assert round_trip_s(block, 1 << 20) is None


def test_numbers_that_wrap_are_not_lost_packets() -> None:
    statistics = ReceiverStatistics(1)
    for n in range(65_000, 66_500):
        statistics.hear(n & 0xFFFF, n * 960, n * 0.02)
    assert statistics.lost == 0
