from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall.dtls import MTU, Certificate, Dtls, DtlsState
from gateway.media.tgcall.model import Failure
from gateway.media.tgcall.srtp import Srtp

CERTIFICATE = Certificate()


class Two:
    """A client and a server, their packets under way."""

    def __init__(self, expected: str = CERTIFICATE.fingerprint) -> None:
        self.under_way: list[tuple[int, bytes]] = []
        self.client = Dtls(CERTIFICATE, True, expected, lambda packet: self.under_way.append((1, packet)))
        self.server = Dtls(CERTIFICATE, False, expected, lambda packet: self.under_way.append((0, packet)))
        self.heard: tuple[list[bytes], list[bytes]] = ([], [])

    def run(self, drop: float = 0.0, dice: random.Random | None = None) -> None:
        while self.under_way:
            to, packet = self.under_way.pop(0)
            assert len(packet) <= MTU
            if dice is None or dice.random() >= drop:
                self.heard[to].extend((self.client, self.server)[to].receive(packet))

    def open(self) -> Two:
        self.client.start()
        self.run()
        return self


def test_both_ends_have_the_same_keys_crosswise() -> None:
    two = Two().open()
    assert two.client.state is two.server.state is DtlsState.OPEN
    assert two.client.keys
    assert two.server.keys
    assert two.client.keys.ours == two.server.keys.theirs
    assert two.client.keys.theirs == two.server.keys.ours
    assert two.client.keys.profile.name == "AEAD_AES_128_GCM"


def test_application_data_goes_both_ways() -> None:
    two = Two().open()
    two.client.send(b"ping")
    two.server.send(b"pong" * 100)
    two.run()
    assert two.heard == ([b"pong" * 100], [b"ping"])


def test_certificate_other_than_announced_fails_the_channel() -> None:
    two = Two(expected=":".join(["00"] * 32)).open()
    assert two.client.failure is two.server.failure is Failure.WRONG_CERTIFICATE
    assert two.client.keys is None


def test_close_is_seen_at_once() -> None:
    two = Two().open()
    two.client.close()
    two.run()
    assert two.server.failure is Failure.PEER_CLOSED


def test_lost_flights_are_sent_again() -> None:
    two = Two()
    two.client.start()
    two.under_way.clear()
    due = two.client.poll(0.0)
    assert 0.1 < due < 2.0


def test_damaged_and_repeated_packets_do_not_end_an_open_channel() -> None:
    two = Two().open()
    two.client.send(b"one")
    packet = two.under_way[0][1]
    two.server.receive(bytes([packet[0]]) + bytes(len(packet) - 1))
    two.server.receive(packet[:-1] + bytes([packet[-1] ^ 1]))
    assert two.server.receive(packet) == [b"one"]
    assert two.server.receive(packet) == []
    assert two.server.state is DtlsState.OPEN


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5))
def test_noise_is_survived_before_and_after_the_handshake(noise: list[bytes]) -> None:
    for dtls in (Two().server, Two().open().server):
        for packet in noise:
            dtls.receive(packet)
            dtls.receive(b"\x16\xfe\xfd" + packet)


def test_audio_is_protected_and_neither_replayed_nor_forged() -> None:
    two = Two().open()
    assert two.client.keys
    assert two.server.keys
    one, other = Srtp(two.client.keys), Srtp(two.server.keys)
    packet = b"\x80\x6f" + bytes(10) + b"speech"
    sealed = one.protect(packet)
    assert b"speech" not in sealed
    assert other.unprotect(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert other.unprotect(sealed) == packet
    assert other.unprotect(sealed) is None
    assert other.unprotect(bytes(5)) is None
    assert other.unprotect(bytes(3000)) is None
    report = b"\x80\xc9\x00\x01" + bytes(4)
    assert other.unprotect_rtcp(one.protect_rtcp(report)) == report


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_records_are_sent_in_packets_that_fit(size: int) -> None:
    two = Two().open()
    for _ in range(5):
        two.client.send(bytes(size))
    assert all(len(packet) <= MTU for _, packet in two.under_way)
