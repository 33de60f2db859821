"""The ports that SIP is taken on: checked before Asterisk starts, because it starts without those it can't have."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import GatewayError


class TakenError(GatewayError):
    """A port is not to be had; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class SipPorts:
    """None: the transport is not offered."""

    udp: int | None
    tcp: int | None
    tls: int | None

    def settle(self, host: str) -> SipPorts:
        """Replace each 0 by a free port."""
        udp = free_port(host, socket.SOCK_DGRAM) if self.udp == 0 else self.udp
        tcp, tls = (free_port(host) if port == 0 else port for port in (self.tcp, self.tls))
        return SipPorts(udp, tcp, tls)

    def check_free(self, host: str) -> None:
        """Raises `TakenError` for the first port that another program holds."""
        for name, kind, port in self._offered():
            try:
                with _bound(host, port, kind):
                    pass
            except OSError as error:
                raise TakenError(
                    f"SIP over {name.upper()} can't use {host}:{port}: {(error.strerror or '').lower()}. Stop the other"
                    f" program, or choose another port by SIPTG_ASTERISK__{name.upper()}_PORT."
                ) from error

    def fields(self) -> dict[str, int]:
        """For a log event."""
        return {name: port for name, _, port in self._offered()}

    def _offered(self) -> Iterator[tuple[str, socket.SocketKind, int]]:
        for name, kind, port in (
            ("udp", socket.SOCK_DGRAM, self.udp),
            ("tcp", socket.SOCK_STREAM, self.tcp),
            ("tls", socket.SOCK_STREAM, self.tls),
        ):
            if port is not None:
                yield name, kind, port


def free_port(host: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody holds just now."""
    with _bound(host, 0, kind) as bound:
        return int(bound.getsockname()[1])


@contextlib.contextmanager
def _bound(host: str, port: int, kind: socket.SocketKind) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as one:
        if kind is socket.SOCK_STREAM:
            # As Asterisk does: connections that are still dying after a restart don't hold the port.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        yield one


def own_address() -> str:
    """The address by which others reach this host; loopback without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: the kernel only chooses the way (RFC 5737)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
