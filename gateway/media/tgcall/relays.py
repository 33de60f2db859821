"""Relays as ICE paths: the protocol of a relay, joined with the way packets get to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from .candidate import Candidate, candidate_priority
from .model import Address, PathKind
from .sockets import TcpStream

log = structlog.get_logger(__name__)


class RelayClient(Protocol):
    """What TURN and reflectors have in common."""

    kind: PathKind

    @property
    def ready(self) -> bool: ...

    def start(self, now: float) -> None: ...

    def poll(self, now: float) -> float: ...

    def receive(self, packet: bytes, now: float) -> tuple[Address, bytes] | None: ...

    def send_to(self, peer: Address, data: bytes, now: float) -> None: ...

    def candidate(self, local_preference: int) -> Candidate | None: ...

    def reaches(self, address: Address) -> bool: ...

    def seen_as(self, source: Address) -> Address: ...

    def close(self) -> None: ...


class RelayPath:
    """A relay that ICE can send by, once it is ready.

    Attributes:
        offered: Whether ICE and the peer were told of it.
    """

    candidate_kind = "relay"

    def __init__(self, client: RelayClient, local_preference: int, clock: Callable[[], float]) -> None:
        self.client = client
        self.kind = client.kind
        self.priority = candidate_priority("relay", local_preference)
        self.offered = False
        self.reaches = client.reaches
        self.seen_as = client.seen_as
        self._local_preference = local_preference
        self._clock = clock

    @property
    def candidate(self) -> Candidate | None:
        return self.client.candidate(self._local_preference)

    def send(self, data: bytes, to: Address) -> None:
        self.client.send_to(to, data, self._clock())


class RelayStream:
    """The TCP connection to a relay.

    Args:
        server: Where it is.
        split: Takes whole packets out of what arrived; raises `ValueError` if it makes no sense.
        opened, heard, closed: Called when it stands, with each packet, and if it ends by itself.
    """

    def __init__(
        self,
        server: Address,
        split: Callable[[bytearray], list[bytes]],
        opened: Callable[[], None],
        heard: Callable[[bytes], None],
        closed: Callable[[], None],
    ) -> None:
        self._split = split
        self._heard = heard
        self._closed = closed
        self._arrived = bytearray()
        self._stream = TcpStream(server, opened, self._read, closed)
        self.send = self._stream.send
        self.close = self._stream.close

    def _read(self, data: bytes) -> None:
        self._arrived += data
        try:
            packets = self._split(self._arrived)
        except ValueError as error:
            log.info("a relay's stream made no sense", reason=str(error))
            self._stream.close()
            self._closed()
            return
        for packet in packets:
            self._heard(packet)
