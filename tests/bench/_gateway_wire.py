"""What is on the wire: every datagram on loopback with the kernel's time of it.

Both hops of a packet through Asterisk are there, and both through a worker, with nothing added to either: so the delay
of each is told apart. Only root (or who has CAP_NET_RAW) may listen.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

#: Source: packet(7); linux/if_ether.h, linux/if_packet.h; asm-generic/socket.h.
_ETH_P_IP: Final = 0x0800
_PACKET_OUTGOING: Final = 4
_SO_TIMESTAMPNS: Final = 35
_BUFFER_BYTES: Final = 1 << 22
_UDP: Final = 17
_RTP_HEADER_BYTES: Final = 12
#: A sentence takes longer to be said again, and nothing takes so long through Asterisk.
_APART_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Datagram:
    """`at` is in seconds, of the kernel's clock."""

    at: float
    source: int
    target: int
    data: bytes

    @property
    def is_audio(self) -> bool:
        """RTP or SRTP, and neither RTCP, STUN nor DTLS. Source: RFC 7983 §7, RFC 5761 §4."""
        return len(self.data) > _RTP_HEADER_BYTES and self.data[0] >> 6 == 2 and not 192 <= self.data[1] <= 223

    @property
    def sound(self) -> bytes:
        return self.data[_RTP_HEADER_BYTES:]


def may_listen() -> bool:
    with contextlib.suppress(PermissionError), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0):
        return True
    return False


@asynccontextmanager
async def listening() -> AsyncIterator[list[Datagram]]:
    """Note all datagrams on loopback while the block lasts."""
    noted: list[Datagram] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as ear:
        ear.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        ear.bind(("lo", _ETH_P_IP))
        ear.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(ear, _note, ear, noted)
        try:
            yield noted
        finally:
            loop.remove_reader(ear)


def _note(ear: socket.socket, noted: list[Datagram]) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            packet, extra, _, origin = ear.recvmsg(65536, 64)
            header = 4 * (packet[0] & 0x0F)
            # On loopback each is seen twice, going out and coming in.
            if origin[2] == _PACKET_OUTGOING or packet[9] != _UDP:
                continue
            seconds, nanoseconds = struct.unpack("qq", extra[0][2])
            source, target = struct.unpack_from("!HH", packet, header)
            noted.append(Datagram(seconds + nanoseconds / 1e9, source, target, packet[header + 8 :]))


@dataclass(frozen=True, slots=True)
class Ways:
    """How long each hop kept the audio of one call, in seconds.

    Attributes:
        asterisk_out, asterisk_in: Asterisk, from the telephone and to it.
        worker_out: A worker with its engine, from an RTP packet's coming to the departure of the packet that carries
            its sound to Telegram: the next one.
    """

    asterisk_out: list[float]
    worker_out: list[float]
    asterisk_in: list[float]


def ways(noted: Iterable[Datagram], phone: int, workers: Iterable[Set[int]]) -> Ways:
    """Tell the hops of a call apart.

    Args:
        phone: The telephone's RTP port.
        workers: The UDP ports of each worker; none carries two calls, or what it sends could not be told apart.
    """
    audio = [one for one in noted if one.is_audio]
    said = _rare(one for one in audio if one.source == phone)
    to_worker = [one for one in audio if one.source != phone and one.sound in said]
    rtp = {one.target for one in to_worker}
    from_worker = _rare(one for one in audio if one.source in rtp)
    to_phone = [one for one in audio if one.target == phone and one.sound in from_worker]
    media = set().union(*(ports for ports in workers if ports & rtp)) - rtp
    srtp = [one.at for one in audio if one.source in media]
    return Ways(
        asterisk_out=_since(said, to_worker),
        worker_out=_until_next((one.at for one in to_worker), srtp),
        asterisk_in=_since(from_worker, to_phone),
    )


def _rare(datagrams: Iterable[Datagram]) -> dict[bytes, list[float]]:
    """When each sound passed, in order, of those that never came twice at about the same time, as silence does."""
    at: defaultdict[bytes, list[float]] = defaultdict(list)
    for one in datagrams:
        at[one.sound].append(one.at)
    return {
        sound: times
        for sound, times in at.items()
        if all(later - earlier > _APART_S for earlier, later in pairwise(times))
    }


def _since(given: dict[bytes, list[float]], got: Iterable[Datagram]) -> list[float]:
    """From the moment that each sound was given to Asterisk to the one that it was got from it."""
    kept = []
    for one in got:
        times = given[one.sound]
        place = bisect.bisect_right(times, one.at) - 1
        if place >= 0 and one.at - times[place] < _APART_S:
            kept.append(one.at - times[place])
    return kept


def _until_next(came: Iterable[float], left: list[float]) -> list[float]:
    """From each moment of `came` to the first of `left` after it; `left` in order."""
    places = ((at, bisect.bisect_left(left, at)) for at in came)
    return [left[place] - at for at, place in places if place < len(left)]
