"""Candidates: places where an end may be reached. Pure.

Source: RFC 8445 §5.1.2 (priorities); RFC 8839 §5.1 (the line).
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass
from typing import Final

from .model import Address

#: Source: RFC 8445 §5.1.2.2 (recommended type preferences).
TYPE_PREFERENCE: Final = {"host": 126, "prflx": 110, "srflx": 100, "relay": 2}

_REFLECTOR = re.compile(r"reflector-([0-9]{1,5})-([0-9]{1,10})\.reflector")
_MOST_FIELDS: Final = 40


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place.

    Attributes:
        kind: "host", "srflx", "prflx" or "relay".
        related: Where the address was seen from, for what is not a host's own.
    """

    kind: str
    address: Address
    priority: int
    related: Address | None = None

    def line(self, ufrag: str) -> str:
        base = self.related[0] if self.related else self.address[0]
        foundation = zlib.crc32(f"{self.kind} {base}".encode())
        host, port = self.address
        related = f" raddr {self.related[0]} rport {self.related[1]}" if self.related else ""
        return (
            f"candidate:{foundation} 1 udp {self.priority} {host} {port} typ {self.kind}{related}"
            f" generation 0 ufrag {ufrag} network-id 1"
        )


def candidate_priority(kind: str, local_preference: int) -> int:
    """Source: RFC 8445 §5.1.2.1, for component 1.

    Args:
        kind: The candidate's.
        local_preference: 0..65535; more is better among those of one kind.
    """
    return TYPE_PREFERENCE[kind] << 24 | local_preference << 8 | 255


def pair_priority(controlling: int, controlled: int) -> int:
    """Source: RFC 8445 §6.1.2.3."""
    low, high = sorted((controlling, controlled))
    return (low << 32) + 2 * high + (controlling > controlled)


def parse_candidate(line: str, allow_loopback: bool = False) -> Candidate | None:
    """Read a candidate's line; None for one that we can't or won't send to."""
    fields = line.removeprefix("a=").removeprefix("candidate:").split()
    if not 8 <= len(fields) <= _MOST_FIELDS or fields[6] != "typ":
        return None
    _, component, protocol, priority, host, port, _, kind = fields[:8]
    if component != "1" or protocol.lower() != "udp" or kind not in TYPE_PREFERENCE:
        return None
    if not priority.isascii() or not priority.isdigit() or len(priority) > 10 or int(priority) >= 1 << 32:
        return None
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 1 << 16:
        return None
    if reflector_name(host) is None and not sendable(host, allow_loopback):
        return None
    return Candidate(kind, (host, int(port)), int(priority))


def sendable(host: str, allow_loopback: bool) -> bool:
    """Whether a peer may have us send there: a unicast address, without a zone."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    if "%" in host or ip.is_multicast or ip.is_unspecified or host == "255.255.255.255":
        return False
    return allow_loopback or not ip.is_loopback


def reflector_name(host: str) -> tuple[int, int] | None:
    """(server number, tag) of a peer behind a reflector; None for any other host."""
    match = _REFLECTOR.fullmatch(host)
    if match is None or int(match[2]) >= 1 << 32:
        return None
    return int(match[1]), int(match[2])


def is_ip_of(one: Address, other: Address) -> bool:
    """Whether both are of the same family of IP."""
    return (":" in one[0]) == (":" in other[0])
