"""A client of Telegram's reflectors: relays that forward by a tag which both ends were given. Pure.

Each end takes the tag's first 12 bytes, and 4 random ones of its own: its number. The server learns who is where from
a hello, and forwards each packet by its first 16 bytes.

Source: measured against ntgcalls 3.0.5 and Telegram's own library; what the real servers answer is not known.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from typing import Final

from .candidate import Candidate, candidate_priority, reflector_name
from .model import Address, PathKind

TAG_BYTES: Final = 16
_PREFIX_BYTES: Final = 12
_U32_LE = struct.Struct("<I")
_U32_BE = struct.Struct(">I")
_BLANK: Final = b"\xff" * 12
_HELLO_TAIL: Final = b"\xfe\xff\xff\xff" + (123).to_bytes(8, "big")
#: Opens a TCP connection in the intermediate framing of MTProto.
TCP_OPENING: Final = b"\xee\xee\xee\xee"

HELLO_S: Final = 0.5
KEEPALIVE_S: Final = 10.0
LONGEST: Final = 2048
#: tag, sender, length.
_DATA_HEADER_BYTES: Final = TAG_BYTES + 4 + 4


class ReflectorClient:
    """Our place on one reflector.

    Args:
        number: The server's 1-based place among the sorted ids of the call's connections.
        server: Where it is.
        peer_tag: What both ends were given.
        send: Takes each packet for the server.
        over_stream: Use the form of TCP.

    Attributes:
        ready: Whether the server was heard (UDP), or is connected (TCP).
        name: The address by which the peer reaches us.
    """

    kind = PathKind.REFLECTOR

    def __init__(
        self, number: int, server: Address, peer_tag: bytes, send: Callable[[bytes], None], over_stream: bool = False
    ) -> None:
        if len(peer_tag) != TAG_BYTES:
            raise ValueError(f"a peer tag has {TAG_BYTES} bytes, not {len(peer_tag)}")
        self.ready = False
        self.number = number
        self.server = server
        self._prefix = peer_tag[:_PREFIX_BYTES]
        self._own = secrets.token_bytes(4)
        self._send = send
        self._over_stream = over_stream
        self._hello_at = float("inf")
        self.name: Address = (_name(number, self._own), server[1])

    def start(self, now: float) -> None:
        """Begin, now that the server can be sent to."""
        if self._over_stream:
            self._send(TCP_OPENING)
            self.ready = True
        self._hello_at = now
        self.poll(now)

    def candidate(self, local_preference: int) -> Candidate | None:
        return Candidate("relay", self.name, candidate_priority("relay", local_preference)) if self.ready else None

    def reaches(self, address: Address) -> bool:
        named = reflector_name(address[0])
        return named is not None and named[0] == self.number

    def seen_as(self, source: Address) -> Address:
        """What a peer's library expects its address to be, seen through a reflector."""
        return self.server

    def poll(self, now: float) -> float:
        """Say hello when it is time to; answer when that will be."""
        if now >= self._hello_at:
            own = self._prefix + self._own
            self._pass_on(own + bytes(4) if self._over_stream else own + _BLANK + _HELLO_TAIL)
            self._hello_at = now + (KEEPALIVE_S if self.ready else HELLO_S)
        return self._hello_at

    def send_to(self, peer: Address, data: bytes, now: float) -> None:
        named = reflector_name(peer[0])
        if named is None or named[0] != self.number:
            return
        target = _U32_LE.pack(named[1])
        packet = self._prefix + target + self._own + _U32_BE.pack(len(data)) + data
        self._pass_on(packet + bytes(-len(data) % 4))

    def close(self) -> None:
        """A reflector forgets us by itself."""

    def _pass_on(self, packet: bytes) -> None:
        self._send(_U32_LE.pack(len(packet)) + packet if self._over_stream else packet)

    def receive(self, packet: bytes, now: float) -> tuple[Address, bytes] | None:
        """Take a packet of the server; answer what a peer sent, and which."""
        if len(packet) < TAG_BYTES or len(packet) > LONGEST or packet[:_PREFIX_BYTES] != self._prefix:
            return None
        self.ready = True
        if len(packet) < _DATA_HEADER_BYTES or packet[TAG_BYTES : TAG_BYTES + 12] == _BLANK:
            return None
        length = _U32_BE.unpack_from(packet, TAG_BYTES + 4)[0]
        if length == 0 or _DATA_HEADER_BYTES + length > len(packet):
            return None
        sender = packet[TAG_BYTES : TAG_BYTES + 4]
        return (_name(self.number, sender), self.server[1]), packet[_DATA_HEADER_BYTES : _DATA_HEADER_BYTES + length]


def _name(number: int, tag: bytes) -> str:
    return f"reflector-{number}-{_U32_LE.unpack(tag)[0]}.reflector"


def name_of_old_form(address: Address) -> Address | None:
    """Libraries of 2021-22 put the tag into the candidate's address, and the server's number into its port.

    Answers the name that stands for it here, still with that port.
    """
    parts = address[0].split(".")
    if len(parts) != 4:
        return None
    return _name(address[1], bytes(int(part) for part in parts)), address[1]


def split(arrived: bytearray) -> list[bytes]:
    """Take the whole packets out of what a stream brought.

    Raises:
        ValueError: It makes no sense.
    """
    packets = []
    while len(arrived) >= 4:
        length = int.from_bytes(arrived[:4], "little")
        if length > LONGEST:
            raise ValueError(f"a packet of {length} bytes")
        if len(arrived) < 4 + length:
            break
        packets.append(bytes(arrived[4 : 4 + length]))
        del arrived[: 4 + length]
    return packets
