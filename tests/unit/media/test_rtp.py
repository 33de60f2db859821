"""RTP packets, honest and hostile."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media import rtp

sequences = st.integers(0, rtp.SEQUENCE_MODULUS - 1)
timestamps = st.integers(0, rtp.TIMESTAMP_MODULUS - 1)


def datagram(
    payload: bytes, *, first: int = 0x80, second: int = 8, csrcs: int = 0, extension: bytes | None = None, pad: int = 0
) -> memoryview:
    first |= csrcs | (0x10 if extension is not None else 0) | (0x20 if pad else 0)
    body = b"".join(number.to_bytes(4) for number in range(csrcs))
    if extension is not None:
        body += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    body += payload
    if pad:
        body += bytes(pad - 1) + bytes([pad])
    return memoryview(struct.pack("!BBHII", first, second, 7, 1000, 42) + body)


@given(
    st.binary(max_size=400), st.integers(0, 15), st.none() | st.integers(0, 8).map(lambda n: bytes(4 * n)),
    st.integers(0, 255), st.booleans(),
)  # fmt: skip
def test_payload_is_found_whatever_the_header_carries(
    payload: bytes, csrcs: int, extension: bytes | None, pad: int, marker: bool
) -> None:
    packet = rtp.parse(datagram(payload, second=8 | marker << 7, csrcs=csrcs, extension=extension, pad=pad))
    assert packet is not None
    assert bytes(packet.payload) == payload
    assert packet[:5] == (8, marker, 7, 1000, 42)


@given(st.binary(max_size=200))
def test_no_datagram_breaks_the_parser(data: bytes) -> None:
    packet = rtp.parse(memoryview(data))
    assert packet is None or len(packet.payload) <= len(data) - rtp.HEADER_BYTES


@given(st.binary(min_size=1, max_size=300), st.integers(0, 255))
def test_no_claim_of_the_header_reaches_beyond_the_datagram(rest: bytes, low: int) -> None:
    """Version 2, and any claim of padding, extension and sources."""
    data = bytes([0x80 | low & 0x3F]) + rest
    packet = rtp.parse(memoryview(data))
    if packet is not None:
        assert rtp.HEADER_BYTES + len(packet.payload) <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        bytes(datagram(b"audio", first=0x40)),  # version 1
        bytes(datagram(b"")[:-1]),
        bytes(datagram(b"", csrcs=3)[:-1]),
        bytes(datagram(b"", extension=bytes(8))[:-1]),
        bytes(datagram(b"\0" * 8, first=0xA0)),  # padding of no length
        bytes(datagram(b"\xff" * 8, first=0xA0)),  # more padding than packet
    ],
)
def test_what_contradicts_itself_is_no_packet(data: bytes) -> None:
    assert rtp.parse(memoryview(data)) is None


def test_what_is_written_is_read() -> None:
    writer = rtp.RtpWriter(9, ssrc=5, sequence=65535, timestamp=2**32 - 160)
    packets = [rtp.parse(memoryview(bytes(writer.write(bytes([n]) * 160)))) for n in range(3)]
    assert [(p.payload_type, p.marker, p.sequence, p.timestamp, p.ssrc) for p in packets if p] == [
        (9, True, 65535, 2**32 - 160, 5),
        (9, False, 0, 0, 5),
        (9, False, 1, 160, 5),
    ]
    assert [bytes(p.payload)[:1] for p in packets if p] == [b"\0", b"\1", b"\2"]


@given(sequences, st.integers(-32768, 32767))
def test_sequence_distance_minds_the_wrap(older: int, ahead: int) -> None:
    assert rtp.sequence_distance((older + ahead) % rtp.SEQUENCE_MODULUS, older) == ahead


@given(timestamps, st.integers(-(2**31), 2**31 - 1))
def test_timestamp_distance_minds_the_wrap(older: int, ahead: int) -> None:
    assert rtp.timestamp_distance((older + ahead) % rtp.TIMESTAMP_MODULUS, older) == ahead
