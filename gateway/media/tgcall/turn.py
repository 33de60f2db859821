"""A TURN client: an allocation on a relay, its channels and refreshes. Pure.

Channels only: binding one also installs the permission, and its header is 4 bytes.

Source: RFC 8656; RFC 8489 §9.2 (long-term credentials).
"""

from __future__ import annotations

import enum
import hashlib
import struct
from collections.abc import Callable
from typing import Final

from . import stun
from .candidate import Candidate, candidate_priority, is_ip_of, reflector_name
from .model import Address, PathKind
from .stun import Attribute, Kind, Method, StunMessage

#: A permission lives for 300 s, a channel for 600 s, an allocation usually for 600 s.
REFRESH_S: Final = 240.0
LIFETIME_S: Final = 600
FIRST_RETRY_S: Final = 0.25
MOST_RETRIES: Final = 6
FIRST_CHANNEL: Final = 0x4000
MOST_CHANNELS: Final = 32
#: Packets kept for a peer whose channel is being bound: a check or two, and the start of a handshake.
MOST_WAITING: Final = 4

_CHANNEL = struct.Struct(">HH")
_UDP: Final = b"\x11\0\0\0"
_UNAUTHORIZED: Final = 401
_STALE_NONCE: Final = 438


class TurnState(enum.Enum):
    ALLOCATING = enum.auto()
    READY = enum.auto()
    FAILED = enum.auto()


class _Request:
    """A request under way, to be repeated until it is answered."""

    def __init__(self, method: Method, peer: Address | None = None) -> None:
        self.method = method
        self.peer = peer
        self.retries = 0
        self.refused = 0
        self.retry_s = FIRST_RETRY_S
        self.due = 0.0


