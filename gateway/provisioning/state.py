"""How a line is doing, from what Asterisk tells of it. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.call.model import Line, LineKind
from gateway.provisioning import grammar
from gateway.provisioning.render import Section


class LineHealth(enum.StrEnum):
    OFF = "off"  # switched off
    WAITING = "waiting"  # nothing is known yet: Asterisk is not reached, or the PBX has not answered yet
    UP = "up"
    DOWN = "down"  # calls won't go through; `detail` says why
    REFUSED = "refused"  # Asterisk does not take the line; `detail` says why


@dataclass(frozen=True, slots=True)
class LineState:
    """How a line is doing.

    Attributes:
        detail: A sentence for a person; the PBX's last error in words when it is down.
        rtt_ms: How long the PBX took to answer, where it was asked.
        warning: A sentence about what goes wrong beside that.
    """

    health: LineHealth
    detail: str = ""
    rtt_ms: float | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a line's PBX is, and whether it answers there: Asterisk's words for a contact."""

    uri: str
    status: str  # "Reachable", "Unreachable", "NonQualified", …
    rtt_ms: float | None = None

    @property
    def place(self) -> str:
        """The host and port of its URI."""
        return self.uri.partition(":")[2].partition(";")[0].rpartition("@")[2]


OFF: Final = LineState(LineHealth.OFF, "The line is switched off.")
ASTERISK_AWAY: Final = LineState(
    LineHealth.WAITING, "Asterisk is not reached; the line will be applied when it is back."
)

#: What a PBX means by refusing a REGISTER. Source: RFC 3261 §10.3, §21.
_MEANINGS: Final[Mapping[int, str]] = {
    401: "it does not accept the login or the password",
    403: "it forbids the registration: a wrong login or password, or its rules",
    404: "it does not know the login",
    405: "it takes no registrations there",
    407: "it does not accept the login or the password",
    408: "it does not answer",
    423: "it wants a longer registration than we ask for",
    480: "it is not available now",
    488: "it does not accept what we offer",
    500: "it has a fault of its own",
    503: "it is overloaded or being maintained",
    603: "it declines",
}

#: Source: res_pjsip_outbound_registration.c (handle_registration_response); no AMI event tells the code.
_LOGGED: Final = re.compile(
    r"(?:Temporal response '(?P<a>\d+)'|(?P<b>403) Forbidden fatal response|'(?P<c>\d+)' fatal response"
    r"|Fatal response '(?P<d>\d+)'|(?P<none>No response)) received from '(?P<server>[^']*)'"
    r" on registration attempt to '(?P<client>[^']*)'"
)


def state_of(line: Line, contacts: Iterable[Contact], registration: str, complaint: str) -> LineState:
    """How a line that Asterisk runs is doing.

    Args:
        registration: The status of our registration with the PBX, as Asterisk says it; empty if there is none yet.
        complaint: Why the last attempt to register failed, in a sentence; empty if none did.
    """
    if line.kind is LineKind.WE_REGISTER:
        return _registering(line, registration, complaint)
    known = tuple(contacts)
    answering = [contact for contact in known if contact.status not in ("Unreachable", "NonQualified", "Unknown")]
    if line.kind is LineKind.PBX_REGISTERS:
        if not known:
            return LineState(LineHealth.DOWN, complaint or f"The PBX has not registered as {line.endpoint}.")
        place = known[0].place
        if known[0].status == "Unreachable":
            return LineState(LineHealth.DOWN, f"The PBX registered from {place}, but does not answer there.")
        return LineState(LineHealth.UP, f"The PBX is registered from {place}.", known[0].rtt_ms)
    place = grammar.join(line.host, line.port)
    if answering:
        return LineState(LineHealth.UP, f"The PBX answers at {place}.", answering[0].rtt_ms)
    if any(contact.status == "Unreachable" for contact in known):
        return LineState(LineHealth.DOWN, f"The PBX does not answer at {place} over {line.transport.value.upper()}.")
    return LineState(LineHealth.WAITING, f"The PBX at {place} is being asked.")


def _registering(line: Line, registration: str, complaint: str) -> LineState:
    place = grammar.join(line.host, line.port)
    match registration:
        case "Registered":
            return LineState(LineHealth.UP, f"Registered with {place} as {line.login}.")
        case "Rejected" | "Stopped":
            return LineState(LineHealth.DOWN, complaint or f"{place} refuses the registration, or does not answer.")
        case _:
            return LineState(LineHealth.WAITING, f"Registering with {place} as {line.login}.")


def registration_complaint(log_lines: Iterable[str], registration: Section) -> str:
    """What the PBX last answered to a REGISTER, found in Asterisk's log; empty if it is not there."""
    wanted = (registration.get("server_uri"), registration.get("client_uri"))
    last: re.Match[str] | None = None
    for line in log_lines:
        if (found := _LOGGED.search(line)) and (found["server"], found["client"]) == wanted:
            last = found
    if last is None:
        return ""
    place = wanted[0].removeprefix("sip:").partition(";")[0]
    if last["none"]:
        return f"{place} does not answer the registration."
    code = int(last["a"] or last["b"] or last["c"] or last["d"])
    return f"{place} answers the registration with SIP {code}: {_MEANINGS.get(code, 'no reason is known')}."
