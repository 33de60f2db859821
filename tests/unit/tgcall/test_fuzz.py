"""Every parser on damaged forms of what real peers sent it: nothing but what it documents comes out, at a bounded cost.

The corpus is recorded from unmodified ntgcalls, coturn and a reflector by `tests.integration.tgcall.record_corpus`.
"""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall import reflector, stun, turn
from gateway.media.tgcall.audio import Receiver
from gateway.media.tgcall.candidate import parse_candidate
from gateway.media.tgcall.crypto import BlobError, SignallingCipher
from gateway.media.tgcall.datachannel import DataChannel
from gateway.media.tgcall.dtls import Certificate, Dtls
from gateway.media.tgcall.ice import IceAgent
from gateway.media.tgcall.messages import MessageError, NegotiateChannels, parse
from gateway.media.tgcall.negotiation import Negotiation, Stream
from gateway.media.tgcall.opus import OpusDecoder
from gateway.media.tgcall.reflector import ReflectorClient
from gateway.media.tgcall.reliable import ReliableChannel
from gateway.media.tgcall.rtp import parse_rtcp, parse_rtp
from gateway.media.tgcall.sctp import Sctp
from gateway.media.tgcall.sctpwire import crc32c
from gateway.media.tgcall.signalling import gunzip, parse_parameters
from gateway.media.tgcall.turn import TurnClient

from .network import Network