class TurnClient:
    """One allocation.

    Args:
        username, password: Long-term credentials.
        send: Takes each packet for the server.
        over_stream: Pad ChannelData to a multiple of four, as TCP asks for.

    Attributes:
        relayed: Our address on the relay, once it is READY.
        mapped: Our address as the relay sees it.
    """

    kind = PathKind.RELAY

    def __init__(self, username: str, password: str, send: Callable[[bytes], None], over_stream: bool = False) -> None:
        self.state = TurnState.ALLOCATING
        self.relayed: Address | None = None
        self.mapped: Address | None = None
        self._username = username
        self._password = password
        self._send = send
        self._over_stream = over_stream
        self._realm = b""
        self._nonce = b""
        self._key: bytes | None = None
        self._requests: dict[bytes, _Request] = {}
        self._channels: dict[Address, int] = {}
        self._bound: set[int] = set()
        self._peers: dict[int, Address] = {}
        self._waiting: dict[Address, list[bytes]] = {}
        self._refresh_at = float("inf")
        self._rebind_at: dict[Address, float] = {}

    def start(self, now: float) -> None:
        self._ask(_Request(Method.ALLOCATE), now)

    @property
    def ready(self) -> bool:
        return self.state is TurnState.READY

    def candidate(self, local_preference: int) -> Candidate | None:
        if self.relayed is None:
            return None
        return Candidate("relay", self.relayed, candidate_priority("relay", local_preference), self.mapped)

    def reaches(self, address: Address) -> bool:
        if self.relayed is None or reflector_name(address[0]) is not None:
            return False
        return is_ip_of(self.relayed, address)

    def seen_as(self, source: Address) -> Address:
        return source

    def send_to(self, peer: Address, data: bytes, now: float) -> None:
        """Send to a peer through the relay; the first packets wait for the channel."""
        channel = self._channels.get(peer)
        if channel is None:
            if self.state is not TurnState.READY or len(self._channels) >= MOST_CHANNELS:
                return
            channel = FIRST_CHANNEL + len(self._channels)
            self._channels[peer] = channel
            self._peers[channel] = peer
            self._waiting[peer] = [data]
            self._ask(_Request(Method.CHANNEL_BIND, peer), now)
        elif channel in self._bound:
            padding = bytes(-len(data) % 4) if self._over_stream else b""
            self._send(_CHANNEL.pack(channel, len(data)) + data + padding)
        elif len(self._waiting[peer]) < MOST_WAITING:
            self._waiting[peer].append(data)

    def receive(self, data: bytes, now: float) -> tuple[Address, bytes] | None:
        """Take a packet of the server; answer what a peer sent, and which."""
        if len(data) >= _CHANNEL.size and 0x40 <= data[0] <= 0x4F:
            channel, length = _CHANNEL.unpack_from(data)
            peer = self._peers.get(channel)
            if peer is None or _CHANNEL.size + length > len(data):
                return None
            return peer, data[_CHANNEL.size : _CHANNEL.size + length]
        message = stun.parse(data)
        if message is not None and message.kind in (Kind.SUCCESS, Kind.ERROR):
            self._hear(message, now)
        return None

    def poll(self, now: float) -> float:
        """Do what is due; answer when something will be."""
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_S
            self._ask(_Request(Method.REFRESH), now)
        for peer, due in list(self._rebind_at.items()):
            if now >= due:
                self._rebind_at[peer] = now + REFRESH_S
                self._ask(_Request(Method.CHANNEL_BIND, peer), now)
        for transaction, request in list(self._requests.items()):
            if now >= request.due:
                del self._requests[transaction]
                self._repeat(request, now)
        dues = [request.due for request in self._requests.values()]
        return min([self._refresh_at, *self._rebind_at.values(), *dues])

    def close(self) -> None:
        """Give the allocation back, without waiting for a yes."""
        if self.state is TurnState.READY:
            self.state = TurnState.FAILED
            attributes: list[tuple[int, bytes]] = [(Attribute.LIFETIME, bytes(4))]
            self._send(self._build(Method.REFRESH, stun.new_transaction(), attributes))

    # -- requests ------------------------------------------------------------------------------------------------

    def _ask(self, request: _Request, now: float) -> None:
        transaction = stun.new_transaction()
        self._requests[transaction] = request
        request.due = now + request.retry_s
        attributes: list[tuple[int, bytes]] = []
        match request.method:
            case Method.ALLOCATE:
                attributes.append((Attribute.REQUESTED_TRANSPORT, _UDP))
            case Method.REFRESH:
                attributes.append((Attribute.LIFETIME, LIFETIME_S.to_bytes(4, "big")))
            case Method.CHANNEL_BIND if request.peer is not None:
                channel = self._channels[request.peer]
                attributes.append((Attribute.CHANNEL_NUMBER, channel.to_bytes(2, "big") + bytes(2)))
                attributes.append((Attribute.XOR_PEER_ADDRESS, stun.xor_address(request.peer, transaction)))
        self._send(self._build(request.method, transaction, attributes))

    def _build(self, method: Method, transaction: bytes, attributes: list[tuple[int, bytes]]) -> bytes:
        if self._key is not None:
            attributes = [
                *attributes,
                (Attribute.USERNAME, self._username.encode()),
                (Attribute.REALM, self._realm),
                (Attribute.NONCE, self._nonce),
            ]
        return stun.build(method, Kind.REQUEST, transaction, attributes, self._key, fingerprint=False)

    def _repeat(self, request: _Request, now: float) -> None:
        request.retries += 1
        request.retry_s *= 2
        if request.retries > MOST_RETRIES:
            self._refused(request)
        else:
            self._ask(request, now)

    def _hear(self, message: StunMessage, now: float) -> None:
        request = self._requests.get(message.transaction)
        if request is None or request.method != message.method:
            return
        if message.kind == Kind.SUCCESS:
            if self._key is not None and not message.signed_with(self._key):
                return
            del self._requests[message.transaction]
            self._accepted(request, message, now)
            return
        del self._requests[message.transaction]
        nonce = message.attributes.get(Attribute.NONCE)
        request.refused += 1
        if message.error in (_UNAUTHORIZED, _STALE_NONCE) and nonce and request.refused <= 2:
            self._realm = message.attributes.get(Attribute.REALM, self._realm)
            self._nonce = nonce
            secret = b":".join((self._username.encode(), self._realm, self._password.encode()))
            self._key = hashlib.md5(secret, usedforsecurity=False).digest()
            self._ask(request, now)
        else:
            self._refused(request)

    def _accepted(self, request: _Request, message: StunMessage, now: float) -> None:
        match request.method:
            case Method.ALLOCATE:
                self.relayed = message.address(Attribute.XOR_RELAYED_ADDRESS)
                self.mapped = message.address(Attribute.XOR_MAPPED_ADDRESS)
                self.state = TurnState.READY if self.relayed else TurnState.FAILED
                lifetime_s = message.u32(Attribute.LIFETIME) or LIFETIME_S
                self._refresh_at = now + min(REFRESH_S, lifetime_s / 2)
            case Method.CHANNEL_BIND if request.peer is not None:
                self._bound.add(self._channels[request.peer])
                self._rebind_at[request.peer] = now + REFRESH_S
                for data in self._waiting.pop(request.peer, []):
                    self.send_to(request.peer, data, now)

    def _refused(self, request: _Request) -> None:
        if request.method != Method.CHANNEL_BIND:
            self.state = TurnState.FAILED
            self._refresh_at = float("inf")
        elif request.peer is not None:
            # The relay won't send there. Keep the number, so that it is not tried without end.
            self._waiting[request.peer] = []
            self._rebind_at.pop(request.peer, None)
            self._bound.discard(self._channels[request.peer])


def split(arrived: bytearray) -> list[bytes]:
    """Take the whole packets out of what a stream brought. Source: RFC 8489 §6.2.2, RFC 8656 §12.5.

    Raises:
        ValueError: It makes no sense.
    """
    packets = []
    while len(arrived) >= _CHANNEL.size:
        length = int.from_bytes(arrived[2:4], "big")
        if 0x40 <= arrived[0] <= 0x4F:
            size = _CHANNEL.size + length + -length % 4
        elif arrived[0] < 4:
            size = stun.HEADER_BYTES + length
        else:
            raise ValueError("neither STUN nor ChannelData")
        if size > stun.LONGEST:
            raise ValueError(f"a packet of {size} bytes")
        if len(arrived) < size:
            break
        packets.append(bytes(arrived[:size]))
        del arrived[:size]
    return packets
