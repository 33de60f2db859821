"""Whether a line is whole: every value of its grammar, and all together possible. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from gateway.call.model import Line, LineKind, Transport
from gateway.provisioning import grammar
from gateway.provisioning.grammar import GrammarError

#: What each kind must have, beyond what all have.
_NEEDED: Final = {
    LineKind.PBX_REGISTERS: ("password",),
    LineKind.WE_REGISTER: ("login", "password", "host"),
    LineKind.TRUNK: ("host",),
}
#: What each kind has no use for: it would be stored, and forgotten, and found again years later.
_USELESS: Final = {
    LineKind.PBX_REGISTERS: ("host", "port", "proxy", "header"),
    LineKind.WE_REGISTER: ("trusted", "header"),
    LineKind.TRUNK: ("login", "password", "proxy"),
}
_OPTIONAL: Final = ("login", "password", "host", "port")


def checked(line: Line) -> Line:
    """The line with every value in its one true form, and the login that follows from its id.

    Raises:
        GrammarError: Its text begins with the field's name.
    """
    values: dict[str, Any] = {}
    for field, parse in grammar.FIELDS.items():
        value = getattr(line, field)
        if field in _OPTIONAL and not value:
            continue
        try:
            values[field] = parse(_as_text(field, value))
        except GrammarError as error:
            raise GrammarError(f"{field}: {error}") from error
    line = dataclasses.replace(line, **values)
    for field in _NEEDED[line.kind]:
        if not getattr(line, field):
            raise GrammarError(f"{field}: a line of the kind {line.kind.value} needs one.")
    for field in _USELESS[line.kind]:
        if getattr(line, field):
            raise GrammarError(f"{field}: a line of the kind {line.kind.value} has none.")
    if line.kind is LineKind.PBX_REGISTERS and line.id:
        if line.login not in ("", line.endpoint):
            raise GrammarError(f"login: the PBX registers as {line.endpoint}; it can't be another name.")
        line = dataclasses.replace(line, login=line.endpoint)
    if line.srtp and line.transport is not Transport.TLS:
        raise GrammarError("srtp: SRTP needs the transport tls, because its keys travel in the signalling.")
    if line.header and not (line.trusted or is_address(line.host)):
        raise GrammarError("trusted: a line known by a header needs the PBX's IP addresses, such as “203.0.113.5”.")
    return line


def clash(line: Line, others: Iterable[Line]) -> Line | None:
    """A trunk among `others` whose calls could not be told from this one's; None if there is none."""
    if line.kind is not LineKind.TRUNK:
        return None
    for other in others:
        if other.kind is not LineKind.TRUNK or other.id == line.id:
            continue
        if line.header.lower() != other.header.lower():
            continue
        if line.header or line.host == other.host or _overlap(line, other):
            return other
    return None


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def sources(line: Line) -> tuple[str, ...]:
    """Where a trunk's calls come from: its host, and the trusted addresses and subnets."""
    return tuple(dict.fromkeys((line.host, *line.trusted)))


def _overlap(line: Line, other: Line) -> bool:
    mine, theirs = (
        [ipaddress.ip_network(source) for source in sources(one) if is_address(source.partition("/")[0])]
        for one in (line, other)
    )
    return any(a.version == b.version and a.overlaps(b) for a in mine for b in theirs)


def _as_text(field: str, value: Any) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case tuple():
            return ("\n" if field in ("caller_ids", "caller_names") else ",").join(str(one) for one in value)
        case _:
            return str(value)
