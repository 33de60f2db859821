"""The audio of one call: what is said becomes packets, packets become what is heard, reports tell how well."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from .jitter import JitterBuffer
from .model import FRAME_MS, RTP_CLOCK_HZ, CallStats
from .negotiation import Stream
from .opus import LONGEST_REST, OpusDecoder, OpusEncoder
from .rtp import (
    ReceiverStatistics,
    RtpSender,
    middle_ntp,
    parse_rtcp,
    parse_rtp,
    round_trip_s,
    sender_report,
)

#: As Telegram's library does. Source: RFC 3550 §6.2 (some 5 s, varied).
REPORT_S: Final = 4.5
FIRST_REPORT_S: Final = 1.0
#: What is fed may come unevenly; a longer pause is silence, and RTP time goes on meanwhile.
PAUSE_S: Final = 0.2
#: A good report must not undo at once what a bad one asked for.
_LOSS_DECAY: Final = 0.7


class Sender:
    """Codes and numbers what is fed."""

    def __init__(self, rate_hz: int, dtx: bool) -> None:
        self.ssrc = secrets.randbelow(0xFFFF_FFFE) + 1
        self.rtp = RtpSender(self.ssrc, secrets.randbits(15), secrets.randbits(32))
        self.encoder = OpusEncoder(rate_hz, dtx)
        self._encode = self.encoder.encode
        self._frame_bytes = rate_hz * FRAME_MS // 1000 * 2
        self._ticks = RTP_CLOCK_HZ * FRAME_MS // 1000
        self._rest = b""
        self._marker = True
        self._fed_at = float("-inf")

    def pack(self, pcm: bytes, payload_type: int, now: float) -> list[bytes]:
        """RTP packets for what is fed; what is less than a frame waits for the next."""
        pause_s = now - self._fed_at
        self._fed_at = now
        if pause_s > PAUSE_S:
            self._rest = b""
            self._marker = True
            if pause_s < 1 << 16:
                self.rtp.advance(int(pause_s * 1000 / FRAME_MS) * self._ticks)
        size = self._frame_bytes
        if len(pcm) == size and not self._rest:
            return [packet] if (packet := self._code(pcm, payload_type)) else []
        pcm = self._rest + pcm
        packets = []
        whole = len(pcm) - len(pcm) % size
        for at in range(0, whole, size):
            if packet := self._code(pcm[at : at + size], payload_type):
                packets.append(packet)
        self._rest = pcm[whole:]
        return packets

    def _code(self, frame: bytes, payload_type: int) -> bytes:
        """A packet; b"" if there is nothing to send."""
        payload = self._encode(frame)
        packet = self.rtp.pack(payload_type, payload, self._marker) if payload else b""
        self._marker = len(payload) <= LONGEST_REST
        self.rtp.advance(self._ticks)
        return packet

    def close(self) -> None:
        self.encoder.close()


class Receiver:
    """Takes the packets of one stream, and hands out frames. For `align` see `JitterBuffer`."""

    def __init__(self, rate_hz: int, align: Callable[[float], float]) -> None:
        self.bytes = 0
        self.packets = 0
        self.ignored = 0
        self.first_heard_at: float | None = None
        self._decoder = OpusDecoder(rate_hz)
        self.buffer = JitterBuffer(self._decoder, rate_hz, align)
        self.statistics: ReceiverStatistics | None = None
        self._stream: Stream | None = None

    def listen_to(self, stream: Stream) -> None:
        if self._stream is not None and stream.ssrc != self._stream.ssrc:
            self.buffer.resynchronise()
        if self._stream is None or stream.ssrc != self._stream.ssrc:
            self.statistics = ReceiverStatistics(stream.ssrc)
        self._stream = stream

    def hear(self, packet: bytes, now: float) -> None:
        """Take an RTP packet that SRTP has proven."""
        rtp = parse_rtp(packet)
        stream = self._stream
        if rtp is None or stream is None or rtp.ssrc != stream.ssrc or rtp.payload_type != stream.payload_type:
            self.ignored += 1
            return
        if not self.packets:
            self.first_heard_at = now
        self.packets += 1
        self.bytes += len(packet)
        if self.statistics is not None:
            self.statistics.hear(rtp.sequence, rtp.timestamp, now)
        self.buffer.push(rtp.sequence, rtp.timestamp, rtp.payload, now)

    def close(self) -> None:
        self._decoder.close()


class Reporter:
    """Reports to the peer, and reads its reports.

    Attributes:
        round_trip_s: Of the media; None until a report told.
        loss_sent: What the peer last reported, 0..1.
    """

    def __init__(self, sender: Sender, receiver: Receiver, wall_s: float, now: float) -> None:
        self.round_trip_s: float | None = None
        self.loss_sent: float | None = None
        self._sender = sender
        self._receiver = receiver
        self._wall_offset_s = wall_s - now  # from the monotonic clock to the wall's, fixed: reports want no leaps
        self._due = now + FIRST_REPORT_S
        self._peer_ntp = 0
        self._peer_at = 0.0
        self._loss = 0.0

    def poll(self, now: float) -> bytes | None:
        """A report, if one is due."""
        if now < self._due:
            return None
        self._due = now + REPORT_S * (0.5 + secrets.randbelow(1000) / 1000)
        blocks = b""
        statistics = self._receiver.statistics
        if statistics is not None and statistics.received:
            delay = int((now - self._peer_at) * 65536) & 0xFFFF_FFFF if self._peer_ntp else 0
            blocks = statistics.block(self._peer_ntp, delay)
        return sender_report(self._sender.rtp, self._wall_offset_s + now, blocks)

    @property
    def due(self) -> float:
        return self._due

    def hear(self, packet: bytes, now: float) -> None:
        """Take an RTCP packet that SRTP has proven; and let the coder follow it."""
        reports = parse_rtcp(packet)
        if reports.sender_ntp is not None:
            self._peer_ntp = reports.sender_ntp
            self._peer_at = now
        for block in reports.blocks:
            if block.ssrc == self._sender.ssrc:
                trip = round_trip_s(block, middle_ntp(self._wall_offset_s + now))
                self.round_trip_s = trip if trip is not None else self.round_trip_s
                self.loss_sent = block.fraction_lost
                self._loss = max(block.fraction_lost, self._loss * _LOSS_DECAY)
                self._sender.encoder.adapt(self._loss)

    def fill(self, stats: CallStats) -> None:
        """Write what is known into a call's figures."""
        buffer, statistics = self._receiver.buffer, self._receiver.statistics
        if self.round_trip_s is not None:
            stats.rtt_ms = 1000 * self.round_trip_s
        stats.loss_sent = self.loss_sent
        if statistics is not None:
            stats.loss_received = statistics.fraction_lost
            stats.jitter_ms = statistics.jitter_ticks * 1000 / RTP_CLOCK_HZ
        stats.packets_sent, stats.bytes_sent = self._sender.rtp.packets, self._sender.rtp.octets
        stats.packets_received, stats.bytes_received = self._receiver.packets, self._receiver.bytes
        stats.lost, stats.late, stats.duplicate = buffer.lost, buffer.late, buffer.duplicate
        stats.concealed_ms, stats.restored_ms, stats.idle_ms = buffer.concealed_ms, buffer.restored_ms, buffer.idle_ms
        stats.dropped_ms, stats.inserted_ms = buffer.dropped_ms, buffer.inserted_ms
        stats.buffer_ms = buffer.delay_ms
        stats.bitrate = self._sender.encoder.effort.bitrate
        stats.ignored += self._receiver.ignored
