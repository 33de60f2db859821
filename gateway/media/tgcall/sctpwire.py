"""SCTP on the wire: packets, chunks, checksum. Pure.

Source: RFC 9260 §3.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

PORT: Final = 5000

HEADER = struct.Struct(">HHLL")
_CHUNK = struct.Struct(">BBH")
#: Tag, window, streams out and in, initial TSN.
INIT = struct.Struct(">LLHHL")
#: TSN, stream, sequence on the stream, payload protocol.
DATA = struct.Struct(">LHHL")
#: TSN, window, number of gaps, number of duplicates.
SACK = struct.Struct(">LLHH")
PARAMETER = struct.Struct(">HH")


class Chunk(enum.IntEnum):
    """Source: RFC 9260 §3.2."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14


def build_packet(tag: int, chunks: bytes) -> bytes:
    blank = HEADER.pack(PORT, PORT, tag, 0) + chunks
    return blank[:8] + crc32c(blank) + chunks


def build_chunk(kind: int, flags: int, body: bytes) -> bytes:
    return _CHUNK.pack(kind, flags, _CHUNK.size + len(body)) + body + bytes(-len(body) % 4)


def chunks_of(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The chunks of a packet as (type, flags, body). What is malformed ends it."""
    at = HEADER.size
    while at + _CHUNK.size <= len(packet):
        kind, flags, length = _CHUNK.unpack_from(packet, at)
        if length < _CHUNK.size or at + length > len(packet):
            return
        yield kind, flags, packet[at + _CHUNK.size : at + length]
        at += length + -length % 4


def parse_init(body: bytes) -> tuple[int, int, int] | None:
    """(tag, initial TSN, window) of an INIT or INIT-ACK."""
    if len(body) < INIT.size:
        return None
    tag, window, outbound, inbound, tsn = INIT.unpack_from(body)
    return (tag, tsn, window) if tag and outbound and inbound else None


def find_parameter(body: bytes, wanted: int) -> bytes:
    at = 0
    while at + PARAMETER.size <= len(body):
        kind, length = PARAMETER.unpack_from(body, at)
        if length < PARAMETER.size or at + length > len(body):
            break
        if kind == wanted:
            return body[at + PARAMETER.size : at + length]
        at += length + -length % 4
    return b""


def _crc_table() -> npt.NDArray[np.uint32]:
    """What a byte at a place, counted from the end, adds to the checksum, 256 of a place: the checksum is linear."""
    alone = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F6_3B78 if crc & 1 else 0)
        alone.append(crc)
    byte = np.array(alone, np.uint32)
    rows = [byte]
    for _ in range(_BLOCK_BYTES - 1):
        rows.append(rows[-1] >> 8 ^ byte[rows[-1] & 0xFF])
    return np.concatenate(rows)


#: Longer packets than this are summed in pieces.
_BLOCK_BYTES: Final = 1024
_TABLE = _crc_table()
_PLACES = 256 * np.arange(_BLOCK_BYTES - 1, -1, -1)


def crc32c(data: bytes) -> bytes:
    """The checksum of SCTP, in the order of the wire. Source: RFC 9260 appendix A."""
    state = 0xFFFF_FFFF
    # What was summed so far acts as if it stood in the next four bytes, so no piece may be shorter.
    padded = data + bytes(4)
    at = 0
    while at < len(data):
        size = min(_BLOCK_BYTES, len(data) - at)
        piece = np.frombuffer(padded, np.uint8, max(size, 4), at).copy()
        piece[:4] ^= np.frombuffer(state.to_bytes(4, "little"), np.uint8)
        summed = int(np.bitwise_xor.reduce(_TABLE.take(_PLACES[-size:] + piece[:size])))
        state = summed ^ (int.from_bytes(piece[size:4], "little") if size < 4 else 0)
        at += size
    return (state ^ 0xFFFF_FFFF).to_bytes(4, "little")
