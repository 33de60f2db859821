"""SRTP: audio and its reports, encrypted. A thin room around libsrtp.

Source: RFC 3711; RFC 7714 (GCM).
"""

from __future__ import annotations

from typing import Final

from pylibsrtp import Error, Policy, Session

from .dtls import SrtpKeys

_PROFILES: Final = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
#: Packets older than this are replays: over a second of 20 ms packets, past any jitter buffer.
REPLAY_WINDOW: Final = 128
#: libsrtp's buffer is 1500 bytes, with room for its trailer.
LONGEST: Final = 1350


class Srtp:
    """Both directions. `unprotect…` answers None for what is not the peer's, or comes again."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._out = _session(keys.ours, keys.profile.name, Policy.SSRC_ANY_OUTBOUND)
        self._in = _session(keys.theirs, keys.profile.name, Policy.SSRC_ANY_INBOUND)
        self.protect = self._out.protect
        self.protect_rtcp = self._out.protect_rtcp

    def unprotect(self, packet: bytes) -> bytes | None:
        try:
            return self._in.unprotect(packet) if len(packet) <= LONGEST else None
        except Error:
            return None

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        try:
            return self._in.unprotect_rtcp(packet) if len(packet) <= LONGEST else None
        except Error:
            return None


def _session(key: bytes, profile: str, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    return Session(policy)
