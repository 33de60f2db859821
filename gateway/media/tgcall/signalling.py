"""Which signalling a version speaks, and the three ways in which it travels. Pure."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from .crypto import BlobError, SeenCounters, SignallingCipher
from .messages import LONGEST_MESSAGE
from .model import UnsupportedError
from .reliable import ReliableChannel
from .sctp import Sctp, SctpMessage

#: Ours, the best last. 10.0.0 and 11.0.0 speak SDP, which is another protocol.
_RELIABLE: Final = ("8.0.0", "9.0.0")
_SCTP: Final = ("12.0.0", "13.0.0")

#: Binary user data. Source: RFC 8831 §8.
PPID_BINARY: Final = 53
_GZIP_MAGIC: Final = b"\x1f\x8b"
_U32 = struct.Struct(">I")


def library_versions() -> tuple[str, ...]:
    """What to offer in `phoneCallProtocol.library_versions`, the best first."""
    return tuple(reversed(_RELIABLE + _SCTP))


def choose_version(offered: tuple[str, ...] | list[str]) -> str:
    """The best version that both ends speak.

    Args:
        offered: `library_versions` of the established call.

    Raises:
        UnsupportedError: There is none.
    """
    for version in library_versions():
        if version in offered:
            return version
    raise UnsupportedError(f"the peer speaks {', '.join(offered) or 'no version at all'}")


class SignallingChannel(Protocol):
    """Carries messages reliably and in order, on blobs that Telegram carries somehow."""

    def send(self, message: bytes) -> None:
        """Queue a message; `poll` sends what is queued, in as few blobs as possible."""

    def receive(self, blob: bytes, now: float) -> list[bytes]:
        """Raises `BlobError`."""

    def poll(self, now: float) -> float:
        """Send what is queued, do what is due; answer when something will be. Call it after every other call."""


def open_signalling(
    version: str, custom_parameters: str | None, cipher: SignallingCipher, send: Callable[[bytes], None]
) -> SignallingChannel:
    """Make the channel that this version and this call's parameters ask for; the first `poll` opens it.

    Raises:
        UnsupportedError: They ask for a transport that we don't speak.
    """
    parameters = parse_parameters(custom_parameters)
    if parameters.get("network_kcp_experiment"):
        raise UnsupportedError("the call asks for the KCP transport")
    if version in _RELIABLE:
        return ReliableChannel(cipher, send)
    if parameters.get("network_signaling_nosctp"):
        return BareChannel(cipher, send)
    return SctpChannel(cipher, send)


def parse_parameters(text: str | None) -> dict[str, Any]:
    """Read a call's `custom_parameters`; whatever is not an object of JSON says nothing."""
    if not text or len(text) > LONGEST_MESSAGE:
        return {}
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parameters if isinstance(parameters, dict) else {}


class _Packer:
    """A message as it is sealed in versions 12.0.0 and later: counted and compressed."""

    def __init__(self, cipher: SignallingCipher) -> None:
        self._cipher = cipher
        self._counter = 0
        self._seen = SeenCounters()

    def pack(self, message: bytes) -> bytes:
        self._counter += 1
        return self._cipher.seal(_U32.pack(self._counter) + gzip(message))

    def unpack(self, sealed: bytes) -> bytes | None:
        """None for a replay. Raises `BlobError`."""
        plain = self._cipher.open(sealed)
        if not self._seen.is_new(_U32.unpack_from(plain)[0]):
            return None
        body = plain[_U32.size :]
        return gunzip(body) if body.startswith(_GZIP_MAGIC) else body


def gzip(message: bytes) -> bytes:
    """Pack. A message is short: a small window is as good, and set up in half the time."""
    packer = zlib.compressobj(wbits=16 + 10, memLevel=4)
    return packer.compress(message) + packer.flush()


def gunzip(data: bytes) -> bytes:
    """Unpack, but never more than the longest message. Raises `BlobError`."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        message = unpacker.decompress(data, LONGEST_MESSAGE)
    except zlib.error as error:
        raise BlobError("damaged gzip") from error
    if not unpacker.eof:
        raise BlobError("gzip that has no end, or too much in it")
    return message


class SctpChannel:
    """Versions 12.0.0 and 13.0.0: sealed messages on an association whose packets are the blobs.

    Both ends open at once; a newer callee keeps silent until it hears something.
    """

    def __init__(self, cipher: SignallingCipher, send: Callable[[bytes], None]) -> None:
        self._packer = _Packer(cipher)
        self._sctp = Sctp(send)

    def send(self, message: bytes) -> None:
        self._sctp.send(SctpMessage(0, PPID_BINARY, self._packer.pack(message)))

    def receive(self, blob: bytes, now: float) -> list[bytes]:
        messages = []
        for sealed in self._sctp.receive(blob, now):
            # The association itself proves nothing: one bad message must not cost the good ones.
            with contextlib.suppress(BlobError):
                if (message := self._packer.unpack(sealed.data)) is not None:
                    messages.append(message)
        return messages

    def poll(self, now: float) -> float:
        self._sctp.connect(now)
        return self._sctp.poll(now)


class BareChannel:
    """`network_signaling_nosctp`: each blob is a sealed message, and Telegram's own transport must do."""

    def __init__(self, cipher: SignallingCipher, send: Callable[[bytes], None]) -> None:
        self._packer = _Packer(cipher)
        self._send = send

    def send(self, message: bytes) -> None:
        self._send(self._packer.pack(message))

    def receive(self, blob: bytes, now: float) -> list[bytes]:
        message = self._packer.unpack(blob)
        return [] if message is None else [message]

    def poll(self, now: float) -> float:
        return float("inf")