CORPUS: Final[dict[str, list[bytes]]] = {
    kind: [bytes.fromhex(sample) for sample in samples]
    for kind, samples in json.loads((Path(__file__).parent / "corpus.json").read_text()).items()
}
#: What one packet may make us hold at a time, whatever it claims: its own copies, and the buffers of libraries.
MOST_BYTES: Final = 1 << 20
KEY: Final = bytes(range(256))
CERTIFICATE: Final = Certificate()


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """A sample with some bytes changed, taken out, put in, or replaced by part of another."""
    data = bytearray(draw(st.sampled_from(CORPUS[kind])))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 8))
        match draw(st.sampled_from(["flip", "extreme", "cut", "repeat", "noise", "splice"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "extreme":
                data[at : at + size] = draw(st.sampled_from([b"\x00", b"\xff", b"\x7f"])) * size
            case "cut":
                del data[at : draw(st.sampled_from([at + size, len(data)]))]
            case "repeat":
                data[at:at] = data[max(0, at - 4 * size) : at]
            case "noise":
                data[at : at + size] = draw(st.binary(min_size=size, max_size=size))
            case "splice":
                other = draw(st.sampled_from(CORPUS[kind]))
                data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data[:8192])


def _stun(data: bytes) -> None:
    agent, network = IceAgent(True), Network()
    path = network.host(agent, "a")[0]
    agent.receive(data, path, ("b", 1), 0.0)
    message = stun.parse(data)
    if message is not None:
        for attribute in message.attributes:
            message.u32(attribute), message.u64(attribute), message.address(attribute)


def _turn(data: bytes) -> None:
    client = TurnClient("user", "secret", lambda _: None)
    client.start(0.0)
    transaction = next(iter(client._requests))
    client.receive(data, 0.0)
    client.receive(data[:8] + transaction + data[20:], 0.0)  # as an answer to what was asked
    with contextlib.suppress(ValueError):
        turn.split(bytearray(data))


def _reflector(data: bytes) -> None:
    tag = CORPUS["reflector"][0][:16]
    client = ReflectorClient(1, ("192.0.2.1", 598), tag, lambda _: None)
    client.receive(data, 0.0)
    client.receive(tag[:12] + data[12:], 0.0)
    with contextlib.suppress(ValueError):
        reflector.split(bytearray(data))


def _dtls(data: bytes) -> None:
    for client in (True, False):
        channel = Dtls(CERTIFICATE, client, CERTIFICATE.fingerprint, lambda _: None)
        channel.start()
        channel.receive(data)
        channel.poll(0.0)


def _sctp(data: bytes) -> None:
    """Before an association stands, and as part of one that does."""
    DataChannel(True, lambda _: None, 0.0).receive(data, 0.0)
    under_way: list[tuple[Sctp, bytes]] = []
    end, other = (
        Sctp(lambda packet: under_way.append((other, packet))),
        Sctp(lambda packet: under_way.append((end, packet))),
    )
    end.connect(0.0)
    while under_way:
        to, packet = under_way.pop(0)
        to.receive(packet, 0.0)
    for tag in (bytes(4), end._tag.to_bytes(4, "big")):
        packet = data[:4] + tag + bytes(4) + data[12:]
        end.receive(packet[:8] + crc32c(packet) + packet[12:], 0.0)
        end.poll(0.0)


def _rtp(data: bytes) -> None:
    parse_rtp(data)
    receiver = Receiver(8000, lambda at: at)
    with contextlib.closing(receiver):
        receiver.listen_to(Stream(int.from_bytes(data[8:12], "big"), 111))
        receiver.buffer.pull(0.0)
        receiver.hear(data, 0.01)
        for n in range(1, 8):
            assert len(receiver.buffer.pull(n * 0.02)) == 160


def _opus(data: bytes) -> None:
    with contextlib.closing(OpusDecoder(16_000)) as decoder:
        assert 0 < len(decoder.decode(data)) <= 1920
        assert len(decoder.restore(data, 320)) == 320


def _reliable(data: bytes) -> None:
    channel = ReliableChannel(SignallingCipher(KEY, True), lambda _: None)
    with contextlib.suppress(BlobError):  # what is too short for a blob
        assert sum(map(len, channel.receive(SignallingCipher(KEY, False).seal(data), 0.0))) <= len(data)
    channel.poll(0.0)


def _gzip(data: bytes) -> None:
    with contextlib.suppress(BlobError):
        gunzip(data)


def _message(data: bytes) -> None:
    parse_parameters(data.decode(errors="replace"))
    with contextlib.suppress(MessageError):
        message = parse(data)
        if isinstance(message, NegotiateChannels):
            for negotiation in (Negotiation(True, 1), Negotiation(False, 1)):
                assert len(negotiation.hear(message, 0.0)) <= 2


PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "stun": _stun,
    "turn": _turn,
    "reflector": _reflector,
    "dtls": _dtls,
    "sctp": _sctp,
    "rtp": _rtp,
    "rtcp": parse_rtcp,
    "opus": _opus,
    "reliable": _reliable,
    "gzip": _gzip,
    "message": _message,
    "candidate": lambda data: parse_candidate(data.decode(errors="replace")),
}


def test_every_kind_has_samples() -> None:
    assert {kind for kind, samples in CORPUS.items() if samples} == set(PARSERS)


@pytest.mark.parametrize("kind", PARSERS)
def test_whole_samples_are_taken(kind: str) -> None:
    for sample in CORPUS[kind]:
        PARSERS[kind](sample)


@pytest.mark.parametrize("kind", PARSERS)
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_samples_are_survived(kind: str, data: st.DataObject) -> None:
    PARSERS[kind](data.draw(damaged(kind)))


#: A length of each width that says that much more follows than does.
CLAIMS: Final = [b"\xff", b"\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\xff" * 8]


@pytest.mark.parametrize("kind", PARSERS)
def test_claimed_lengths_cost_no_memory(kind: str) -> None:
    """Every place of a sample in turn claims a great length."""
    parser, sample = PARSERS[kind], min(CORPUS[kind], key=len)
    parser(sample)  # what is made once only
    tracemalloc.start()
    try:
        for at in range(min(len(sample), 120)):
            for claim in CLAIMS:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                parser(sample[:at] + claim + sample[at + len(claim) :])
                assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES
    finally:
        tracemalloc.stop()
