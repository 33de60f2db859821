"""A network in virtual time for ICE: hosts with several paths that may be cut, slow, or lossy."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.media.tgcall.candidate import Candidate, candidate_priority
from gateway.media.tgcall.ice import Credentials, IceAgent
from gateway.media.tgcall.model import Address, PathKind

STEP_S = 0.02


@dataclass(eq=False)
class TestPath:
    """A path of one host: packets to any address of the network come from `address`."""

    __test__ = False

    address: Address
    kind: PathKind
    network: Network
    delay_s: float = 0.01
    cut: bool = False
    mute: bool = False  # sends nothing, hears all
    agent: IceAgent | None = None
    candidate_kind: str = "host"
    behind_nat: Address | None = None
    opened: set[Address] = field(default_factory=set)

    @property
    def priority(self) -> int:
        return candidate_priority("host" if self.kind is PathKind.DIRECT else "relay", 100)

    def reaches(self, address: Address) -> bool:
        return address[0].startswith("relay") == (self.kind is not PathKind.DIRECT)

    def send(self, data: bytes, to: Address) -> None:
        self.opened.add(to)
        if not self.cut and not self.mute:
            self.network.carry(data, self.behind_nat or self.address, to, self.delay_s)

    def seen_as(self, source: Address) -> Address:
        return "192.0.2.99", source[1]  # names are for people; what is told is of no consequence here

    def candidate(self) -> Candidate:
        return Candidate("host" if self.kind is PathKind.DIRECT else "relay", self.address, self.priority)


class Network:
    def __init__(self, loss: float = 0.0, seed: int = 1) -> None:
        self.now = 0.0
        self.packets = 0
        self._loss = loss
        self._dice = random.Random(seed)
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, bytes, Address, Address]] = []
        self.paths: dict[Address, TestPath] = {}
        self.agents: list[IceAgent] = []
        self.each_step: Callable[[], None] = lambda: None

    def host(self, agent: IceAgent, *addresses: str, nat: Address | None = None) -> list[TestPath]:
        """Give an agent a path for each address; those named relay… are relays."""
        self.agents.append(agent)
        paths = []
        for name in addresses:
            kind = PathKind.RELAY if name.startswith("relay") else PathKind.DIRECT
            path = TestPath((name, 5000), kind, self, agent=agent, behind_nat=nat)
            self.paths[nat or path.address] = path
            agent.add_path(path, self.now)
            paths.append(path)
        return paths

    def carry(self, data: bytes, source: Address, to: Address, delay_s: float) -> None:
        self.packets += 1
        if self._dice.random() >= self._loss:
            heapq.heappush(self._under_way, (self.now + delay_s, next(self._order), data, source, to))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, data, source, to = heapq.heappop(self._under_way)
                path = self.paths.get(to)
                if path is None or path.cut or path.agent is None:
                    continue
                if path.behind_nat and source not in path.opened:
                    continue  # a NAT lets in only what was sent to
                path.agent.receive(data, path, source, self.now)
                path.agent.poll(self.now)
            for agent in self.agents:
                agent.poll(self.now)
            self.each_step()
            if until():
                return True
        return False


def introduce(one: IceAgent, other: IceAgent, now: float) -> None:
    """Tell each the other's credentials."""
    one.set_remote(Credentials(other.local.ufrag, other.local.pwd), now)
    other.set_remote(Credentials(one.local.ufrag, one.local.pwd), now)
