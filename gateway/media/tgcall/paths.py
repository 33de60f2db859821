"""What ICE needs to know of a way out of this host."""

from __future__ import annotations

from typing import Protocol

from .model import Address, PathKind


class Path(Protocol):
    """A way to send to many addresses: a socket of our own, a TURN allocation, a reflector."""

    @property
    def kind(self) -> PathKind: ...

    @property
    def priority(self) -> int:
        """Of its best candidate."""

    @property
    def candidate_kind(self) -> str: ...

    def reaches(self, address: Address) -> bool:
        """Whether it makes sense to send there by this path."""

    def send(self, data: bytes, to: Address) -> None:
        """Send a packet, or drop it: never waits, never raises."""

    def seen_as(self, source: Address) -> Address:
        """What to tell a peer its address is, when it was heard from `source` on this path."""
