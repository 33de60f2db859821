"""SRTP: audio and its reports, encrypted. A thin room around libsrtp.

Source: RFC 3711; RFC 7714 (GCM).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pylibsrtp import Error, Policy
from pylibsrtp._binding import ffi, lib

from .dtls import SrtpKeys

_PROFILES: Final = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
#: Packets older than this are replays: over a second of 20 ms packets, past any jitter buffer.
REPLAY_WINDOW: Final = 128
LONGEST: Final = 1350
#: A packet, and behind it a tag, a key's identifier and an index. Source: srtp.h, SRTP_MAX_SRTCP_TRAILER_LEN.
_ROOM: Final = LONGEST + 16 + 128 + 4

Transform = Callable[[bytes], bytes]


class Srtp:
    """Both directions. `unprotect…` answers None for what is not the peer's, or comes again."""

    def __init__(self, keys: SrtpKeys) -> None:
        place = ffi.new("unsigned char[]", _ROOM)
        out = _session(keys.ours, keys.profile.name, Policy.SSRC_ANY_OUTBOUND)
        into = _session(keys.theirs, keys.profile.name, Policy.SSRC_ANY_INBOUND)
        self.protect = _transform(lib.srtp_protect, out, place)
        self.protect_rtcp = _transform(lib.srtp_protect_rtcp, out, place)
        self._unprotect = _transform(lib.srtp_unprotect, into, place)
        self._unprotect_rtcp = _transform(lib.srtp_unprotect_rtcp, into, place)

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


def _transform(function: Any, session: Any, place: Any) -> Transform:
    """One of libsrtp's four, which work in place. It raises `Error` for what libsrtp refuses.

    `pylibsrtp.Session` has the same, at twice the cost of the cryptography in a packet of audio.
    """
    handle = session[0]
    held = ffi.buffer(place)
    length = ffi.new("int *")

    def transform(packet: bytes, _kept: object = session) -> bytes:  # the handle is good while the session is kept
        size = len(packet)
        if size > LONGEST:
            raise Error("the packet is too long")
        held[:size] = packet
        length[0] = size
        if function(handle, place, length):
            raise Error("libsrtp refused the packet")
        transformed: bytes = held[: length[0]]
        return transformed

    return transform


def _session(key: bytes, profile: str, ssrc_type: int) -> Any:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    session = ffi.new("srtp_t *")
    if lib.srtp_create(session, policy._policy):
        raise Error("libsrtp refused the keys")
    return ffi.gc(session, lambda created: lib.srtp_dealloc(created[0]))
