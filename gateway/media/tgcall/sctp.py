"""SCTP, as much of it as two Telegram ends need: reliable, ordered messages on one association.

Pure: time is handed in, packets are handed out. It runs twice in a call: below the signalling of versions 12.0.0 and
13.0.0 (bare packets in blobs), and over DTLS below the data channel.

What arrives is delivered in the order of its TSN, which is the order of every stream: a fragment lost on one stream
holds up the others, of which there are none. Both ends may open at once.

Source: RFC 9260; RFC 8831 §6 (one association over DTLS, ports 5000).
"""

from __future__ import annotations

import enum
import hmac
import secrets
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .sctpwire import (
    DATA,
    HEADER,
    INIT,
    PARAMETER,
    SACK,
    Chunk,
    build_chunk,
    build_packet,
    chunks_of,
    crc32c,
    find_parameter,
    parse_init,
)

#: User data in one chunk: what fits a 1,200-byte packet, inside DTLS as well.
FRAGMENT_BYTES: Final = 1100
PACKET_BYTES: Final = 1172
RECEIVE_WINDOW: Final = 128 * 1024
LONGEST_MESSAGE: Final = 128 * 1024
#: Messages waiting to be sent; past it the peer is not listening.
MOST_QUEUED_BYTES: Final = 256 * 1024
STREAMS: Final = 1024

#: Newer ends of Telegram start at 0.4 s and stop growing at 0.75 s, older ones at 1 s. Through Telegram's servers a
#: round trip takes some 0.2 s, and each repetition is a request of its own.
RTO_INITIAL_S: Final = 0.8
RTO_MIN_S: Final = 0.4
RTO_MAX_S: Final = 3.0
MOST_RETRANSMITS: Final = 10
#: Our messages are small: what timed out goes out again together.
RESENT_AT_ONCE: Final = 4


class State(enum.Enum):
    CLOSED = enum.auto()
    COOKIE_WAIT = enum.auto()
    COOKIE_ECHOED = enum.auto()
    ESTABLISHED = enum.auto()
    ENDED = enum.auto()


_COOKIE = struct.Struct(">LLL")
_COOKIE_PARAMETER: Final = 7
_MAC_BYTES: Final = 16

_BEGINNING: Final = 2
_ENDING: Final = 1


@dataclass(frozen=True, slots=True)
class SctpMessage:
    stream: int
    ppid: int
    data: bytes


@dataclass(slots=True)
class _Outgoing:
    tsn: int
    flags: int
    stream: int
    sequence: int
    ppid: int
    data: bytes
    sent_at: float = 0.0
    retransmitted: bool = False
    missed: int = 0


