from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.tgcall import stun
from gateway.media.tgcall.candidate import (
    Candidate,
    candidate_priority,
    pair_priority,
    parse_candidate,
    reflector_name,
    sendable,
)
from gateway.media.tgcall.stun import Attribute, Kind, Method

#: Source: RFC 5769 §2.1 (a sample request; its password is VOkJxbRl1RmTxUk/WvJxBt).
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)


def test_sample_of_the_standard_is_read_and_proven() -> None:
    message = stun.parse(SAMPLE)
    assert message is not None
    assert message.method == Method.BINDING
    assert message.attributes[Attribute.USERNAME] == b"evtj:h6vY"
    assert message.u32(Attribute.PRIORITY) == 0x6E0001FF
    assert message.u64(Attribute.ICE_CONTROLLED) == 0x932FF9B151263B36
    assert message.signed_with(b"VOkJxbRl1RmTxUk/WvJxBt")
    assert not message.signed_with(b"another password")


#: Behind it comes FINGERPRINT, which the signature does not cover.
SIGNED = len(SAMPLE) - 8


@given(st.integers(20, SIGNED - 1), st.integers(1, 255))
def test_any_flipped_bit_is_noticed(at: int, flip: int) -> None:
    damaged = bytearray(SAMPLE)
    damaged[at] ^= flip
    message = stun.parse(bytes(damaged))
    assert message is None or not message.signed_with(b"VOkJxbRl1RmTxUk/WvJxBt")


@given(st.binary(max_size=200))
def test_noise_is_survived(noise: bytes) -> None:
    stun.parse(noise)
    header = b"\x00\x01" + len(noise).to_bytes(2, "big") + stun.MAGIC.to_bytes(4, "big") + bytes(12)
    message = stun.parse(header + noise)
    if message is not None:
        for attribute in Attribute:
            message.u32(attribute)
            message.u64(attribute)
            message.address(attribute)
        assert not message.signed_with(b"key")
        assert message.error is None or message.error < 1024


@pytest.mark.parametrize("address", [("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 1)])
def test_addresses_survive_the_mask(address: tuple[str, int]) -> None:
    transaction = os.urandom(12)
    assert stun.unxor_address(stun.xor_address(address, transaction), transaction) == address


@pytest.mark.parametrize("value", [b"", bytes(8), b"\0\2" + bytes(6), bytes(19), b"\0\1" + bytes(18)])
def test_malformed_addresses_are_none(value: bytes) -> None:
    assert stun.unxor_address(value, bytes(12)) is None


def test_what_stands_behind_the_signature_is_ignored() -> None:
    signed = stun.build(Method.BINDING, Kind.REQUEST, bytes(12), [], b"key", fingerprint=False)
    extra = b"\x00\x25\x00\x00"
    longer = bytearray(signed + extra)
    longer[2:4] = (len(longer) - 20).to_bytes(2, "big")
    message = stun.parse(bytes(longer))
    assert message is not None
    assert message.signed_with(b"key")
    assert Attribute.USE_CANDIDATE not in message.attributes


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("candidate:1 1 udp 2130706431 198.51.100.7 4000 typ host generation 0 ufrag x", ("198.51.100.7", 4000)),
        ("candidate:1 1 UDP 1 2001:db8::1 4000 typ srflx raddr :: rport 0 network-cost 10", ("2001:db8::1", 4000)),
        ("candidate:1 1 udp 1 reflector-2-99.reflector 598 typ relay", ("reflector-2-99.reflector", 598)),
        ("a=candidate:1 1 udp 1 192.0.2.1 1 typ prflx", ("192.0.2.1", 1)),
    ],
)
def test_candidates_are_read(line: str, address: tuple[str, int]) -> None:
    candidate = parse_candidate(line)
    assert candidate is not None
    assert candidate.address == address


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "candidate:1 2 udp 1 192.0.2.1 4000 typ host",
        "candidate:1 1 udp 1 192.0.2.1 0 typ host",
        "candidate:1 1 udp 1 192.0.2.1 70000 typ host",
        "candidate:1 1 udp 99999999999 192.0.2.1 4000 typ host",
        "candidate:1 1 udp ² 192.0.2.1 4000 typ host",
        "candidate:1 1 udp 1 224.0.0.1 4000 typ host",
        "candidate:1 1 udp 1 0.0.0.0 4000 typ host",
        "candidate:1 1 udp 1 255.255.255.255 4000 typ host",
        "candidate:1 1 udp 1 127.0.0.1 4000 typ host",
        "candidate:1 1 udp 1 ::1 4000 typ host",
        "candidate:1 1 udp 1 fe80::1%eth0 4000 typ host",
        "candidate:1 1 udp 1 b12f.local 4000 typ host",
        "candidate:1 1 udp 1 example.org 4000 typ host",
        "candidate:1 1 udp 1 reflector-1-99999999999.reflector 4000 typ relay",
        "candidate:1 1 udp 1 192.0.2.1 4000 typ " + "x " * 100,
    ],
)
def test_candidates_that_we_cannot_or_will_not_send_to_are_dropped(line: str) -> None:
    assert parse_candidate(line) is None


@given(st.text(max_size=200))
def test_any_line_is_survived(line: str) -> None:
    parse_candidate(line)
    parse_candidate("candidate:1 1 udp 1 " + line)
    reflector_name(line)
    sendable(line, True)


def test_candidate_survives_its_line() -> None:
    candidate = Candidate("srflx", ("192.0.2.1", 9), candidate_priority("srflx", 7), ("10.0.0.1", 8))
    again = parse_candidate(candidate.line("abcd"))
    assert again is not None
    assert (again.kind, again.address, again.priority) == (candidate.kind, candidate.address, candidate.priority)


def test_priorities_are_those_of_the_standard() -> None:
    assert candidate_priority("host", 65535) == 126 << 24 | 65535 << 8 | 255
    assert pair_priority(2, 1) == (1 << 32) + 5
    assert pair_priority(1, 2) == (1 << 32) + 4
