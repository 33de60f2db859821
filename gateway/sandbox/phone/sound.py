"""The audio of one call at a telephone: RTP both ways, paced by the monotonic clock, and all that arrives kept."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import G722
import numpy as np
from numpy.typing import NDArray

from gateway.sandbox.audio import Pcm
from gateway.sandbox.phone.message import PAYLOAD_TYPES, Sdp

#: G.711 at 8 kHz and G.722 at 64 kbit/s alike: 8 bytes are a millisecond, and the RTP clock ticks once a byte.
#: Source: RFC 3551 §4.5.2 (G.722's clock is 8000 although it samples at 16000).
BYTES_A_MS: Final = 8
_DIGITS: Final = "0123456789*#ABCD"
_HEADER: Final = struct.Struct("!BBHII")


def rate_of(codec: str) -> int:
    return 16000 if codec == "g722" else 8000


def _ulaw_to_pcm() -> NDArray[np.int16]:
    """Source: ITU-T G.711, table 2."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_to_pcm() -> NDArray[np.int16]:
    """Source: ITU-T G.711, table 1."""
    code = np.arange(256) ^ 0x55
    segment, step = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_TO_PCM: Final = {0: _ulaw_to_pcm(), 8: _alaw_to_pcm()}


@lru_cache(maxsize=64)
def _companded(codec: str, pcm: bytes) -> bytes:
    """G.711 of the whole sound at once: many calls play the same one."""
    table = _TO_PCM[PAYLOAD_TYPES[codec]]
    order = np.argsort(table, kind="stable")
    levels = table[order].astype(np.int32)
    nearest = np.searchsorted((levels[1:] + levels[:-1]) // 2, np.frombuffer(pcm, np.int16).astype(np.int32))
    return order[nearest].astype(np.uint8).tobytes()


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP packet as it arrived; `at` is on the monotonic clock, in seconds."""

    at: float
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes


class Sound(asyncio.DatagramProtocol):
    """One call's audio.

    Attributes:
        heard: Every audio packet, in the order of arrival.
        digits: RFC 4733 digits that came, in order.
        started_at: When the first packet was sent (monotonic), None before.
        sent: How many were.
    """

    def __init__(self) -> None:
        self.heard: list[Packet] = []
        self.digits = ""
        self.started_at: float | None = None
        self.sent = 0
        self.codec = ""
        self._ptime_ms = 20
        self._event_type: int | None = None
        self._to: tuple[str, int] | None = None
        self._data = b""  # G.711, or for G.722 the samples: its coder must run through silence and sound alike
        self._loop_data = True
        self._at = 0
        self._g722 = G722.G722(16000, 64000)
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbelow(1 << 30)
        self._ssrc = secrets.randbits(32)
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._pcm: Pcm | None = None
        self._events: list[bytes] = []
        self._last_event = -1
        self.host, self.port = "", 0

    async def open(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self.host, self.port = self._transport.get_extra_info("sockname")[:2]

    def start(self, codec: str, remote: Sdp, ptime_ms: int) -> None:
        """Send to where the other's SDP says, from now on; silence until `play`."""
        self.codec, self._ptime_ms, self._event_type = codec, ptime_ms, remote.event_type
        self._to = (remote.host, remote.port)
        if self._pcm is not None:
            self.play(self._pcm, loop=self._loop_data)
        if self._timer is None:
            self.started_at = self._next_at = time.monotonic()
            self._send_next()

    def play(self, pcm: Pcm, *, loop: bool = True) -> float:
        """Play samples at the codec's rate (8 kHz; g722: 16 kHz); then again, or silence.

        Returns:
            When its first packet is sent, on the monotonic clock; before there is a codec, 0.
        """
        self._pcm, self._loop_data, self._at = pcm, loop, 0
        if self.codec:
            self._data = pcm.tobytes() if self.codec == "g722" else _companded(self.codec, pcm.tobytes())
        return self._next_at

    def send_digits(self, digits: str, each_ms: int = 100) -> None:
        """Send RFC 4733 events in place of the sound. Source: RFC 4733 §2.5.1.2 (end packets are sent three times)."""
        steps = max(1, each_ms // self._ptime_ms)
        for digit in digits:
            for step in range(1, steps + 4):
                end = step > steps
                ticks = min(step, steps) * self._ptime_ms * BYTES_A_MS
                mark = b"\x01" if step == 1 else b"\x00"
                self._events.append(mark + struct.pack("!BBH", _DIGITS.index(digit), 0x80 * end | 10, ticks))

    def pcm(self) -> Pcm:
        """All that was heard, in order, at the codec's rate; what was lost is silence, up to a second a gap."""
        codec = G722.G722(16000, 64000)
        parts: list[NDArray[np.int16]] = []
        due: int | None = None
        for packet in sorted(self._unwrapped(), key=lambda pair: pair[0]):
            timestamp, at = packet
            if due is not None and due < timestamp <= due + 8000:
                parts.append(np.zeros((timestamp - due) * rate_of(self.codec) // 8000, np.int16))
            if at.payload_type in _TO_PCM:
                parts.append(_TO_PCM[at.payload_type].take(np.frombuffer(at.payload, np.uint8)))
            else:
                parts.append(np.frombuffer(codec.decode(at.payload), np.int16))
            due = timestamp + len(at.payload)
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _unwrapped(self) -> list[tuple[int, Packet]]:
        """Packets with timestamps that don't wrap."""
        pairs: list[tuple[int, Packet]] = []
        for packet in self.heard:
            last = pairs[-1][0] if pairs else packet.timestamp
            ahead = (packet.timestamp - last + (1 << 31)) % (1 << 32) - (1 << 31)
            pairs.append((last + ahead, packet))
        return pairs

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    # --- the wire ------------------------------------------------------------------------------------------------

    def _send_next(self) -> None:
        """Send what is due, and come again at a time counted from the start, so that no delay adds up."""
        loop = asyncio.get_running_loop()
        while self._next_at <= time.monotonic():
            self._send_one()
            self._next_at += self._ptime_ms / 1000
        self._timer = loop.call_at(loop.time() + self._next_at - time.monotonic(), self._send_next)

    def _send_one(self) -> None:
        size = self._ptime_ms * BYTES_A_MS
        kind, marker = PAYLOAD_TYPES[self.codec], 0x80 * (self.sent == 0)
        timestamp = self._timestamp
        if self._events and self._event_type is not None:
            event = self._events.pop(0)
            kind, marker, payload = self._event_type, 0x80 * event[0], event[1:]
            if marker:
                self._event_start = timestamp
            timestamp = self._event_start  # of the digit's start, all along
        else:
            payload = self._next_sound(size)
        header = _HEADER.pack(0x80, marker | kind, self._sequence & 0xFFFF, timestamp & 0xFFFFFFFF, self._ssrc)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(header + payload, self._to)
        self._sequence += 1
        self._timestamp += size
        self.sent += 1

    _event_start = 0

    def _next_sound(self, size: int) -> bytes:
        """The next `size` bytes of payload."""
        if self.codec == "g722":
            samples = np.frombuffer(self._next_data(4 * size, b"\0"), np.int16)
            return bytes(self._g722.encode(samples))
        return self._next_data(size, b"\xd5" if self.codec == "alaw" else b"\xff")

    def _next_data(self, size: int, silence: bytes) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += size
        if len(data) < size and self._loop_data and self._data:
            self._at = size - len(data)
            data += self._data[: self._at]
        return data.ljust(size, silence)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if len(data) < _HEADER.size or data[0] >> 6 != 2:
            return
        first, second, sequence, timestamp, _ = _HEADER.unpack_from(data)
        start = _HEADER.size + 4 * (first & 0x0F)
        kind = second & 0x7F
        if kind == self._event_type:
            digit, flags = data[start], data[start + 1]
            if flags & 0x80 and timestamp != self._last_event:
                self._last_event = timestamp
                self.digits += _DIGITS[digit]
        elif kind in PAYLOAD_TYPES.values():
            self.heard.append(Packet(time.monotonic(), kind, sequence, timestamp, data[start:]))
