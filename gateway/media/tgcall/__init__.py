"""A Telegram call engine: private calls of today's apps, audio only, at a telephone's rate.

Own ICE, signalling, SCTP and jitter buffer, around libopus, OpenSSL and libsrtp. It knows nothing of the gateway:

    async with CallEngine() as engine:
        async with engine.call(key=key, outgoing=True, versions=versions, servers=servers,
                               send_signal=send, on_audio=heard) as call:
            await call.connected()
            call.feed(pcm)
"""

from __future__ import annotations

from .call import Call
from .crypto import key_fingerprint
from .engine import CallEngine
from .model import (
    CallState,
    CallStats,
    ConnectError,
    EngineError,
    Failure,
    PathKind,
    Pcm,
    Server,
    UnsupportedError,
)
from .signalling import choose_version, library_versions

__all__ = [
    "Call",
    "CallEngine",
    "CallState",
    "CallStats",
    "ConnectError",
    "EngineError",
    "Failure",
    "PathKind",
    "Pcm",
    "Server",
    "UnsupportedError",
    "choose_version",
    "key_fingerprint",
    "library_versions",
]
