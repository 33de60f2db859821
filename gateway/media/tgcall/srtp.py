"""SRTP: audio and its reports, encrypted. A thin room around libsrtp.

Source: RFC 3711; RFC 7714 (GCM).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pylibsrtp
from pylibsrtp import Error, Policy

from .dtls import SrtpKeys

_PROFILES: Final = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
#: Packets older than this are replays: over a second of 20 ms packets, past any jitter buffer.
REPLAY_WINDOW: Final = 128
LONGEST: Final = 1350
#: A packet and what libsrtp puts behind it: a tag, a key's identifier, an index. Source: srtp.h, SRTP_MAX_SRTCP_TRAILER_LEN.
_ROOM: Final = LONGEST + 16 + 128 + 4

#: The library itself: `pylibsrtp.Session` costs twice the cryptography of a packet of audio.
_ffi: Final[Any] = pylibsrtp.ffi
_lib: Final[Any] = pylibsrtp.lib

Transform = Callable[[bytes], bytes]


class Srtp:
    """Both directions. `unprotect…` answers None for what is not the peer's, or comes again."""

    def __init__(self, keys: SrtpKeys) -> None:
        out = _session(keys.ours, keys.profile.name, Policy.SSRC_ANY_OUTBOUND)
        into = _session(keys.theirs, keys.profile.name, Policy.SSRC_ANY_INBOUND)
        self.protect = _transform(out, _lib.srtp_protect)
        self.protect_rtcp = _transform(out, _lib.srtp_protect_rtcp)
        self._unprotect = _transform(into, _lib.srtp_unprotect)
        self._unprotect_rtcp = _transform(into, _lib.srtp_unprotect_rtcp)

    def unprotect(self, packet: bytes) -> bytes | None:
        try:
            return self._unprotect(packet)
        except Error:
            return None

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        try:
            return self._unprotect_rtcp(packet)
        except Error:
            return None


#: libsrtp works in place. One place serves all: nothing waits between the copy in and the copy out.
_place: Final[Any] = _ffi.new("unsigned char[]", _ROOM)
_bytes: Final[Any] = _ffi.buffer(_place)
_length: Final[Any] = _ffi.new("int *")


def _transform(session: Any, function: Any) -> Transform:
    """One of libsrtp's four. Raises `Error` for what libsrtp refuses."""
    handle = session[0]

    def transform(packet: bytes, _kept: object = session) -> bytes:  # the handle is good while the session is kept
        size = len(packet)
        if size > LONGEST:
            raise Error("the packet is too long")
        _bytes[:size] = packet
        _length[0] = size
        if function(handle, _place, _length):
            raise Error("libsrtp refused the packet")
        plain: bytes = _bytes[: _length[0]]
        return plain

    return transform


def _session(key: bytes, profile: str, ssrc_type: int) -> Any:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    session = _ffi.new("srtp_t *")
    if _lib.srtp_create(session, policy._policy):
        raise Error("libsrtp refused the keys")
    return _ffi.gc(session, lambda created: _lib.srtp_dealloc(created[0]))