class Sctp:
    """One end of an association.

    Args:
        send: Takes each packet.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.state = State.CLOSED
        self._send_packet = send
        self._secret = secrets.token_bytes(16)
        self._tag = secrets.randbelow(0xFFFF_FFFF) + 1
        self._next_tsn = secrets.randbits(32)
        self._peer_tag = 0
        self._peer_window = 0
        self._cookie = b""
        self._sequences: dict[int, int] = {}
        self._queue: deque[_Outgoing] = deque()
        self._queued_bytes = 0
        self._flight: deque[_Outgoing] = deque()
        self._flight_bytes = 0
        self._congestion_window = 4 * PACKET_BYTES
        self._slow_start_below = 1 << 20
        self._last_tsn = 0  # the newest of the peer's before which none is missing
        self._early: dict[int, tuple[int, SctpMessage]] = {}
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._rto_s = RTO_INITIAL_S
        self._smooth_s: float | None = None
        self._variance_s = 0.0
        self._due = float("inf")
        self._retransmits = 0

    def connect(self, now: float) -> None:
        """Open our end. The peer may do the same at the same time."""
        if self.state is State.CLOSED:
            self.state = State.COOKIE_WAIT
            self._send_init(now)

    def send(self, message: SctpMessage) -> None:
        """Queue a message; `poll` sends what is queued, together, as soon as the association stands."""
        if self.state is State.ENDED or self._queued_bytes + len(message.data) > MOST_QUEUED_BYTES:
            return
        sequence = self._sequences.get(message.stream, 0)
        self._sequences[message.stream] = (sequence + 1) & 0xFFFF
        for at in range(0, len(message.data), FRAGMENT_BYTES):
            flags = _BEGINNING if at == 0 else 0
            flags |= _ENDING if at + FRAGMENT_BYTES >= len(message.data) else 0
            piece = message.data[at : at + FRAGMENT_BYTES]
            self._queue.append(_Outgoing(self._next_tsn, flags, message.stream, sequence, message.ppid, piece))
            self._next_tsn = (self._next_tsn + 1) & 0xFFFF_FFFF
            self._queued_bytes += len(piece)

    def receive(self, packet: bytes, now: float) -> list[SctpMessage]:
        """Take a packet; answer the messages that are whole by now. Malformed packets are dropped."""
        if len(packet) < HEADER.size or self.state is State.ENDED:
            return []
        _, _, tag, _ = HEADER.unpack_from(packet)
        if crc32c(packet[:8] + bytes(4) + packet[12:]) != packet[8:12]:
            return []
        reply = bytearray()
        messages: list[SctpMessage] = []
        acknowledge = False
        for kind, flags, body in chunks_of(packet):
            if tag != (0 if kind == Chunk.INIT else self._tag):
                break
            if kind == Chunk.DATA:
                acknowledge = True
                self._hear_data(flags, body, messages)
            else:
                self._hear_control(kind, body, reply, now)
        if acknowledge and self.state in (State.ESTABLISHED, State.COOKIE_ECHOED):
            reply += self._sack()
        self._flush(bytes(reply), now)
        return messages

    def poll(self, now: float) -> float:
        """Send what is queued, do what is due; answer when something will be."""
        self._flush(b"", now)
        if now >= self._due:
            self._retransmits += 1
            if self._retransmits > MOST_RETRANSMITS:
                self._end()
                return self._due
            self._rto_s = min(self._rto_s * 2, RTO_MAX_S)
            if self.state is State.COOKIE_WAIT:
                self._send_init(now)
            elif self.state is State.COOKIE_ECHOED:
                self._send_cookie(now)
            else:
                self._slow_start_below = max(self._flight_bytes // 2, 4 * PACKET_BYTES)
                self._congestion_window = PACKET_BYTES
                self._resend(list(self._flight)[:RESENT_AT_ONCE], now)
                self._due = now + self._rto_s
        return self._due

    # -- opening -------------------------------------------------------------------------------------------------

    def _hear_control(self, kind: int, body: bytes, reply: bytearray, now: float) -> None:
        match kind:
            case Chunk.INIT:
                self._hear_init(body)
            case Chunk.INIT_ACK if self.state is State.COOKIE_WAIT:
                self._hear_init_ack(body, now)
            case Chunk.COOKIE_ECHO:
                self._hear_cookie(body, reply)
            case Chunk.COOKIE_ACK if self.state is State.COOKIE_ECHOED:
                self._establish()
            case Chunk.SACK if self.state is State.ESTABLISHED:
                self._hear_sack(body, now)
            case Chunk.HEARTBEAT:
                reply += build_chunk(Chunk.HEARTBEAT_ACK, 0, body)
            case Chunk.SHUTDOWN:
                self._send_packet(self._packet(build_chunk(Chunk.SHUTDOWN_ACK, 0, b"")))
                self._end()
            case Chunk.ABORT | Chunk.SHUTDOWN_ACK | Chunk.SHUTDOWN_COMPLETE:
                self._end()

    def _hear_init(self, body: bytes) -> None:
        """Answer an INIT with all that we would have to remember of it in a signed cookie.

        Source: RFC 9260 §5.1.3 and §5.2 (simultaneous and repeated opening).
        """
        peer = parse_init(body)
        if peer is None:
            return
        state = _COOKIE.pack(*peer)
        cookie = state + self._sign(state)
        ack = self._init_fields() + PARAMETER.pack(_COOKIE_PARAMETER, PARAMETER.size + len(cookie)) + cookie
        self._send_packet(build_packet(peer[0], build_chunk(Chunk.INIT_ACK, 0, ack)))

    def _hear_init_ack(self, body: bytes, now: float) -> None:
        peer = parse_init(body)
        cookie = find_parameter(body[INIT.size :], _COOKIE_PARAMETER)
        if peer is None or not cookie:
            return
        self._adopt(*peer)
        self._cookie = cookie
        self.state = State.COOKIE_ECHOED
        self._retransmits = 0
        self._send_cookie(now)

    def _hear_cookie(self, body: bytes, reply: bytearray) -> None:
        state, mac = body[: _COOKIE.size], body[_COOKIE.size : _COOKIE.size + _MAC_BYTES]
        if len(state) < _COOKIE.size or not hmac.compare_digest(mac, self._sign(state)):
            return
        peer = _COOKIE.unpack(state)
        if self.state is not State.ESTABLISHED or peer[0] != self._peer_tag:
            if not (self.state is State.COOKIE_ECHOED and peer[0] == self._peer_tag):
                self._adopt(*peer)
            self._establish()
        reply += build_chunk(Chunk.COOKIE_ACK, 0, b"")

    def _adopt(self, tag: int, tsn: int, window: int) -> None:
        self._peer_tag = tag
        self._peer_window = window
        self._last_tsn = (tsn - 1) & 0xFFFF_FFFF
        self._early.clear()
        self._partial.clear()
        self._partial_bytes = 0

    def _establish(self) -> None:
        self.state = State.ESTABLISHED
        self._rto_s = RTO_INITIAL_S
        self._retransmits = 0
        self._due = float("inf")
        # What was sent to an earlier incarnation of the peer goes out again.
        self._queue.extendleft(reversed(self._flight))
        self._queued_bytes += self._flight_bytes
        self._flight.clear()
        self._flight_bytes = 0

    def _send_init(self, now: float) -> None:
        self._due = now + self._rto_s
        self._send_packet(build_packet(0, build_chunk(Chunk.INIT, 0, self._init_fields())))

    def _send_cookie(self, now: float) -> None:
        self._due = now + self._rto_s
        self._send_packet(self._packet(build_chunk(Chunk.COOKIE_ECHO, 0, self._cookie)))

    def _init_fields(self) -> bytes:
        oldest = self._flight[0].tsn if self._flight else self._queue[0].tsn if self._queue else self._next_tsn
        return INIT.pack(self._tag, RECEIVE_WINDOW, STREAMS, STREAMS, oldest)

    def _sign(self, state: bytes) -> bytes:
        return hmac.digest(self._secret, state, "sha256")[:_MAC_BYTES]

    def _end(self) -> None:
        self.state = State.ENDED
        self._due = float("inf")
        self._queue.clear()
        self._flight.clear()
        self._early.clear()

    # -- receiving -----------------------------------------------------------------------------------------------

    def _hear_data(self, flags: int, body: bytes, messages: list[SctpMessage]) -> None:
        if len(body) <= DATA.size or self.state not in (State.ESTABLISHED, State.COOKIE_ECHOED):
            return
        tsn, stream, _, ppid = DATA.unpack_from(body)
        ahead = (tsn - self._last_tsn) & 0xFFFF_FFFF
        # A chunk takes at least its place in this window, so the window bounds the memory.
        if not 0 < ahead <= RECEIVE_WINDOW // FRAGMENT_BYTES or tsn in self._early:
            return
        self._early[tsn] = (flags, SctpMessage(stream, ppid, body[DATA.size :]))
        while (following := (self._last_tsn + 1) & 0xFFFF_FFFF) in self._early:
            self._last_tsn = following
            self._assemble(*self._early.pop(following), messages)

    def _assemble(self, flags: int, piece: SctpMessage, messages: list[SctpMessage]) -> None:
        if flags & _BEGINNING:
            self._partial.clear()
            self._partial_bytes = 0
        elif not self._partial:
            return  # the rest of something too long
        self._partial.append(piece.data)
        self._partial_bytes += len(piece.data)
        if self._partial_bytes > LONGEST_MESSAGE:
            self._partial.clear()
        elif flags & _ENDING:
            messages.append(SctpMessage(piece.stream, piece.ppid, b"".join(self._partial)))
            self._partial.clear()

    def _sack(self) -> bytes:
        """Source: RFC 9260 §3.3.4; gaps are told relative to what is whole."""
        ahead = sorted((tsn - self._last_tsn) & 0xFFFF_FFFF for tsn in self._early)
        gaps: list[list[int]] = []
        for offset in ahead:
            if gaps and gaps[-1][1] == offset - 1:
                gaps[-1][1] = offset
            else:
                gaps.append([offset, offset])
        blocks = b"".join(struct.pack(">HH", *gap) for gap in gaps)
        return build_chunk(Chunk.SACK, 0, SACK.pack(self._last_tsn, RECEIVE_WINDOW, len(gaps), 0) + blocks)

    # -- sending -------------------------------------------------------------------------------------------------

    def _hear_sack(self, body: bytes, now: float) -> None:
        if len(body) < SACK.size:
            return
        whole, self._peer_window, gap_count, _ = SACK.unpack_from(body)
        acked = 0
        while self._flight and ((whole - self._flight[0].tsn) & 0xFFFF_FFFF) < 1 << 31:
            chunk = self._flight.popleft()
            acked += len(chunk.data)
            if not chunk.retransmitted:
                self._measure(now - chunk.sent_at)
        self._flight_bytes -= acked
        self._hear_gaps(body[SACK.size :], whole, gap_count, now)
        if acked:
            self._retransmits = 0
            grown = min(acked, PACKET_BYTES)
            if self._congestion_window >= self._slow_start_below:
                grown = grown * PACKET_BYTES // self._congestion_window
            self._congestion_window += grown
            self._due = now + self._rto_s
        if not self._flight:
            self._due = float("inf")

    def _hear_gaps(self, body: bytes, whole: int, gap_count: int, now: float) -> None:
        """What was reported missing three times is sent again at once. Source: RFC 9260 §7.2.4."""
        if not gap_count or not self._flight or len(body) < 4 * gap_count:
            return
        blocks = list(struct.iter_unpack(">HH", body[: 4 * gap_count]))
        newest = blocks[-1][1]
        missing = []
        for chunk in self._flight:
            offset = (chunk.tsn - whole) & 0xFFFF_FFFF
            if offset < newest and not any(first <= offset <= last for first, last in blocks):
                chunk.missed += 1
                if chunk.missed == 3:
                    missing.append(chunk)
        self._resend(missing, now)

    def _flush(self, control: bytes, now: float) -> None:
        """Send what is owed and what the windows allow, in as few packets as possible."""
        packet = bytearray(control)
        while self._queue and self.state is State.ESTABLISHED:
            allowed = min(self._congestion_window, max(self._peer_window, PACKET_BYTES))
            chunk = self._queue[0]
            if self._flight and self._flight_bytes + len(chunk.data) > allowed:
                break
            encoded = _encode(chunk)
            if packet and HEADER.size + len(packet) + len(encoded) > PACKET_BYTES:
                self._send_packet(self._packet(bytes(packet)))
                packet.clear()
            packet += encoded
            self._queue.popleft()
            self._queued_bytes -= len(chunk.data)
            chunk.sent_at = now
            self._flight.append(chunk)
            self._flight_bytes += len(chunk.data)
            self._due = min(self._due, now + self._rto_s)
        if packet:
            self._send_packet(self._packet(bytes(packet)))

    def _resend(self, chunks: list[_Outgoing], now: float) -> None:
        for chunk in chunks:
            chunk.retransmitted = True
            chunk.sent_at = now
            chunk.missed = 0
            self._send_packet(self._packet(_encode(chunk)))

    def _measure(self, round_trip_s: float) -> None:
        """Source: RFC 9260 §6.3.1."""
        if self._smooth_s is None:
            self._smooth_s, self._variance_s = round_trip_s, round_trip_s / 2
        else:
            self._variance_s += (abs(self._smooth_s - round_trip_s) - self._variance_s) / 4
            self._smooth_s += (round_trip_s - self._smooth_s) / 8
        self._rto_s = min(max(self._smooth_s + 4 * self._variance_s, RTO_MIN_S), RTO_MAX_S)

    def _packet(self, chunks: bytes) -> bytes:
        return build_packet(self._peer_tag, chunks)


def _encode(chunk: _Outgoing) -> bytes:
    header = DATA.pack(chunk.tsn, chunk.stream, chunk.sequence, chunk.ppid)
    return build_chunk(Chunk.DATA, chunk.flags, header + chunk.data)
