"""RTP and RTCP: packets read and made, and what reports tell. Pure.

Source: RFC 3550; RFC 5761 (both on one port); RFC 5506 (reduced size); RFC 7587 (Opus).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from .model import RTP_CLOCK_HZ

_HEADER = struct.Struct(">BBHLL")
_VERSION: Final = 0x80
_PADDING: Final = 0x20
_EXTENSION: Final = 0x10
_MARKER: Final = 0x80

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
_RTCP_HEADER = struct.Struct(">BBHL")
_SENDER_INFO = struct.Struct(">QLLL")
_BLOCK = struct.Struct(">LLLLLL")
#: Seconds from 1900 to 1970. Source: RFC 3550 §4.
NTP_EPOCH_S: Final = 2_208_988_800


class RtpPacket(NamedTuple):
    """What a packet carries; an empty payload is one of padding only."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_rtcp(packet: bytes) -> bool:
    """Source: RFC 5761 §4."""
    return len(packet) > 1 and 192 <= packet[1] <= 223


def parse_rtp(packet: bytes) -> RtpPacket | None:
    """Read a packet; None if it is none."""
    if len(packet) < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    if first & 0xC0 != _VERSION:
        return None
    begin = _HEADER.size + 4 * (first & 0x0F)
    end = len(packet)
    if first & _EXTENSION:
        if begin + 4 > end:
            return None
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
    if first & _PADDING:
        if packet[-1] == 0:
            return None
        end -= packet[-1]
    if begin > end:
        return None
    return RtpPacket(second & 0x7F, second & _MARKER != 0, sequence, timestamp, ssrc, packet[begin:end])


class RtpSender:
    """Numbers what we send, and counts it."""

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0
        self._sequence = sequence & 0xFFFF
        self.timestamp = timestamp & 0xFFFF_FFFF

    def pack(self, payload_type: int, payload: bytes, marker: bool) -> bytes:
        """The next packet; RTP time goes on by `advance`."""
        second = payload_type | _MARKER if marker else payload_type
        header = _HEADER.pack(_VERSION, second, self._sequence, self.timestamp, self.ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return header + payload

    def advance(self, ticks: int) -> None:
        self.timestamp = (self.timestamp + ticks) & 0xFFFF_FFFF


class ReceiverStatistics:
    """What came of one source, as reports want it. Source: RFC 3550 §6.4.1 and appendix A.3, A.8."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self.jitter_ticks = 0.0
        self.fraction_lost: float | None = None
        self._base: int | None = None
        self._highest = 0
        self._transit = 0
        self._expected_before = 0
        self._received_before = 0

    @property
    def lost(self) -> int:
        return max(0, self._expected - self.received)

    def hear(self, sequence: int, timestamp: int, now: float) -> None:
        self.received += 1
        if self._base is None:
            self._base = self._highest = sequence
            self._transit = int(now * RTP_CLOCK_HZ) - timestamp
            return
        ahead = (sequence - self._highest) & 0xFFFF
        if ahead < 0x8000:
            self._highest += ahead
        transit = int(now * RTP_CLOCK_HZ) - timestamp
        difference = (transit - self._transit + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        self._transit = transit
        self.jitter_ticks += (abs(difference) - self.jitter_ticks) / 16

    def block(self, last_report: int, delay: int) -> bytes:
        """A report block; and begin the next interval."""
        expected = self._expected - self._expected_before
        received = self.received - self._received_before
        self._expected_before, self._received_before = self._expected, self.received
        lost = max(0, expected - received)
        self.fraction_lost = lost / expected if expected > 0 else None
        fraction = min(255, lost * 256 // expected) if expected > 0 else 0
        jitter = int(self.jitter_ticks) & 0xFFFF_FFFF
        highest = self._highest & 0xFFFF_FFFF
        return _BLOCK.pack(self.ssrc, fraction << 24 | min(self.lost, 0x7F_FFFF), highest, jitter, last_report, delay)

    @property
    def _expected(self) -> int:
        return 0 if self._base is None else self._highest - self._base + 1


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How the other end hears one of our streams."""

    ssrc: int
    fraction_lost: float
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class Reports:
    """What an RTCP packet told.

    Attributes:
        sender_ntp: The middle 32 bits of the sender's clock; None without a sender report.
    """

    sender_ntp: int | None
    blocks: tuple[ReportBlock, ...]
    goodbye: bool


def parse_rtcp(packet: bytes) -> Reports:
    """Read a compound packet. What is malformed ends it."""
    sender_ntp: int | None = None
    blocks: list[ReportBlock] = []
    goodbye = False
    at = 0
    while at + _RTCP_HEADER.size <= len(packet):
        first, kind, words, _ = _RTCP_HEADER.unpack_from(packet, at)
        end = at + 4 * (words + 1)
        if first & 0xC0 != _VERSION or end > len(packet):
            break
        begin = at + _RTCP_HEADER.size
        if kind == SENDER_REPORT and begin + _SENDER_INFO.size <= end:
            sender_ntp = _SENDER_INFO.unpack_from(packet, begin)[0] >> 16 & 0xFFFF_FFFF
            begin += _SENDER_INFO.size
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            blocks += _blocks(packet[begin:end], first & 0x1F)
        goodbye = goodbye or kind == GOODBYE
        at = end
    return Reports(sender_ntp, tuple(blocks), goodbye)


def _blocks(body: bytes, count: int) -> list[ReportBlock]:
    blocks = []
    for at in range(0, min(count * _BLOCK.size, len(body) - _BLOCK.size + 1), _BLOCK.size):
        ssrc, lost, _, _, last_report, delay = _BLOCK.unpack_from(body, at)
        blocks.append(ReportBlock(ssrc, (lost >> 24) / 256, last_report, delay))
    return blocks


def sender_report(sender: RtpSender, wall_s: float, blocks: bytes) -> bytes:
    """A sender report with our name behind it. Source: RFC 3550 §6.1: a compound packet has one.

    Args:
        sender: Whose counts and time it tells.
        wall_s: Seconds since 1970.
        blocks: Of what we receive.
    """
    ntp = int((wall_s + NTP_EPOCH_S) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF
    info = _SENDER_INFO.pack(ntp, sender.timestamp, sender.packets & 0xFFFF_FFFF, sender.octets & 0xFFFF_FFFF)
    body = info + blocks
    report = _RTCP_HEADER.pack(_VERSION | len(blocks) // _BLOCK.size, SENDER_REPORT, 1 + len(body) // 4, sender.ssrc)
    name = struct.pack(">BB", 1, 4) + b"call" + bytes(2)
    return report + body + _RTCP_HEADER.pack(_VERSION | 1, SOURCE_DESCRIPTION, 1 + len(name) // 4, sender.ssrc) + name


def middle_ntp(wall_s: float) -> int:
    """The middle 32 bits of an NTP time, as report blocks carry it. Source: RFC 3550 §4."""
    return int((wall_s + NTP_EPOCH_S) * 65536) & 0xFFFF_FFFF


def round_trip_s(block: ReportBlock, now_ntp: int) -> float | None:
    """Source: RFC 3550 §6.4.1 (figure 2); None if it tells none, or nonsense."""
    if not block.last_report:
        return None
    ticks = (now_ntp - block.last_report - block.delay) & 0xFFFF_FFFF
    return ticks / 65536 if ticks < 30 * 65536 else None
