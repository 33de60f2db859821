"""Two ICE agents on a network in virtual time."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.tgcall import stun
from gateway.media.tgcall.ice import MOST_PAIRS, Credentials, IceAgent
from gateway.media.tgcall.model import PathKind
from gateway.media.tgcall.stun import Attribute, Kind, Method

from .network import Network, TestPath, introduce


class Two:
    """A caller and a callee; the caller's paths first."""

    def __init__(
        self,
        caller: tuple[str, ...] = ("a",),
        callee: tuple[str, ...] = ("b",),
        loss: float = 0.0,
        trickle: bool = True,
    ) -> None:
        self.network = Network(loss)
        self.caller, self.callee = IceAgent(True), IceAgent(False)
        self.caller_paths = self.network.host(self.caller, *caller)
        self.callee_paths = self.network.host(self.callee, *callee)
        introduce(self.caller, self.callee, 0.0)
        if trickle:
            self.trickle()

    def trickle(self) -> None:
        for path in self.callee_paths:
            self.caller.add_remote(path.candidate(), self.network.now)
        for path in self.caller_paths:
            self.callee.add_remote(path.candidate(), self.network.now)

    @property
    def connected(self) -> bool:
        return self.caller.selected is not None and self.callee.selected is not None

    @property
    def agreed(self) -> bool:
        """Whether both send by the same pair of paths."""
        one, other = self.caller.selected, self.callee.selected
        return (
            one is not None
            and other is not None
            and isinstance(one.path, TestPath)
            and isinstance(other.path, TestPath)
            and one.path.address == other.remote.address
            and other.path.address == one.remote.address
        )


def test_two_hosts_connect_within_two_round_trips() -> None:
    two = Two()
    assert two.network.run(0.1, lambda: two.connected)


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.5])
def test_lossy_network_connects_in_the_end(loss: float) -> None:
    two = Two(loss=loss)
    assert two.network.run(8.0, lambda: two.connected)


def test_one_end_that_knows_no_address_learns_it_from_the_others_checks() -> None:
    two = Two(trickle=False)
    two.caller.add_remote(two.callee_paths[0].candidate(), 0.0)
    assert two.network.run(1.0, lambda: two.agreed)
    assert two.callee.selected is not None
    assert two.callee.selected.remote.kind == "prflx"


def test_checks_that_come_before_the_peers_credentials_are_answered() -> None:
    network = Network()
    caller, callee = IceAgent(True), IceAgent(False)
    network.host(caller, "a")
    paths = network.host(callee, "b")
    caller.set_remote(callee.local, 0.0)
    caller.add_remote(paths[0].candidate(), 0.0)
    assert network.run(0.5, lambda: caller.selected is not None)
    assert callee.selected is None
    callee.set_remote(caller.local, network.now)
    assert network.run(0.5, lambda: callee.selected is not None)


def test_direct_path_is_preferred_to_a_relay_and_both_ends_agree() -> None:
    two = Two(("relayA", "a"), ("relayB", "b"))
    two.caller_paths[1].delay_s = 0.1
    assert two.network.run(3.0, lambda: two.agreed and two.caller.selected.path.kind is PathKind.DIRECT)  # type: ignore[union-attr]


def test_relay_that_is_found_late_is_used_when_nothing_else_works() -> None:
    two = Two(("a",), ("b",))
    two.caller_paths[0].cut = True
    two.network.run(2.0)
    late = two.network.host(two.caller, "relayA") + two.network.host(two.callee, "relayB")
    two.callee.add_remote(late[0].candidate(), two.network.now)
    two.caller.add_remote(late[1].candidate(), two.network.now)
    assert two.network.run(1.0, lambda: two.agreed)


@pytest.mark.parametrize("both_controlling", [True, False])
def test_conflict_of_roles_is_settled(both_controlling: bool) -> None:
    network = Network()
    one, other = IceAgent(both_controlling), IceAgent(both_controlling)
    paths = network.host(one, "a") + network.host(other, "b")
    introduce(one, other, 0.0)
    one.add_remote(paths[1].candidate(), 0.0)
    other.add_remote(paths[0].candidate(), 0.0)
    network.run(2.0)
    assert one.selected
    assert other.selected
    assert one.controlling != other.controlling


def test_path_that_dies_is_replaced_within_five_seconds_on_both_ends() -> None:
    two = Two(("a1", "a2"), ("b1", "b2"))
    two.network.run(6.0)
    assert two.agreed
    assert two.caller.selected is not None
    dying = two.caller.selected.path
    assert isinstance(dying, TestPath)
    dying.cut = True
    began = two.network.now
    assert two.network.run(10.0, lambda: two.agreed and two.caller.selected.path is not dying)  # type: ignore[union-attr]
    assert two.network.now - began < 5.0
    assert two.caller.changes == 1
    two.network.run(5.0)
    assert not two.caller.is_silent(two.network.now)
    assert not two.callee.is_silent(two.network.now)


