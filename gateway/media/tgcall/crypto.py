"""Signalling crypto: how a blob travels through Telegram's servers, and how a key is told from another.

Pure. Source: https://core.telegram.org/api/end-to-end/voice-calls (MTProto 2.0 in calls).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .model import EngineError

KEY_BYTES: Final = 256
MSG_KEY_BYTES: Final = 16

#: msg_key, the counter, and at least one byte; more than this is no call signalling.
SHORTEST_BLOB: Final = MSG_KEY_BYTES + 4 + 1
LONGEST_BLOB: Final = 128 * 1024


class BlobError(EngineError):
    """A blob that was not made with this call's key, by the other end."""


class SignallingCipher:
    """Seals our blobs, and opens the peer's.

    Args:
        key: The call's 256-byte key, padded with zeros on the left.
        outgoing: Whether we are the caller.
    """

    def __init__(self, key: bytes, outgoing: bool) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a call's key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._x_ours = 128 + (0 if outgoing else 8)
        self._x_theirs = 128 + (8 if outgoing else 0)

    def seal(self, plain: bytes) -> bytes:
        msg_key = self._msg_key(plain, self._x_ours)
        return msg_key + self._cipher(msg_key, self._x_ours).encryptor().update(plain)

    def open(self, blob: bytes) -> bytes:
        """Raises `BlobError`."""
        if not SHORTEST_BLOB <= len(blob) <= LONGEST_BLOB:
            raise BlobError(f"a blob of {len(blob)} bytes")
        msg_key = blob[:MSG_KEY_BYTES]
        plain = self._cipher(msg_key, self._x_theirs).decryptor().update(blob[MSG_KEY_BYTES:])
        if not hmac.compare_digest(msg_key, self._msg_key(plain, self._x_theirs)):
            raise BlobError("a blob of another key")
        return plain

    def _msg_key(self, plain: bytes, x: int) -> bytes:
        return hashlib.sha256(self._key[88 + x : 120 + x] + plain).digest()[8:24]

    def _cipher(self, msg_key: bytes, x: int) -> Cipher[modes.CTR]:
        a = hashlib.sha256(msg_key + self._key[x : x + 36]).digest()
        b = hashlib.sha256(self._key[40 + x : 76 + x] + msg_key).digest()
        aes_key = a[:8] + b[8:24] + a[24:32]
        iv = b[:4] + a[8:16] + b[24:28]
        return Cipher(algorithms.AES(aes_key), modes.CTR(iv))


class SeenCounters:
    """Tells replayed counters from new ones, in constant memory."""

    #: How far behind the newest a counter may be, and still be new.
    WINDOW: Final = 64

    def __init__(self) -> None:
        self._newest = 0
        self._recent: set[int] = set()

    def is_new(self, counter: int) -> bool:
        """Whether it comes for the first time; and remember it."""
        if counter <= self._newest - self.WINDOW or counter in self._recent:
            return False
        self._recent.add(counter)
        if counter > self._newest:
            self._newest = counter
            if len(self._recent) > 4 * self.WINDOW:
                self._recent = {seen for seen in self._recent if seen > counter - self.WINDOW}
        return True


def key_fingerprint(key: bytes) -> int:
    """What `phone.confirmCall` and `phoneCall` carry to check the key: a signed 64-bit number.

    Source: https://core.telegram.org/method/phone.confirmCall.
    """
    return int.from_bytes(hashlib.sha1(key, usedforsecurity=False).digest()[-8:], "little", signed=True)
