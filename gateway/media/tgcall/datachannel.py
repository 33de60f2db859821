"""The data channel: messages beside the audio, on SCTP over DTLS. Pure.

The caller opens stream 0; either end may use it then. A call runs without one as well.

Source: RFC 8831, RFC 8832 (DCEP).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .sctp import Sctp, SctpMessage

PPID_DCEP: Final = 50
PPID_TEXT: Final = 51
PPID_BINARY: Final = 53
_OPEN: Final = 3
_ACK: Final = b"\x02"
#: Ordered, reliable, priority 0, no parameter; label "data", no protocol. Source: RFC 8832 §5.1.
_OPEN_DATA: Final = b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00data"


class DataChannel:
    """One channel.

    Args:
        opens: Whether it is ours to open: we are the caller.
        send: Takes each packet, for DTLS.

    Attributes:
        is_open: Whether both ends know of it.
    """

    def __init__(self, opens: bool, send: Callable[[bytes], None], now: float) -> None:
        self.is_open = False
        self._stream = 0
        self._sctp = Sctp(send)
        self._sctp.connect(now)
        if opens:
            self._sctp.send(SctpMessage(0, PPID_DCEP, _OPEN_DATA))

    def send(self, text: bytes) -> None:
        """Queue a message; `poll` sends it."""
        self._sctp.send(SctpMessage(self._stream, PPID_TEXT, text))

    def receive(self, packet: bytes, now: float) -> list[bytes]:
        """Take a packet; answer the messages in it."""
        texts = []
        for message in self._sctp.receive(packet, now):
            if message.ppid != PPID_DCEP:
                if message.ppid in (PPID_TEXT, PPID_BINARY):
                    texts.append(message.data)
                continue
            if message.data[:1] == bytes([_OPEN]):
                self._stream = message.stream
                self._sctp.send(SctpMessage(message.stream, PPID_DCEP, _ACK))
            self.is_open = True
        return texts

    def poll(self, now: float) -> float:
        return self._sctp.poll(now)
