from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.tgcall.crypto import BlobError, SignallingCipher
from gateway.media.tgcall.reliable import LONGEST_PACKET, ReliableChannel

KEY = os.urandom(256)


class Ends:
    """Two channels on a network of blobs that loses, repeats and reorders, in virtual time."""

    def __init__(self, drop: Callable[[], bool] = lambda: False, copies: int = 1, shuffle: bool = False) -> None:
        self.now = 0.0
        self.blobs = 0
        self.under_way: list[tuple[int, bytes]] = []
        self.received: tuple[list[bytes], list[bytes]] = ([], [])
        self._drop, self._copies, self._shuffle = drop, copies, shuffle
        self.ends = [
            ReliableChannel(SignallingCipher(KEY, n == 0), lambda blob, n=n: self._carry(1 - n, blob))  # type: ignore[misc]
            for n in (0, 1)
        ]

    def _carry(self, to: int, blob: bytes) -> None:
        self.blobs += 1
        if not self._drop():
            self.under_way += [(to, blob)] * self._copies

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1)):
            self.now += 0.1
            blobs, self.under_way = self.under_way, []
            if self._shuffle:
                random.Random(1).shuffle(blobs)
            for to, blob in blobs:
                self.received[to].extend(self.ends[to].receive(blob, self.now))
                self.ends[to].poll(self.now)
            for end in self.ends:
                end.poll(self.now)


def test_messages_arrive_in_order_and_once() -> None:
    link = Ends()
    for n in range(10):
        link.ends[0].send(b"%d" % n)
        link.run(0.1)
    link.run(1)
    assert link.received[1] == [b"%d" % n for n in range(10)]


def test_messages_queued_together_go_in_one_blob() -> None:
    link = Ends()
    for n in range(5):
        link.ends[0].send(b"%d" % n)
    link.ends[0].poll(0.0)
    assert link.blobs == 1
    link.run(1)
    assert link.received[1] == [b"%d" % n for n in range(5)]


@pytest.mark.parametrize("loss", [0.3, 0.6])
def test_lost_blobs_are_sent_again(loss: float) -> None:
    dice = random.Random(4)
    link = Ends(drop=lambda: dice.random() < loss)
    for n in range(8):
        link.ends[0].send(b"a%d" % n)
        link.ends[1].send(b"b%d" % n)
        link.run(0.5)
    link.run(120)
    assert sorted(link.received[1]) == [b"a%d" % n for n in range(8)]
    assert sorted(link.received[0]) == [b"b%d" % n for n in range(8)]


def test_repeated_and_reordered_blobs_are_heard_once() -> None:
    link = Ends(copies=3, shuffle=True)
    for n in range(6):
        link.ends[0].send(b"%d" % n)
        link.run(0.1)
    link.run(20)
    assert sorted(link.received[1]) == [b"%d" % n for n in range(6)]


def test_acknowledged_messages_are_not_repeated() -> None:
    link = Ends()
    link.ends[0].send(b"hello")
    link.run(1)
    blobs = link.blobs
    link.run(60)
    assert link.blobs == blobs


def test_peer_that_never_acknowledges_does_not_make_us_hoard() -> None:
    link = Ends(drop=lambda: True)
    for _ in range(1000):
        link.ends[0].send(bytes(100))
    assert len(link.ends[0]._unacked) <= 64


def test_packet_never_exceeds_the_peers_limit() -> None:
    sizes: list[int] = []
    channel = ReliableChannel(SignallingCipher(KEY, True), lambda blob: sizes.append(len(blob)))
    for _ in range(10):
        channel.send(bytes(5000))
    channel.poll(0.0)
    assert max(sizes) <= LONGEST_PACKET + 16


@given(st.binary(min_size=4, max_size=300))
def test_any_plain_text_of_the_right_key_is_survived(plain: bytes) -> None:
    channel = ReliableChannel(SignallingCipher(KEY, True), lambda _: None)
    blob = SignallingCipher(KEY, False).seal(plain + b"\0")
    for message in channel.receive(blob, 0.0):
        assert len(message) <= len(plain)
    channel.poll(0.0)


def test_blob_of_another_key_is_refused() -> None:
    channel = ReliableChannel(SignallingCipher(KEY, True), lambda _: None)
    with pytest.raises(BlobError):
        channel.receive(SignallingCipher(os.urandom(256), False).seal(bytes(50)), 0.0)
