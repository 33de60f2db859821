"""The network of one call: its sockets, its relays, and ICE over all of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from . import reflector, stun, turn
from .candidate import Candidate, candidate_priority, parse_candidate, reflector_name
from .ice import Credentials, IceAgent, Pair
from .model import Address, PathKind, Server
from .paths import Path
from .reflector import ReflectorClient
from .relays import RelayClient, RelayPath, RelayStream
from .sockets import UdpSocket, local_addresses
from .stun import Attribute, Kind, Method
from .turn import TurnClient

log = structlog.get_logger(__name__)

#: Where UDP relays are to be had as well, TCP is tried only when nothing else has worked for so long.
TCP_AFTER_S: Final = 1.5
#: A relay by TCP is worse than the same by UDP.
UDP_PREFERENCE: Final = 32_768
TCP_PREFERENCE: Final = 0
STUN_AT_S: Final = (0.0, 0.3, 0.9, 2.1)
MOST_SERVERS: Final = 16


class DirectPath:
    """A socket of our own."""

    kind = PathKind.DIRECT
    candidate_kind = "host"
    priority = candidate_priority("host", 65_535)

    def __init__(self, family: socket.AddressFamily, heard: Callable[[DirectPath, bytes, Address], None]) -> None:
        self.family = family
        self.socket = UdpSocket(family, functools.partial(heard, self))
        self.send = self.socket.send

    def reaches(self, address: Address) -> bool:
        return reflector_name(address[0]) is None and _family(address) == self.family

    def seen_as(self, source: Address) -> Address:
        return source


@dataclass(slots=True)
class _StunServer:
    """A server that is asked how it sees us, some times or until it answers."""

    path: DirectPath
    address: Address
    due: list[float]


class Transport:
    """Finds a path to the peer and carries packets over it.

    Args:
        controlling: We are the caller.
        allow_loopback: Use this host's loopback addresses as well, and let the peer have us send there.
        found: Called with our candidates, as they are found.
        chosen: Called when the selected pair has changed.
        heard_dtls: Called with each DTLS packet of the peer.
        heard_media: Called with each RTP and RTCP packet, and the pair on which it came; SRTP has to prove both.

    Attributes:
        ignored: Packets of unknown sources.
    """

    def __init__(
        self,
        controlling: bool,
        allow_loopback: bool,
        found: Callable[[list[Candidate]], None],
        chosen: Callable[[], None],
        heard_dtls: Callable[[bytes], None],
        heard_media: Callable[[bytes, Pair], None],
    ) -> None:
        self.ice = IceAgent(controlling)
        self.ignored = 0
        self.selected: Pair | None = None
        self._allow_loopback = allow_loopback
        self._found = found
        self._chosen = chosen
        self._heard_dtls = heard_dtls
        self._heard_media = heard_media
        self._clock = asyncio.get_running_loop().time
        self._direct: dict[socket.AddressFamily, DirectPath] = {}
        self._relays: list[RelayPath] = []
        self._udp_relays: dict[Address, RelayPath] = {}
        self._streams: dict[RelayPath, RelayStream] = {}
        self._reflectors: list[Server] = []
        self._tcp_servers: list[Server] = []
        self._tcp_at = float("inf")
        self._stun_servers: list[_StunServer] = []
        self._stun_asked: dict[bytes, _StunServer] = {}
        self._told: list[Candidate] = []
        self._only_ipv6 = False
        self._p2p_allowed = False

    def open(self, servers: Sequence[Server], p2p_allowed: bool) -> None:
        """Open sockets and look for candidates.

        Raises:
            OSError: This host has no network to speak of.
        """
        now = self._clock()
        self._p2p_allowed = p2p_allowed
        servers = servers[:MOST_SERVERS]
        addresses = local_addresses(self._allow_loopback)
        self._open_sockets(addresses, servers)
        if p2p_allowed:
            for path in self._direct.values():
                self.ice.add_path(path, now)
            ports = {family: path.socket.port for family, path in self._direct.items()}
            places = [(host, ports[_family((host, 0))]) for host in addresses if _family((host, 0)) in ports]
            self._tell([Candidate("host", place, DirectPath.priority) for place in places])
            self._plan_stun(servers, now)
        self._open_relays(servers, now)
        self.poll(now)

    def close(self) -> None:
        for relay in self._relays:
            relay.client.close()
        for stream in self._streams.values():
            stream.close()
        for path in self._direct.values():
            path.socket.close()
        self._relays.clear()
        self._udp_relays.clear()
        self._streams.clear()

    def send(self, data: bytes) -> None:
        """Send to the peer over the selected pair; lost if there is none."""
        pair = self.selected
        if pair is not None:
            pair.path.send(data, pair.remote.address)

    def set_remote(self, credentials: Credentials) -> bool:
        """Take the peer's credentials; answer whether they restart ICE."""
        now = self._clock()
        restarted = self.ice.set_remote(credentials, now)
        self._poll_ice(now)
        return restarted

    def restart_ice(self) -> list[Candidate]:
        """Take new credentials of our own; answer the candidates, which have to be told again with them."""
        self.ice.restart(self._clock())
        return list(self._told)

    def add_remote(self, line: str) -> None:
        """Take a candidate line of the peer; one that we can't use is dropped."""
        candidate = parse_candidate(line, self._allow_loopback)
        if candidate is not None:
            now = self._clock()
            self.ice.add_remote(self._as_reflector_knows(candidate), now)
            self._poll_ice(now)

    def poll(self, now: float) -> float:
        """Do what is due; answer when something will be."""
        due = self._poll_ice(now)
        for relay in self._relays:
            due = min(due, relay.client.poll(now))
        self._offer_relays(now)
        due = min(due, self._ask_stun(now))
        if now >= self._tcp_at:
            self._tcp_at = float("inf")
            if self.selected is None:
                self._open_streams()
        return min(due, self._tcp_at)

    # -- packets -------------------------------------------------------------------------------------------------

    def _heard_datagram(self, path: DirectPath, data: bytes, source: Address) -> None:
        relay = self._udp_relays.get(source)
        if relay is not None:
            self._heard_relay(relay, data)
        elif self._p2p_allowed:
            self._heard(path, data, source)
        else:
            self.ignored += 1  # nobody was told of this socket

    def _heard_relay(self, relay: RelayPath, data: bytes) -> None:
        now = self._clock()
        carried = relay.client.receive(data, now)
        if carried is not None:
            peer, payload = carried
            self._heard(relay, payload, peer)
        elif not relay.offered:
            self._offer_relays(now)

    def _heard(self, path: Path, data: bytes, source: Address) -> None:
        """Source: RFC 7983 §7 (what the first byte tells)."""
        first = data[0] if data else 0xFF
        if 128 <= first <= 191:
            pair = self.ice.pair_of(path, source)
            if pair is not None:
                self._heard_media(data, pair)
                return
        elif 20 <= first <= 63:
            if self.ice.pair_of(path, source) is not None:
                self._heard_dtls(data)
                return
        elif first < 4:
            if not self._heard_stun_server(data, source):
                now = self._clock()
                self.ice.receive(data, path, source, now)
                self._poll_ice(now)
            return
        self.ignored += 1

    def _poll_ice(self, now: float) -> float:
        due = self.ice.poll(now)
        if self.ice.selected is not self.selected:
            self.selected = self.ice.selected
            self._chosen()
        return due

    # -- what there is to send from and by -----------------------------------------------------------------------

    def _open_sockets(self, addresses: list[str], servers: Sequence[Server]) -> None:
        wanted = {_family((address, 0)) for address in addresses}
        self._only_ipv6 = wanted == {socket.AF_INET6}
        wanted |= {_family(address) for server in servers if (address := self._address(server))}
        for family in sorted(wanted):
            try:
                self._direct[family] = DirectPath(family, self._heard_datagram)
            except OSError as error:
                log.info("a family of addresses was not opened", family=family.name, reason=str(error))
        if not self._direct:
            raise OSError("no UDP socket could be opened")

    def _address(self, server: Server) -> Address | None:
        """Where a server is, in the family that this host has; None if what was told is no address."""
        for host in (server.ipv6, server.ipv4) if self._only_ipv6 else (server.ipv4, server.ipv6):
            with contextlib.suppress(ValueError):
                return str(ipaddress.ip_address(host)), server.port
        return None

    def _tell(self, candidates: list[Candidate]) -> None:
        self._told += candidates
        if candidates:
            self._found(candidates)

    def _plan_stun(self, servers: Sequence[Server], now: float) -> None:
        for server in servers:
            address = self._address(server)
            path = self._direct.get(_family(address)) if address else None
            if address and path and server.stun:
                self._stun_servers.append(_StunServer(path, address, [now + after for after in STUN_AT_S]))

    def _ask_stun(self, now: float) -> float:
        """Source: RFC 8445 §5.1.1.2 (server-reflexive candidates)."""
        for server in self._stun_servers:
            while server.due and now >= server.due[0]:
                server.due.pop(0)
                transaction = stun.new_transaction()
                self._stun_asked[transaction] = server
                server.path.send(stun.build(Method.BINDING, Kind.REQUEST, transaction, []), server.address)
        return min((server.due[0] for server in self._stun_servers if server.due), default=float("inf"))

    def _heard_stun_server(self, data: bytes, source: Address) -> bool:
        server = self._stun_asked.get(data[8:20])
        if server is None or server.address != source:
            return False
        message = stun.parse(data)
        mapped = message.address(Attribute.XOR_MAPPED_ADDRESS) if message else None
        if mapped is not None and server.due:
            self._tell_mapped(mapped, server.path)
        server.due.clear()
        return True

    def _tell_mapped(self, mapped: Address, path: DirectPath) -> None:
        """Tell the peer how a server sees us, unless we know that address of ourselves already."""
        if all(mapped != candidate.address for candidate in self._told):
            base = "0.0.0.0" if path.family == socket.AF_INET else "::"
            self._tell([Candidate("srflx", mapped, candidate_priority("srflx", 65_535), (base, path.socket.port))])

    # -- relays --------------------------------------------------------------------------------------------------

    def _open_relays(self, servers: Sequence[Server], now: float) -> None:
        relays = [server for server in servers if self._address(server) and (server.peer_tag or server.turn)]
        self._reflectors = [server for server in relays if server.peer_tag is not None]
        self._tcp_servers = [server for server in relays if server.tcp]
        for server in relays:
            if not server.tcp:
                self._open_udp_relay(server, now)
        self._tcp_at = now + TCP_AFTER_S if self._relays else now

    def _open_udp_relay(self, server: Server, now: float) -> None:
        address = self._address(server)
        path = self._direct.get(_family(address)) if address else None
        if address and path and address not in self._udp_relays:
            direct = path
            client = self._client(server, address, lambda data: direct.send(data, address))
            relay = RelayPath(client, UDP_PREFERENCE, self._clock)
            self._relays.append(relay)
            self._udp_relays[address] = relay
            client.start(now)

    def _open_streams(self) -> None:
        for server in self._tcp_servers:
            self._open_stream(server)

    def _open_stream(self, server: Server) -> None:
        address = self._address(server)
        if address is None:
            return
        client = self._client(server, address, lambda data: self._send_on_stream(relay, data))
        relay = RelayPath(client, TCP_PREFERENCE, self._clock)

        def opened() -> None:
            now = self._clock()
            client.start(now)
            self._offer_relays(now)

        split = reflector.split if server.peer_tag is not None else turn.split
        stream = RelayStream(
            address, split, opened, lambda data: self._heard_relay(relay, data), lambda: self._drop(relay)
        )
        self._relays.append(relay)
        self._streams[relay] = stream

    def _send_on_stream(self, relay: RelayPath, data: bytes) -> None:
        stream = self._streams.get(relay)
        if stream is not None:
            stream.send(data)

    def _client(self, server: Server, address: Address, send: Callable[[bytes], None]) -> RelayClient:
        if server.peer_tag is None:
            return TurnClient(server.username or "", server.password or "", send, over_stream=server.tcp)
        number = self._reflector_ids.index(server.id) + 1
        return ReflectorClient(number, address, server.peer_tag, send, over_stream=server.tcp)

    @property
    def _reflector_ids(self) -> list[int]:
        return sorted({server.id for server in self._reflectors})

    def _offer_relays(self, now: float) -> None:
        """Let ICE and the peer know of the relays that have become ready."""
        for relay in self._relays:
            candidate = None if relay.offered else relay.candidate
            if candidate is not None:
                relay.offered = True
                self.ice.add_path(relay, now)
                self._tell([candidate])
                self._poll_ice(now)

    def _drop(self, relay: RelayPath) -> None:
        log.info("a relay closed its connection", kind=relay.kind.value)
        self._relays = [other for other in self._relays if other is not relay]
        self._streams.pop(relay, None)
        now = self._clock()
        self.ice.remove_path(relay, now)
        self._poll_ice(now)

    def _as_reflector_knows(self, candidate: Candidate) -> Candidate:
        """A peer behind a reflector is known by its name and that server's port, in whatever form it told it."""
        ids = self._reflector_ids
        address: Address | None = candidate.address
        if candidate.kind == "relay" and candidate.address[1] <= len(ids):
            address = reflector.name_of_old_form(candidate.address) or address
        named = reflector_name(address[0]) if address else None
        if address is None or named is None or not 0 < named[0] <= len(ids):
            return candidate
        port = next(server.port for server in self._reflectors if server.id == ids[named[0] - 1])
        return Candidate(candidate.kind, (address[0], port), candidate.priority)


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
