"""How MTProto packets lie in a TCP stream: five ways, told apart by the first bytes that a client sends.

Source: https://core.telegram.org/mtproto/mtproto-transports.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

#: A request larger than this is closed upon, as Telegram does; its own clients stay within 1 MiB.
MAX_PACKET: Final = 2 * 1024 * 1024

ABRIDGED: Final = b"\xef"
INTERMEDIATE: Final = b"\xee" * 4
PADDED: Final = b"\xdd" * 4


class TransportError(ConnectionError):
    """The peer does not speak MTProto."""


class Source(Protocol):
    async def readexactly(self, n: int, /) -> bytes: ...


class Framing:
    """One way to delimit packets. Intermediate: a length of four bytes."""

    async def read(self, source: Source) -> bytes:
        (length,) = struct.unpack("<I", await source.readexactly(4))
        return await source.readexactly(_checked(length))

    def pack(self, packet: bytes) -> bytes:
        return struct.pack("<I", len(packet)) + packet


class Padded(Framing):
    """Intermediate, with up to 15 bytes after each packet."""

    async def read(self, source: Source) -> bytes:
        packet = await super().read(source)
        return packet[: len(packet) - len(packet) % 4]


class Abridged(Framing):
    """A length in words of four bytes, in one byte or in three."""

    async def read(self, source: Source) -> bytes:
        words = (await source.readexactly(1))[0] & 0x7F
        if words == 0x7F:
            words = int.from_bytes(await source.readexactly(3), "little")
        return await source.readexactly(_checked(words * 4))

    def pack(self, packet: bytes) -> bytes:
        words = len(packet) // 4
        head = bytes([words]) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")
        return head + packet


class Full(Framing):
    """Length, number and checksum around each packet."""

    def __init__(self) -> None:
        self._sent = 0

    async def read(self, source: Source) -> bytes:
        head = await source.readexactly(8)
        length, _number = struct.unpack("<II", head)
        if length < 12:
            raise TransportError(f"a packet of {length} bytes")
        rest = await source.readexactly(_checked(length - 8))
        packet, checksum = rest[:-4], rest[-4:]
        if zlib.crc32(head + packet) != int.from_bytes(checksum, "little"):
            raise TransportError("a wrong checksum")
        return packet

    def pack(self, packet: bytes) -> bytes:
        framed = struct.pack("<II", len(packet) + 12, self._sent) + packet
        self._sent += 1
        return framed + struct.pack("<I", zlib.crc32(framed))


class Transport:
    """Reads and packs whole packets on one connection."""

    def __init__(
        self, framing: Framing, source: Source, deciphered: CipherContext | None, enciphered: CipherContext | None
    ) -> None:
        self._framing = framing
        self._source = _Deciphered(source, deciphered) if deciphered else source
        self._enciphered = enciphered

    async def read(self) -> bytes:
        """The next packet. Raises `asyncio.IncompleteReadError` at the end of the stream, `TransportError`."""
        return await self._framing.read(self._source)

    def pack(self, packet: bytes) -> bytes:
        framed = self._framing.pack(packet)
        return self._enciphered.update(framed) if self._enciphered else framed


async def recognise(stream: asyncio.StreamReader) -> Transport:
    """Read as much as it takes to tell which transport the client speaks.

    Raises:
        asyncio.IncompleteReadError: The client left before.
        TransportError: None that Telegram knows.
    """
    first = await stream.readexactly(1)
    if first == ABRIDGED:
        return Transport(Abridged(), stream, None, None)
    first += await stream.readexactly(3)
    if first == INTERMEDIATE:
        return Transport(Framing(), stream, None, None)
    if first == PADDED:
        return Transport(Padded(), stream, None, None)
    first += await stream.readexactly(4)
    if first[4:] == bytes(4):  # the number of the first full packet, which no obfuscated stream begins with
        return Transport(Full(), _Replayed(first, stream), None, None)
    return _obfuscated(first + await stream.readexactly(56), stream)


def _obfuscated(header: bytes, stream: Source) -> Transport:
    """Source: https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation."""
    backwards = header[8:56][::-1]
    deciphered = Cipher(algorithms.AES(header[8:40]), modes.CTR(header[40:56])).decryptor()
    enciphered = Cipher(algorithms.AES(backwards[:32]), modes.CTR(backwards[32:48])).encryptor()
    tag = deciphered.update(header)[56:60]
    framings: dict[bytes, type[Framing]] = {ABRIDGED * 4: Abridged, INTERMEDIATE: Framing, PADDED: Padded}
    if tag not in framings:
        raise TransportError("an unknown transport")
    return Transport(framings[tag](), stream, deciphered, enciphered)


class _Deciphered:
    def __init__(self, source: Source, cipher: CipherContext) -> None:
        self._source = source
        self._cipher = cipher

    async def readexactly(self, n: int, /) -> bytes:
        return self._cipher.update(await self._source.readexactly(n))


class _Replayed:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, source: Source) -> None:
        self._head = head
        self._source = source

    async def readexactly(self, n: int, /) -> bytes:
        head, self._head = self._head[:n], self._head[n:]
        return head if len(head) == n else head + await self._source.readexactly(n - len(head))


def _checked(length: int) -> int:
    if length > MAX_PACKET:
        raise TransportError(f"a packet of {length} bytes")
    return length
