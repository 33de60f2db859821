"""SCTP on the wire: packets, chunks, checksum. Pure.

Source: RFC 9260 §3.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final

import google_crc32c

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


def crc32c(data: bytes) -> bytes:
    """The checksum of SCTP, in the order of the wire. Source: RFC 9260 appendix A."""
    checksum: int = google_crc32c.value(data)
    return checksum.to_bytes(4, "little")
