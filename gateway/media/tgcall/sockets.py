"""Sockets, as callbacks on the running loop: no task, no buffer, no copy more than needed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

from .model import Address

#: No packet of ours or of a peer is longer than a network's MTU.
LONGEST_DATAGRAM: Final = 2048
#: What may wait for a slow relay; past it packets are dropped, as a network would.
MOST_UNSENT_BYTES: Final = 64 * 1024
_MOST_ADDRESSES: Final = 8


class UdpSocket:
    """One socket bound to every address of a family, on a free port.

    Args:
        family: AF_INET or AF_INET6.
        heard: Called with each datagram and its source.

    Raises:
        OSError: The family is not to be had.
    """

    def __init__(self, family: socket.AddressFamily, heard: Callable[[bytes, Address], None]) -> None:
        self._heard = heard
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind(("", 0))
            self.port: int = self._socket.getsockname()[1]
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket, self._read)
        except OSError:
            self._socket.close()
            raise
        self._receive = self._socket.recvfrom
        self._sendto = self._socket.sendto

    def send(self, data: bytes, to: Address) -> None:
        try:  # noqa: SIM105  # `suppress` costs as much as all else here
            self._sendto(data, to)
        except OSError:
            pass  # a full buffer or an unreachable host loses it; what must arrive is repeated above

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        """Take one datagram: the loop comes again for the next, and one call does not starve the others."""
        try:
            data, source = self._receive(LONGEST_DATAGRAM)
        except OSError:
            return  # nothing there after all, or an ICMP error of an earlier packet
        self._heard(data, source[:2])


class TcpStream:
    """A connection to a relay.

    Args:
        server: Where to.
        opened: Called once it stands.
        heard: Called with what arrives, in pieces of any size.
        closed: Called once, if it could not be made, or when it ends other than by `close`.
    """

    def __init__(
        self,
        server: Address,
        opened: Callable[[], None],
        heard: Callable[[bytes], None],
        closed: Callable[[], None],
    ) -> None:
        self._opened = opened
        self._heard = heard
        self._closed = closed
        self._unsent = bytearray()
        self._standing = False
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                self._socket.connect(server)
            self._loop.add_writer(self._socket, self._write)
        except OSError:
            # Told later, so that whoever makes the stream has it in hand by then.
            self._loop.call_soon(self._end)

    def send(self, data: bytes) -> None:
        if not self._standing or len(self._unsent) + len(data) > MOST_UNSENT_BYTES:
            return
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._loop.call_soon(self._end)
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._socket, self._write)
        self._unsent += data

    def close(self) -> None:
        self._closed = _nobody
        self._end()

    def _write(self) -> None:
        try:
            if not self._standing:
                error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, "connect")
                self._standing = True
                self._loop.add_reader(self._socket, self._read)
                self._loop.remove_writer(self._socket)
                self._opened()
                return
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(16 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard(data)
        else:
            self._end()

    def _end(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._standing = False
        closed, self._closed = self._closed, _nobody
        closed()


def _nobody() -> None:
    """Who is told of an end that we made ourselves."""


# -- this host's own addresses -------------------------------------------------------------------------------------

_NLMSG = struct.Struct("=LHHLL")
_IFADDRMSG = struct.Struct("=BBBBL")
_RTATTR = struct.Struct("=HH")
_RTM_GETADDR: Final = 22
_RTM_NEWADDR: Final = 20
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLM_F_REQUEST_DUMP: Final = 0x301
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
#: Tentative, deprecated, or failed: not to be used.
_IFA_F_UNUSABLE: Final = 0x40 | 0x20 | 0x08


def local_addresses(allow_loopback: bool) -> list[str]:
    """The addresses of this host that a peer may reach, the IPv4 ones first; as they were a second ago at most."""
    return _usable(_addresses(int(time.monotonic())), allow_loopback)


@functools.lru_cache(maxsize=1)
def _addresses(_second: int) -> list[str]:
    """Asked for once in each second: many calls may begin at the same time."""
    try:
        return _addresses_of_interfaces()
    except OSError:
        return _addresses_of_routes()  # a hardened service may have no netlink


def _addresses_of_interfaces() -> list[str]:
    """Source: rtnetlink(7), RTM_GETADDR."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(1.0)
        body = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        netlink.send(_NLMSG.pack(_NLMSG.size + len(body), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + body)
        found = []
        done = False
        while not done:
            for kind, message in _netlink_messages(netlink.recv(64 * 1024)):
                done = done or kind in (_NLMSG_DONE, _NLMSG_ERROR)
                if kind == _RTM_NEWADDR and (address := _netlink_address(message)):
                    found.append(address)
    return found


def _addresses_of_routes() -> list[str]:
    """From where packets to the world would come; connecting a UDP socket sends none.

    Source: RFC 5737 and RFC 3849 (addresses of nobody).
    """
    found = []
    for family, nobody in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((nobody, 9))
            found.append(probe.getsockname()[0])
    return found


def _usable(found: list[str], allow_loopback: bool) -> list[str]:
    addresses = sorted((ipaddress.ip_address(address) for address in found), key=lambda ip: ip.version)
    usable = [ip for ip in addresses if not ip.is_link_local and (allow_loopback or not ip.is_loopback)]
    return [str(ip) for ip in usable][:_MOST_ADDRESSES]


def _netlink_messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _NLMSG.size <= len(data):
        length, kind, *_ = _NLMSG.unpack_from(data, at)
        if length < _NLMSG.size:
            return
        yield kind, data[at + _NLMSG.size : at + length]
        at += length + -length % 4


def _netlink_address(message: bytes) -> str | None:
    family, _, flags, _, _ = _IFADDRMSG.unpack_from(message)
    if family not in (socket.AF_INET, socket.AF_INET6) or flags & _IFA_F_UNUSABLE:
        return None
    attributes: dict[int, bytes] = {}
    at = _IFADDRMSG.size
    while at + _RTATTR.size <= len(message):
        length, kind = _RTATTR.unpack_from(message, at)
        if length < _RTATTR.size:
            break
        attributes[kind] = message[at + _RTATTR.size : at + length]
        at += length + -length % 4
    # On a point-to-point link IFA_ADDRESS is the other end's.
    value = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    return socket.inet_ntop(family, value) if value else None
