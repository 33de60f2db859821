"""Calls that no line was known by: very likely those of a trunk's PBX, from another of its addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from gateway.call.model import Line, LineKind
from gateway.provisioning.ami import Fields
from gateway.provisioning.check import sources

#: A PBX that has a login comes back with it at once, and is known then.
LOGIN_S: Final = 2.0
#: A line is told of strangers in its own neighbourhood alone: whoever calls from elsewhere is a scanner, or another
#: administrator's, whom he has no business to know of.
_NEIGHBOURHOOD: Final = {4: 24, 6: 64}


class Strangers:
    """Hears Asterisk's security events, and says which trunk a stranger may be of.

    Args:
        lines: The lines as they are now.
        tell: Given a trunk, and the address that it is not known by.
    """

    def __init__(self, lines: Callable[[], Iterable[Line]], tell: Callable[[Line, str], None]) -> None:
        self._lines = lines
        self._tell = tell
        self._challenged: dict[str, asyncio.TimerHandle] = {}

    def close(self) -> None:
        for timer in self._challenged.values():
            timer.cancel()
        self._challenged.clear()

    def hear(self, event: Fields) -> None:
        session = event.get("sessionid", "")
        if event.get("event") != "ChallengeSent" or event.get("accountid") != "<unknown>":
            if (timer := self._challenged.pop(session, None)) is not None:
                timer.cancel()
            return
        source = source_of(event)
        near = [line for line in self._lines() if is_near(line, source)]
        if near and session not in self._challenged:
            later = asyncio.get_running_loop().call_later
            self._challenged[session] = later(LOGIN_S, self._unknown, session, near, source)

    def _unknown(self, session: str, lines: Iterable[Line], source: str) -> None:
        self._challenged.pop(session, None)
        for line in lines:
            self._tell(line, source)


def source_of(event: Fields) -> str:
    """The host in "IPV4/UDP/192.0.2.1/5060"; empty if there is none."""
    return "/".join(event.get("remoteaddress", "").split("/")[2:3])


def is_near(line: Line, source: str) -> bool:
    """Whether an address is next to those that a trunk is known by."""
    if line.kind is not LineKind.TRUNK or not line.enabled or line.header:
        return False
    stranger = _address(source)
    known = [_address(one.partition("/")[0]) for one in sources(line)]
    return stranger is not None and any(
        own is not None
        and own.version == stranger.version
        and stranger in ip_network(f"{own}/{_NEIGHBOURHOOD[own.version]}", strict=False)
        for own in known
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
