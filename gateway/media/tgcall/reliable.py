"""Signalling of versions 8.0.0 and 9.0.0: messages with acknowledgement and resending inside each blob.

Pure: time is handed in, blobs are handed out.

A packet is a sequence of ``seq u32 · type u8 · body``. In `seq`, bit 31 says that nothing follows, bit 30 that the
message wants an acknowledgement, the rest is one counter for packets and messages alike.

Source: measured against Telegram's own library and ntgcalls 3.0.5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .crypto import SeenCounters, SignallingCipher

ALONE_BIT: Final = 1 << 31
WANTS_ACK_BIT: Final = 1 << 30
COUNTER_MASK: Final = WANTS_ACK_BIT - 1

CUSTOM: Final = 0x7F
EMPTY: Final = 0xFE
ACK: Final = 0xFF

#: With the 16 bytes of msg_key; the peer's limit.
LONGEST_PACKET: Final = 16 * 1024 - 16
RESEND_AFTER_S: Final = 3.0
#: Repeats are acknowledged lazily: our first acknowledgement is probably under way.
LAZY_ACK_S: Final = 5.0
#: A peer that acknowledges nothing must not make us hoard.
MOST_UNACKED: Final = 64

_SEQ_AND_TYPE = struct.Struct(">IB")
_U32 = struct.Struct(">I")


@dataclass(slots=True)
class _Unacked:
    seq: int
    encoded: bytes
    sent_at: float = float("-inf")


class ReliableChannel:
    """Both directions of the reliable layer.

    Args:
        cipher: Of this call.
        send: Takes each blob.
    """

    def __init__(self, cipher: SignallingCipher, send: Callable[[bytes], None]) -> None:
        self._cipher = cipher
        self._send_blob = send
        self._counter = 0
        self._unacked: list[_Unacked] = []
        self._acks: list[int] = []
        self._ack_by = float("inf")
        self._packets = SeenCounters()
        self._messages = SeenCounters()

    def send(self, message: bytes) -> None:
        """Queue a message; `poll` sends what is queued, together."""
        if len(self._unacked) >= MOST_UNACKED:
            del self._unacked[0]
        seq = self._next_counter() | WANTS_ACK_BIT
        encoded = _SEQ_AND_TYPE.pack(seq, CUSTOM) + _U32.pack(len(message)) + message
        self._unacked.append(_Unacked(seq, encoded))

    def receive(self, blob: bytes, now: float) -> list[bytes]:
        """Take a blob, and answer the new messages in it.

        Raises:
            BlobError: Of another key.
        """
        plain = self._cipher.open(blob)
        first = _U32.unpack_from(plain)[0]
        if not self._packets.is_new(first & COUNTER_MASK):
            return []
        fresh: list[bytes] = []
        for seq, kind, body in _parts(plain):
            if kind == ACK:
                self._unacked = [waiting for waiting in self._unacked if waiting.seq != seq]
            elif kind == CUSTOM and seq & WANTS_ACK_BIT:
                self._hear(seq, body, fresh, now)
            elif kind == CUSTOM:
                fresh.append(body)
        return fresh

    def poll(self, now: float) -> float:
        """Send what is queued, do what is due; answer when something will be."""
        resend = any(now >= waiting.sent_at + RESEND_AFTER_S for waiting in self._unacked)
        if resend or now >= self._ack_by:
            self._send_all(now)
        oldest = min((waiting.sent_at for waiting in self._unacked), default=float("inf"))
        return min(oldest + RESEND_AFTER_S, self._ack_by)

    def _hear(self, seq: int, body: bytes, fresh: list[bytes], now: float) -> None:
        self._acks.append(seq)
        if self._messages.is_new(seq & COUNTER_MASK):
            fresh.append(body)
            self._ack_by = now
        else:
            self._ack_by = min(self._ack_by, now + LAZY_ACK_S)

    def _send_all(self, now: float) -> None:
        """All that the peer has not acknowledged, in order; behind an empty message of its own number if repeated."""
        if len(self._unacked) == 1 and self._unacked[0].sent_at == float("-inf"):
            self._unacked[0].sent_at = now
            self._seal(self._unacked[0].encoded + self._take_acks())
            return
        packet = _SEQ_AND_TYPE.pack(self._next_counter(), EMPTY) + self._take_acks()
        for waiting in self._unacked:
            if len(packet) + len(waiting.encoded) > LONGEST_PACKET:
                break
            packet += waiting.encoded
            waiting.sent_at = now
        self._seal(packet)

    def _take_acks(self) -> bytes:
        acks = b"".join(_SEQ_AND_TYPE.pack(seq, ACK) for seq in self._acks[-MOST_UNACKED:])
        self._acks.clear()
        self._ack_by = float("inf")
        return acks

    def _next_counter(self) -> int:
        self._counter += 1
        return self._counter

    def _seal(self, packet: bytes) -> None:
        self._send_blob(self._cipher.seal(packet))


def _parts(plain: bytes) -> list[tuple[int, int, bytes]]:
    """Take a packet apart into (seq, type, body). What is malformed ends it: the rest can't be found."""
    parts: list[tuple[int, int, bytes]] = []
    at = 0
    while at + _SEQ_AND_TYPE.size <= len(plain):
        seq, kind = _SEQ_AND_TYPE.unpack_from(plain, at)
        at += _SEQ_AND_TYPE.size
        body = b""
        if kind == CUSTOM:
            if at + _U32.size > len(plain):
                break
            length = _U32.unpack_from(plain, at)[0]
            at += _U32.size
            if length > len(plain) - at:
                break
            body = plain[at : at + length]
            at += length
        elif kind not in (EMPTY, ACK):
            break
        parts.append((seq, kind, body))
        if seq & ALONE_BIT:
            break
    return parts
