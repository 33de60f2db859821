"""STUN messages: built, read and checked. Pure.

Source: RFC 8489; RFC 8445 §7.1 and §16.1 (ICE attributes); RFC 8656 §18 (TURN attributes).
"""

from __future__ import annotations

import enum
import hmac
import secrets
import socket
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .model import Address

MAGIC: Final = 0x2112_A442
_MAGIC_BYTES: Final = MAGIC.to_bytes(4, "big")
HEADER_BYTES: Final = 20
FINGERPRINT_XOR: Final = 0x5354_554E
#: No message of ours or of any peer comes near.
LONGEST: Final = 2048
MOST_ATTRIBUTES: Final = 32

_HEADER = struct.Struct(">HHL12s")
_ATTRIBUTE = struct.Struct(">HH")
_INTEGRITY_BYTES: Final = 20


class Method(enum.IntEnum):
    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009


class Kind(enum.IntEnum):
    """The class of a message. Source: RFC 8489 §5."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


_KIND_MASK: Final = 0x110


class Attribute(enum.IntEnum):
    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    CHANNEL_NUMBER = 0x000C
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_TRANSPORT = 0x0019
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


@dataclass(slots=True)
class StunMessage:
    """A message, its attributes still raw. Of repeated ones the first counts (RFC 8489 §14)."""

    method: int
    kind: int
    transaction: bytes
    attributes: dict[int, bytes] = field(default_factory=dict)
    raw: bytes = b""
    integrity_at: int | None = None

    def u32(self, attribute: int) -> int | None:
        value = self.attributes.get(attribute)
        return int.from_bytes(value, "big") if value is not None and len(value) == 4 else None

    def u64(self, attribute: int) -> int | None:
        value = self.attributes.get(attribute)
        return int.from_bytes(value, "big") if value is not None and len(value) == 8 else None

    def address(self, attribute: int) -> Address | None:
        value = self.attributes.get(attribute)
        return unxor_address(value, self.transaction) if value is not None else None

    @property
    def error(self) -> int | None:
        """401, 438, 487 …; None if there is no (readable) error."""
        value = self.attributes.get(Attribute.ERROR_CODE)
        return (value[2] & 7) * 100 + value[3] if value is not None and len(value) >= 4 else None

    def signed_with(self, key: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there and made with this key."""
        if self.integrity_at is None:
            return False
        covered = bytearray(self.raw[: self.integrity_at])
        struct.pack_into(">H", covered, 2, self.integrity_at + _ATTRIBUTE.size + _INTEGRITY_BYTES - HEADER_BYTES)
        expected = hmac.digest(key, bytes(covered), "sha1")
        return hmac.compare_digest(expected, self.attributes[Attribute.MESSAGE_INTEGRITY])


def looks_like_stun(data: bytes) -> bool:
    """Tell STUN from DTLS, RTP and ChannelData. Source: RFC 7983 §7."""
    return len(data) >= HEADER_BYTES and data[0] < 4 and data[4:8] == _MAGIC_BYTES


def parse(data: bytes) -> StunMessage | None:
    """Read a message; None if it is none, or if its FINGERPRINT is wrong.

    What follows MESSAGE-INTEGRITY is not covered by it, and is ignored but for FINGERPRINT (RFC 8489 §14.5).
    """
    if not looks_like_stun(data) or len(data) > LONGEST:
        return None
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if length % 4 or HEADER_BYTES + length != len(data):
        return None
    message = StunMessage(kind & ~_KIND_MASK, kind & _KIND_MASK, transaction, raw=data)
    at = HEADER_BYTES
    for _ in range(MOST_ATTRIBUTES):
        if at + _ATTRIBUTE.size > len(data):
            break
        attribute, size = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + size]
        if len(value) < size:
            return None
        if attribute == Attribute.FINGERPRINT:
            crc = (zlib.crc32(data[:at]) ^ FINGERPRINT_XOR).to_bytes(4, "big")
            return message if value == crc else None
        if message.integrity_at is None:
            if attribute == Attribute.MESSAGE_INTEGRITY:
                if size != _INTEGRITY_BYTES:
                    return None
                message.integrity_at = at
            message.attributes.setdefault(attribute, value)
        at += _ATTRIBUTE.size + size + -size % 4
    return message


def build(
    method: int,
    kind: int,
    transaction: bytes,
    attributes: Sequence[tuple[int, bytes]],
    key: bytes | None = None,
    fingerprint: bool = True,
) -> bytes:
    """Make a message; with MESSAGE-INTEGRITY if there is a key."""
    body = b"".join(_ATTRIBUTE.pack(a, len(v)) + v + bytes(-len(v) % 4) for a, v in attributes)
    if key is not None:
        covered = _HEADER.pack(method | kind, len(body) + 4 + _INTEGRITY_BYTES, MAGIC, transaction) + body
        mac = hmac.digest(key, covered, "sha1")
        body += _ATTRIBUTE.pack(Attribute.MESSAGE_INTEGRITY, _INTEGRITY_BYTES) + mac
    if not fingerprint:
        return _HEADER.pack(method | kind, len(body), MAGIC, transaction) + body
    message = _HEADER.pack(method | kind, len(body) + 8, MAGIC, transaction) + body
    crc = zlib.crc32(message) ^ FINGERPRINT_XOR
    return message + _ATTRIBUTE.pack(Attribute.FINGERPRINT, 4) + crc.to_bytes(4, "big")


def new_transaction() -> bytes:
    return secrets.token_bytes(12)


def xor_address(address: Address, transaction: bytes) -> bytes:
    """Source: RFC 8489 §14.2."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    host = socket.inet_pton(family, address[0])
    masked = int.from_bytes(host, "big") ^ int.from_bytes((_MAGIC_BYTES + transaction)[: len(host)], "big")
    kind = 1 if family == socket.AF_INET else 2
    return struct.pack(">BBH", 0, kind, address[1] ^ MAGIC >> 16) + masked.to_bytes(len(host), "big")


def unxor_address(value: bytes, transaction: bytes) -> Address | None:
    size = len(value) - 4
    if size not in (4, 16) or value[1] != (1 if size == 4 else 2):
        return None
    host = int.from_bytes(value[4:], "big") ^ int.from_bytes((_MAGIC_BYTES + transaction)[:size], "big")
    family = socket.AF_INET if size == 4 else socket.AF_INET6
    name = socket.inet_ntop(family, host.to_bytes(size, "big"))
    return name, int.from_bytes(value[2:4], "big") ^ MAGIC >> 16
