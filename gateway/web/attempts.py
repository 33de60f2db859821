"""How often an address has failed lately. Pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

#: Who mistypes, or opens an old link, needs a few.
FAILURES: Final = 20
WINDOW_S: Final = 600.0
#: More addresses than attack a small gateway; the oldest are forgotten first.
ADDRESSES: Final = 10_000


class Attempts:
    """Failures by address, each forgotten in time."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def failed(self, address: str, now: float) -> None:
        found = self._lately(address, now)
        self._failed[address] = [*found, now][-FAILURES:]
        self._failed.move_to_end(address)
        while len(self._failed) > ADDRESSES:
            self._failed.popitem(last=False)

    def too_many(self, address: str, now: float) -> bool:
        return len(self._lately(address, now)) >= FAILURES

    def _lately(self, address: str, now: float) -> list[float]:
        return [at for at in self._failed.get(address, ()) if at > now - WINDOW_S]


def client_address(peer: str, forwarded_for: str) -> str:
    """Who asks: the peer, or whom a proxy on loopback or in a private network says that it asks for.

    The proxy adds whom it sees at the end; what stands before came from outside, and may be anything. Of IPv6 the
    network is taken, since a host has as many addresses as it likes.

    Source: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For, RFC 4291 §2.5.4.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.is_private and forwarded_for:
        try:
            address = ipaddress.ip_address(forwarded_for.rpartition(",")[2].strip())
        except ValueError:
            return peer
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
