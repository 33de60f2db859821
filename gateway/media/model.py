"""Words of the audio path that the node, the worker and the centre share. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class AudioFormat(enum.StrEnum):
    """What travels between Asterisk and a worker: the codec of the PBX leg, so that nobody transcodes.

    Source: RFC 3551 §6 (static payload types; the RTP clock of G722 is 8000 although it samples at 16000).
    """

    ULAW = "ulaw"
    ALAW = "alaw"
    G722 = "g722"

    @property
    def payload_type(self) -> int:
        return {AudioFormat.ULAW: 0, AudioFormat.ALAW: 8, AudioFormat.G722: 9}[self]

    @property
    def rate_hz(self) -> int:
        """The rate of the audio itself, at which the engine runs as well."""
        return 16000 if self is AudioFormat.G722 else 8000


@dataclass(frozen=True, slots=True)
class RtpAddress:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class EngineServer:
    """A server through which a Telegram call may find its path.

    Source: https://core.telegram.org/constructor/phoneConnectionWebrtc (username, password, turn, stun) and
    https://core.telegram.org/constructor/phoneConnection (a reflector: peer_tag, tcp).
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


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """What the engine needs to connect one call, once both ends hold the key.

    Attributes:
        key: 256 bytes, the result of the key exchange.
        outgoing: Whether we are the caller.
        versions: `library_versions` of the established phoneCall's protocol.
        spare_for: How the best engine failed with this peer, so that the spare one shall be used, where there is one.
    """

    key: bytes = field(repr=False)
    outgoing: bool
    servers: tuple[EngineServer, ...]
    versions: tuple[str, ...]
    p2p_allowed: bool
    custom_parameters: str | None = None
    spare_for: str = ""


@dataclass(slots=True)
class DirectionCounters:
    """One direction of one call, counted in the path.

    Attributes:
        packets: RTP packets received; of an engine that does not count them, its frames.
        first_ms: When the first one came, from when it could have been passed on.
        lost: Packets that never came, by sequence number or timestamp.
        late: Packets that came too late to be used.
        concealed_ms: Audio made up for lost packets.
        filled_ms: Silence sent because nothing came.
        dropped_ms: Audio thrown away to keep the delay down.
        ignored: Datagrams that were none of this call's audio: rubbish, strangers.
    """

    packets: int = 0
    first_ms: int | None = None
    lost: int = 0
    late: int = 0
    concealed_ms: int = 0
    filled_ms: int = 0
    dropped_ms: int = 0
    ignored: int = 0


@dataclass(slots=True)
class MediaReport:
    """What the audio of one call was like.

    Attributes:
        engine: The Telegram media engine that carried it.
        spare_for: How the other one, of first choice, had failed with this user; empty if it had not.
        path: "direct", "relay" or "reflector", where the engine knows.
        rtt_ms, loss_sent, loss_received: From the engine, where it knows; losses are 0..1.
        counted: False: the worker died, and its counters with it. The zeros here mean nothing then.
    """

    to_telegram: DirectionCounters = field(default_factory=DirectionCounters)
    to_sip: DirectionCounters = field(default_factory=DirectionCounters)
    engine: str = ""
    spare_for: str = ""
    version: str = ""
    path: str = ""
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    loss_sent: float | None = None
    loss_received: float | None = None
    counted: bool = True