def test_path_that_is_heard_but_does_not_carry_our_packets_is_replaced() -> None:
    two = Two(("a1", "a2"), ("b",))
    two.network.run(6.0)
    assert two.caller.selected is not None
    dying = two.caller.selected.path
    assert isinstance(dying, TestPath)
    dying.mute = True
    assert two.network.run(9.0, lambda: two.caller.selected.path is not dying)  # type: ignore[union-attr]


def test_dead_peer_is_lost_after_twenty_seconds_and_silent_after_three() -> None:
    two = Two()
    two.network.run(2.0)
    two.callee_paths[0].cut = True
    two.network.run(5.0)
    assert two.caller.is_silent(two.network.now)
    assert not two.caller.is_lost(two.network.now)
    two.network.run(17.5)
    assert two.caller.is_lost(two.network.now)


def test_dead_path_that_comes_back_is_used_again() -> None:
    two = Two()
    two.network.run(2.0)
    two.callee_paths[0].cut = True
    two.network.run(15.0)
    two.callee_paths[0].cut = False
    assert two.network.run(3.0, lambda: not two.caller.is_silent(two.network.now))


def test_restart_by_one_end_keeps_the_call_and_takes_new_paths() -> None:
    two = Two()
    two.network.run(2.0)
    before = two.callee.local
    two.callee.restart(two.network.now)
    assert two.callee.local != before
    fresh = two.network.host(two.callee, "b2")[0]
    two.callee_paths[0].cut = True
    assert two.caller.set_remote(two.callee.local, two.network.now)
    assert two.caller.selected is not None
    two.caller.restart(two.network.now)
    assert two.callee.set_remote(two.caller.local, two.network.now)
    two.caller.add_remote(fresh.candidate(), two.network.now)
    two.callee.add_remote(two.caller_paths[0].candidate(), two.network.now)
    assert two.network.run(5.0, lambda: two.caller.selected.path.kind is PathKind.DIRECT and two.agreed)  # type: ignore[union-attr]


def test_same_credentials_again_are_no_restart() -> None:
    two = Two()
    assert not two.caller.set_remote(Credentials(two.callee.local.ufrag, two.callee.local.pwd), 0.0)


def test_checks_of_strangers_change_nothing() -> None:
    two = Two()
    two.network.run(1.0)
    attributes = [(Attribute.USERNAME, f"{two.caller.local.ufrag}:x".encode()), (Attribute.PRIORITY, bytes(4))]
    for n in range(500):
        check = stun.build(Method.BINDING, Kind.REQUEST, os.urandom(12), list(attributes), b"guessed")
        two.caller.receive(check, two.caller_paths[0], (f"evil{n}", 1), two.network.now)
    assert two.caller.ignored == 500
    assert two.caller.pair_of(two.caller_paths[0], ("evil1", 1)) is None


def test_answers_to_nothing_and_from_elsewhere_prove_nothing() -> None:
    network = Network()
    agent = IceAgent(True)
    paths = network.host(agent, "a")
    agent.set_remote(Credentials("peer", "p" * 24), 0.0)
    sent: list[bytes] = []
    paths[0].send = lambda data, to: sent.append(data)  # type: ignore[method-assign]
    agent.add_remote(TestPath(("b", 1), PathKind.DIRECT, network).candidate(), 0.0)
    agent.poll(0.0)
    transaction = sent[0][8:20]
    mapped = [(Attribute.XOR_MAPPED_ADDRESS, stun.xor_address(("192.0.2.1", 1), transaction))]
    forged = stun.build(Method.BINDING, Kind.SUCCESS, transaction, list(mapped), b"guessed")
    agent.receive(forged, paths[0], ("b", 1), 0.1)
    right = stun.build(Method.BINDING, Kind.SUCCESS, transaction, list(mapped), b"p" * 24)
    agent.receive(right, paths[0], ("elsewhere", 1), 0.1)
    assert agent.selected is None


def test_pairs_and_requests_are_bounded() -> None:
    two = Two()
    username = f"{two.caller.local.ufrag}:{two.callee.local.ufrag}".encode()
    for n in range(1000):
        attributes = [(Attribute.USERNAME, username), (Attribute.PRIORITY, bytes(4))]
        check = stun.build(Method.BINDING, Kind.REQUEST, os.urandom(12), attributes, two.caller.local.pwd.encode())
        two.caller.receive(check, two.caller_paths[0], (f"192.0.2.{n % 256}", n + 1), two.network.now)
    assert len(two.caller._pairs) <= MOST_PAIRS
    assert two.network.packets < 400


def test_quiet_call_costs_few_checks() -> None:
    two = Two(("a1", "a2"), ("b1", "b2"))
    two.network.run(30.0)
    before = two.network.packets
    two.network.run(60.0)
    assert (two.network.packets - before) / 60 < 6


@given(st.binary(max_size=300))
def test_noise_is_survived(noise: bytes) -> None:
    agent = IceAgent(True)
    network = Network()
    path = network.host(agent, "a")[0]
    agent.receive(noise, path, ("b", 1), 0.0)
    header = b"\x00\x01" + len(noise).to_bytes(2, "big") + stun.MAGIC.to_bytes(4, "big") + bytes(12)
    agent.receive(header + noise, path, ("b", 1), 0.0)
