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
        tell: Given a trunk, and why a call was not known as one of its own, in a sentence.
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
        complaints = [(line, why) for line in self._lines() if (why := complaint(line, source))]
        if complaints and session not in self._challenged:
            later = asyncio.get_running_loop().call_later
            self._challenged[session] = later(LOGIN_S, self._unknown, session, complaints)

    def _unknown(self, session: str, complaints: Iterable[tuple[Line, str]]) -> None:
        self._challenged.pop(session, None)
        for line, why in complaints:
            self._tell(line, why)


def source_of(event: Fields) -> str:
    """The host in "IPV4/UDP/192.0.2.1/5060"; empty if there is none."""
    return "/".join(event.get("remoteaddress", "").split("/")[2:3])


def complaint(line: Line, source: str) -> str:
    """Why a call from there was not known as the trunk's; empty where it was hardly meant to be."""
    stranger = _address(source)
    if line.kind is not LineKind.TRUNK or not line.enabled or stranger is None:
        return ""
    if line.header:
        own = any(stranger in ip_network(one) for one in sources(line) if _address(one.partition("/")[0]))
        return f"A call from {source} was refused: it does not have the header “{line.header}”." if own else ""
    return wrong_address(source) if any(_is_near(stranger, one) for one in sources(line)) else ""


def wrong_address(source: str) -> str:
    return (
        f"A call from {source} was refused: it is not one of the line's addresses. If it is your PBX's, add it to the"
        " trusted IPs."
    )


def _is_near(stranger: IPv4Address | IPv6Address, known: str) -> bool:
    own = _address(known.partition("/")[0])
    if own is None or own.version != stranger.version:
        return False
    return stranger in ip_network(f"{own}/{_NEIGHBOURHOOD[own.version]}", strict=False)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
