"""Words that every part of the engine shares. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

#: Mono, signed 16 bit, at the call's own rate.
Pcm = npt.NDArray[np.int16]

#: A host and a port. The host is an IP literal, or a reflector's name for a peer ("reflector-1-99.reflector").
Address = tuple[str, int]

#: One frame is what is sent in a packet, and what is delivered at a tick.
FRAME_MS = 20

#: Opus counts its RTP time at 48 kHz, whatever rate it codes.
#: Source: RFC 7587 §4.1.
RTP_CLOCK_HZ = 48_000


class CallState(enum.StrEnum):
    CONNECTING = "connecting"  # no audio yet
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"  # the path is silent; another one is looked for
    FAILED = "failed"  # for good; `Call.failed` says why
    CLOSED = "closed"  # by us


class PathKind(enum.StrEnum):
    """How packets reach the peer; earlier is better."""

    DIRECT = "direct"
    RELAY = "relay"  # a TURN server
    REFLECTOR = "reflector"  # Telegram's own relays


class Failure(enum.StrEnum):
    """Why a call can't go on."""

    NO_PATH = "no path to the peer was found"
    NO_HANDSHAKE = "the secure channel could not be made"
    NO_AUDIO_AGREED = "the peer did not agree on audio"
    WRONG_CERTIFICATE = "the peer's certificate is not the one it announced"
    PATH_LOST = "the path to the peer fell silent"
    PEER_CLOSED = "the peer closed the call"


class EngineError(Exception):
    """Something foreseen went wrong; its text is a sentence for a person."""


class UnsupportedError(EngineError):
    """The peer, or the call's parameters, ask for a protocol that we don't speak."""


class ConnectError(EngineError):
    """The call could not be connected, or was closed while connecting."""

    def __init__(self, failure: Failure | None) -> None:
        super().__init__(failure.value if failure else "the call was closed")
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Server:
    """A server through which a call may find its path.

    Attributes:
        id: Reflectors are numbered by the order of their ids.
        ipv4, ipv6: Literals; either may be empty.
        username, password: Of a STUN or TURN server.
        peer_tag: Of a reflector: 16 bytes. What has one is a reflector.
        tcp: Reach it by TCP.

    Source: https://core.telegram.org/constructor/phoneConnectionWebrtc and
    https://core.telegram.org/constructor/phoneConnection.
    """

    id: int
    ipv4: str
    ipv6: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    peer_tag: bytes | None = field(default=None, repr=False)
    turn: bool = False
    stun: bool = False
    tcp: bool = False


@dataclass(slots=True)
class CallStats:
    """What a call is like from the inside. Counters run from its start.

    Attributes:
        version: The protocol version spoken with the peer.
        path: None until there is one.
        local_candidate, remote_candidate: Their kinds ("host", "srflx", "prflx", "relay").
        first_heard_ms: When the first packet came, from the connection on.
        rtt_ms: Of the media, by RTCP; of the path's checks until there is one.
        jitter_ms: Of what arrives, as RFC 3550 §6.4.1 has it.
        loss_received, loss_sent: 0..1, over the last reporting interval.
        lost, late, duplicate: Packets that never came, came too late to be played, came twice.
        concealed_ms: Audio made up for what was lost or late.
        restored_ms: Audio taken from forward error correction.
        idle_ms: Silence because the peer sent nothing, on purpose.
        dropped_ms, inserted_ms: Audio taken out or stretched to hold the delay.
        buffer_ms: What the jitter buffer holds back, on average, at the moment.
        peer_muted: As the peer last said; None if it never did.
        ignored: Packets from unknown sources, of wrong keys, or malformed.
    """

    state: CallState
    version: str
    path: PathKind | None = None
    local_candidate: str = ""
    remote_candidate: str = ""
    srtp_profile: str = ""
    connect_ms: float | None = None
    first_heard_ms: int | None = None
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    loss_received: float | None = None
    loss_sent: float | None = None
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    concealed_ms: int = 0
    restored_ms: int = 0
    idle_ms: int = 0
    dropped_ms: int = 0
    inserted_ms: int = 0
    buffer_ms: float = 0.0
    bitrate: int = 0
    peer_muted: bool | None = None
    path_changes: int = 0
    signals_sent: int = 0
    signals_received: int = 0
    ignored: int = 0
