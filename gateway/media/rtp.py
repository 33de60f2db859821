"""RTP as pure functions: taking datagrams apart, putting them together, and the arithmetic of their counters.

Source: RFC 3550 §5.1 (header), §5.3.1 (extension), RFC 3551 §4.1 (marker of a talkspurt).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

SEQUENCE_MODULUS: Final = 1 << 16
TIMESTAMP_MODULUS: Final = 1 << 32
HEADER_BYTES: Final = 12

#: The RTP clock of all three formats; G.722's too, though it samples at 16 kHz. Source: RFC 3551 §4.5.2.
CLOCK_HZ: Final = 8000

_HEADER: Final = struct.Struct("!BBHII")
_VERSION: Final = 0x80
_VERSION_MASK: Final = 0xC0
_PADDING: Final = 0x20
_EXTENSION: Final = 0x10
_CSRC_MASK: Final = 0x0F
_MARKER: Final = 0x80


class RtpPacket(NamedTuple):
    """One packet. `payload` looks into the datagram that it was parsed from."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: memoryview


def parse(datagram: memoryview) -> RtpPacket | None:
    """Take a datagram apart; None when it is not RTP, or contradicts itself."""
    size = len(datagram)
    if size < HEADER_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    if first & _VERSION_MASK != _VERSION:
        return None
    start = HEADER_BYTES
    if first != _VERSION:  # any of padding, extension, contributing sources
        start += 4 * (first & _CSRC_MASK)
        if first & _EXTENSION:
            if start + 4 > size:
                return None
            start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4])
        if first & _PADDING:
            padding = datagram[-1]
            if padding == 0:
                return None
            size -= padding
        if start > size:
            return None
    return RtpPacket(second & 0x7F, second >= _MARKER, sequence, timestamp, ssrc, datagram[start:size])


class RtpWriter:
    """Puts the packets of one stream together, in one buffer that each of them overwrites."""

    def __init__(self, payload_type: int, ssrc: int, sequence: int, timestamp: int) -> None:
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._marker = _MARKER
        self._buffer = bytearray(HEADER_BYTES)

    def write(self, payload: bytes) -> bytearray:
        """The next packet: `len(payload)` ticks of the clock after the one before.

        All three formats have one byte a tick. The first packet carries the marker.
        """
        buffer = self._buffer
        _HEADER.pack_into(
            buffer, 0, _VERSION, self._marker | self._payload_type, self._sequence, self._timestamp, self._ssrc
        )
        buffer[HEADER_BYTES:] = payload
        self._marker = 0
        self._sequence = (self._sequence + 1) % SEQUENCE_MODULUS
        self._timestamp = (self._timestamp + len(payload)) % TIMESTAMP_MODULUS
        return buffer


def sequence_distance(newer: int, older: int) -> int:
    """How many packets `newer` is ahead of `older`, the 16-bit wrap minded.

    Returns:
        -32768 .. 32767; negative when `newer` is in fact the older one.

    Source: RFC 3550 §5.1 (16-bit sequence number), RFC 1982 §3.2 (comparison).
    """
    return (newer - older + SEQUENCE_MODULUS // 2) % SEQUENCE_MODULUS - SEQUENCE_MODULUS // 2


def timestamp_distance(newer: int, older: int) -> int:
    """How many ticks `newer` is ahead of `older`, the 32-bit wrap minded; negative when it is behind."""
    return (newer - older + TIMESTAMP_MODULUS // 2) % TIMESTAMP_MODULUS - TIMESTAMP_MODULUS // 2
