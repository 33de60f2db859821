"""TURN and reflectors, against scripted servers."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.tgcall import reflector, stun, turn
from gateway.media.tgcall.candidate import reflector_name
from gateway.media.tgcall.reflector import ReflectorClient, name_of_old_form
from gateway.media.tgcall.stun import Attribute, Kind, Method
from gateway.media.tgcall.turn import TurnClient, TurnState

RELAYED, MAPPED, PEER = ("198.51.100.1", 50_000), ("203.0.113.5", 4000), ("192.0.2.7", 6000)
KEY = hashlib.md5(b"user:realm:secret").digest()


class TurnServer:
    """Answers one client as RFC 8656 asks; every answer is put into `answers`."""

    def __init__(self) -> None:
        self.client = TurnClient("user", "secret", self.take)
        self.nonce = b"n1"
        self.answers: list[bytes] = []
        self.requests: list[int] = []
        self.channel_data: list[bytes] = []
        self.refuse_binding = False
        self.refuse_login = False

    def take(self, packet: bytes) -> None:
        if packet[0] & 0xC0 == 0x40:
            self.channel_data.append(packet)
            return
        message = stun.parse(packet)
        assert message is not None
        self.requests.append(message.method)
        stale = message.attributes.get(Attribute.NONCE) != self.nonce
        if stale or self.refuse_login:
            code = 438 if stale and Attribute.NONCE in message.attributes else 401
            attributes = [
                (Attribute.ERROR_CODE, bytes([0, 0, code // 100, code % 100])),
                (Attribute.REALM, b"realm"),
                (Attribute.NONCE, self.nonce),
            ]
            self.answer(message, Kind.ERROR, list(attributes), None)
        else:
            assert message.signed_with(KEY)
            self.accept(message)

    def accept(self, message: stun.StunMessage) -> None:
        attributes: list[tuple[int, bytes]] = []
        if message.method == Method.ALLOCATE:
            attributes = [
                (Attribute.XOR_RELAYED_ADDRESS, stun.xor_address(RELAYED, message.transaction)),
                (Attribute.XOR_MAPPED_ADDRESS, stun.xor_address(MAPPED, message.transaction)),
                (Attribute.LIFETIME, (600).to_bytes(4, "big")),
            ]
        if message.method == Method.CHANNEL_BIND and self.refuse_binding:
            self.answer(message, Kind.ERROR, [(Attribute.ERROR_CODE, b"\0\0\x04\x03")], KEY)
            return
        self.answer(message, Kind.SUCCESS, attributes, KEY)

    def answer(self, to: stun.StunMessage, kind: Kind, attributes: list[tuple[int, bytes]], key: bytes | None) -> None:
        self.answers.append(stun.build(to.method, kind, to.transaction, attributes, key))

    def deliver(self, now: float) -> None:
        while self.answers:
            self.client.receive(self.answers.pop(0), now)

    def allocated(self) -> TurnServer:
        self.client.start(0.0)
        self.deliver(0.0)
        return self


def test_allocation_takes_the_challenge_and_tells_both_addresses() -> None:
    client = TurnServer().allocated().client
    assert client.state is TurnState.READY
    assert (client.relayed, client.mapped) == (RELAYED, MAPPED)
    candidate = client.candidate(100)
    assert candidate is not None
    assert candidate.address == RELAYED


def test_first_packets_wait_for_the_channel_and_the_rest_goes_at_once() -> None:
    server = TurnServer().allocated()
    for n in range(6):
        server.client.send_to(PEER, b"early%d" % n, 0.0)
    assert server.channel_data == []
    server.deliver(0.0)
    server.client.send_to(PEER, b"later", 0.0)
    assert [packet[4:] for packet in server.channel_data] == [b"early0", b"early1", b"early2", b"early3", b"later"]


def test_what_a_peer_sends_is_told_with_its_address() -> None:
    server = TurnServer().allocated()
    server.client.send_to(PEER, b"x", 0.0)
    server.deliver(0.0)
    assert server.client.receive(b"\x40\x00\x00\x05hello___", 0.0) == (PEER, b"hello")
    assert server.client.receive(b"\x40\x01\x00\x05hello", 0.0) is None
    assert server.client.receive(b"\x40\x00\x00\x09hello", 0.0) is None


def test_stale_nonce_is_renewed_and_everything_is_refreshed_in_time() -> None:
    server = TurnServer().allocated()
    server.client.send_to(PEER, b"x", 0.0)
    server.deliver(0.0)
    server.nonce = b"n2"
    server.requests.clear()
    now = server.client.poll(0.0)
    assert 0 < now <= 300
    server.client.poll(now)
    server.deliver(now)
    assert sorted(set(server.requests)) == [Method.REFRESH, Method.CHANNEL_BIND]
    assert server.client.ready
    assert server.client.poll(now) > now


def test_lost_requests_are_repeated_and_given_up_in_the_end() -> None:
    server = TurnServer()
    server.client.start(0.0)
    now = 0.0
    for _ in range(20):
        server.answers.clear()
        now = min(server.client.poll(now), now + 60)
        server.client.poll(now)
    assert server.client.state is TurnState.FAILED
    assert 4 <= len(server.requests) <= 10
    assert server.client.poll(now) == float("inf")


def test_wrong_password_fails_and_does_not_ask_for_ever() -> None:
    server = TurnServer()
    server.refuse_login = True
    server.client.start(0.0)
    server.deliver(0.0)
    assert server.client.state is TurnState.FAILED
    assert len(server.requests) <= 4


def test_answer_that_is_not_signed_is_ignored() -> None:
    server = TurnServer()
    server.client.start(0.0)
    server.client.receive(server.answers.pop(), 0.0)
    forged = stun.parse(server.answers.pop())
    assert forged is not None
    attributes = [(Attribute.XOR_RELAYED_ADDRESS, stun.xor_address(("192.0.2.66", 6), forged.transaction))]
    packet = stun.build(Method.ALLOCATE, Kind.SUCCESS, forged.transaction, list(attributes), b"guessed")
    server.client.receive(packet, 0.0)
    assert not server.client.ready


def test_peer_that_the_relay_refuses_is_not_asked_for_again_and_again() -> None:
    server = TurnServer().allocated()
    server.refuse_binding = True
    for _ in range(50):
        server.client.send_to(PEER, b"x", 0.0)
        server.deliver(0.0)
    assert server.requests.count(Method.CHANNEL_BIND) == 1


def test_closing_gives_the_allocation_back() -> None:
    server = TurnServer().allocated()
    server.requests.clear()
    server.client.close()
    assert server.requests == [Method.REFRESH]


@given(st.binary(max_size=300))
def test_noise_from_a_turn_server_is_survived(noise: bytes) -> None:
    server = TurnServer().allocated()
    server.client.receive(noise, 0.0)
    server.client.receive(b"\x40\x00" + noise, 0.0)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=20))
def test_packets_are_found_in_a_turn_stream_however_it_is_cut(pieces: list[bytes]) -> None:
    packets = [b"\x40\x00" + len(p).to_bytes(2, "big") + p + bytes(-len(p) % 4) for p in pieces]
    stream = b"".join(packets)
    arrived, found = bytearray(), []
    for at in range(0, len(stream), 7):
        arrived += stream[at : at + 7]
        found += turn.split(arrived)
    assert found == packets
    assert not arrived


@given(st.binary(max_size=300))
def test_noise_in_a_stream_is_split_or_refused(noise: bytes) -> None:
    for split in (turn.split, reflector.split):
        arrived = bytearray(noise)
        try:
            packets = split(arrived)
        except ValueError:
            continue
        assert sum(map(len, packets)) + len(arrived) <= len(noise)


def test_stream_that_claims_a_giant_packet_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="bytes"):
        reflector.split(bytearray(b"\xff\xff\xff\x7f"))
    with pytest.raises(ValueError, match="bytes"):
        turn.split(bytearray(b"\x40\x00\xff\xff"))


TAG = bytes(range(16))


def two_clients(over_stream: bool = False) -> tuple[ReflectorClient, ReflectorClient, list[bytes], list[bytes]]:
    a_out: list[bytes] = []
    b_out: list[bytes] = []
    a = ReflectorClient(2, ("192.0.2.1", 598), TAG, a_out.append, over_stream)
    b = ReflectorClient(2, ("192.0.2.1", 598), TAG, b_out.append, over_stream)
    a.start(0.0)
    b.start(0.0)
    return a, b, a_out, b_out


def test_hello_is_repeated_until_it_is_answered_and_seldom_then() -> None:
    client, _, out, _ = two_clients()
    assert len(out[0]) == 40
    assert out[0][:12] == TAG[:12]
    assert client.poll(0.0) == 0.5
    client.poll(0.5)
    assert len(out) == 2
    assert client.candidate(0) is None
    client.receive(TAG[:12] + bytes(4) + b"\xff" * 12, 0.6)
    assert client.candidate(0) is not None
    client.poll(1.0)
    assert client.poll(1.1) == pytest.approx(11.0)


def test_packet_reaches_the_peer_by_its_name() -> None:
    a, b, _, b_out = two_clients()
    b_out.clear()
    b.send_to(a.name, b"hello", 0.0)
    packet = b_out[0]
    assert len(packet) % 4 == 0
    assert a.receive(packet, 0.0) == (b.name, b"hello")
    assert a.reaches(b.name)
    assert not a.reaches(("reflector-1-5.reflector", 598))
    assert not a.reaches(("192.0.2.1", 598))


def test_tcp_opens_once_and_frames_every_packet() -> None:
    a, b, a_out, _ = two_clients(over_stream=True)
    assert a_out[0] == b"\xee\xee\xee\xee"
    assert a.ready
    b.send_to(a.name, b"hello", 0.0)
    a.send_to(b.name, b"hello", 0.0)
    packets = reflector.split(bytearray(b"".join(a_out[1:])))
    assert len(packets[0]) == 20
    assert b.receive(packets[1], 0.0) == (a.name, b"hello")


def test_old_form_of_a_candidate_names_the_same_peer() -> None:
    a, *_ = two_clients()
    named = reflector_name(a.name[0])
    assert named is not None
    tag = struct.pack("<I", named[1])
    old = (".".join(str(byte) for byte in tag), 2)
    translated = name_of_old_form(old)
    assert translated is not None
    assert translated[0] == a.name[0]


@given(st.binary(max_size=200))
def test_noise_from_a_reflector_is_survived(noise: bytes) -> None:
    a, *_ = two_clients()
    a.receive(noise, 0.0)
    carried = a.receive(TAG[:12] + noise, 0.0)
    assert carried is None or len(carried[1]) <= len(noise)
