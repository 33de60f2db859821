from __future__ import annotations

import gzip
import os
import struct

import pytest

from gateway.media.tgcall import UnsupportedError, choose_version, library_versions
from gateway.media.tgcall.crypto import BlobError, SignallingCipher
from gateway.media.tgcall.reliable import ReliableChannel
from gateway.media.tgcall.sctp import Sctp
from gateway.media.tgcall.signalling import BareChannel, SctpChannel, gunzip, open_signalling

KEY = os.urandom(256)


def test_versions_that_speak_sdp_are_never_offered() -> None:
    assert library_versions() == ("13.0.0", "12.0.0", "9.0.0", "8.0.0")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["8.0.0", "12.0.0", "11.0.0"], "12.0.0"), (["9.0.0"], "9.0.0"), (["5.0.0", "13.0.0", "8.0.0"], "13.0.0")],
)
def test_best_common_version_is_chosen(offered: list[str], chosen: str) -> None:
    assert choose_version(offered) == chosen


@pytest.mark.parametrize("offered", [[], ["10.0.0", "11.0.0"], ["2.4.4"]])
def test_no_common_version_is_refused(offered: list[str]) -> None:
    with pytest.raises(UnsupportedError):
        choose_version(offered)


@pytest.mark.parametrize(
    ("version", "parameters", "kind"),
    [
        ("9.0.0", None, ReliableChannel),
        ("13.0.0", None, SctpChannel),
        ("13.0.0", '{"network_signaling_nosctp": true}', BareChannel),
        ("12.0.0", '{"network_signaling_nosctp": false, "of_tomorrow": [1, {"a": null}]}', SctpChannel),
        ("12.0.0", "not json at all", SctpChannel),
        ("12.0.0", "[1]", SctpChannel),
        ("12.0.0", "[" * 50_000, SctpChannel),
    ],
)
def test_version_and_parameters_decide_how_signalling_travels(
    version: str, parameters: str | None, kind: type[object]
) -> None:
    channel = open_signalling(version, parameters, SignallingCipher(KEY, True), lambda _: None)
    assert isinstance(channel, kind)


def test_transport_that_we_do_not_speak_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="KCP"):
        open_signalling("13.0.0", '{"network_kcp_experiment": true}', SignallingCipher(KEY, True), lambda _: None)


def test_bare_blobs_go_both_ways_and_replays_are_dropped() -> None:
    blobs: list[bytes] = []
    caller = BareChannel(SignallingCipher(KEY, True), blobs.append)
    callee = BareChannel(SignallingCipher(KEY, False), blobs.append)
    caller.send(b'{"a": 1}')
    assert callee.receive(blobs[0], 0.0) == [b'{"a": 1}']
    assert callee.receive(blobs[0], 0.0) == []


def test_message_that_was_not_compressed_is_read_as_well() -> None:
    callee = BareChannel(SignallingCipher(KEY, False), lambda _: None)
    sealed = SignallingCipher(KEY, True).seal(struct.pack(">I", 7) + b'{"plain": true}')
    assert callee.receive(sealed, 0.0) == [b'{"plain": true}']


def test_gzip_bomb_is_refused_without_unpacking_it() -> None:
    with pytest.raises(BlobError):
        gunzip(gzip.compress(bytes(100 << 20)))


def test_damaged_gzip_is_refused() -> None:
    whole = gzip.compress(b"hello" * 100)
    for bad in (whole[:-9], whole[:10] + b"\0\0" + whole[12:], b"\x1f\x8b"):
        with pytest.raises(BlobError):
            gunzip(bad)


def test_bad_message_on_an_association_does_not_cost_the_good_ones() -> None:
    from gateway.media.tgcall.sctp import SctpMessage

    ours: list[bytes] = []
    theirs: list[bytes] = []
    channel = SctpChannel(SignallingCipher(KEY, True), ours.append)
    channel.poll(0.0)
    peer = Sctp(theirs.append)
    peer.connect(0.0)
    peer.send(SctpMessage(0, 53, b"nonsense that no key made"))
    peer.send(SctpMessage(0, 53, SignallingCipher(KEY, False).seal(struct.pack(">I", 1) + b"good")))
    heard: list[bytes] = []
    for _ in range(6):
        for blob in [*theirs]:
            theirs.remove(blob)
            heard += channel.receive(blob, 0.1)
        for blob in [*ours]:
            ours.remove(blob)
            peer.receive(blob, 0.1)
        peer.poll(0.1)
    assert heard == [b"good"]
