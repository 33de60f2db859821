"""What node and worker say to each other survives the way."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from gateway.media import wire
from gateway.media.model import DirectionCounters, EngineServer, EngineSetup, MediaReport


def test_an_engines_setup_arrives_as_it_was() -> None:
    setup = EngineSetup(
        key=os.urandom(256),
        outgoing=False,
        servers=(
            EngineServer(1, "192.0.2.1", "2001:db8::1", 3478, "user", "secret", turn=True, stun=True),
            EngineServer(2, "192.0.2.2", "", 598, peer_tag=os.urandom(16), tcp=True),
        ),
        versions=("13.0.0", "9.0.0"),
        p2p_allowed=True,
        custom_parameters='{"a": "\\n"}',
    )
    line = wire.encode({"setup": wire.pack_setup(setup)})
    assert line.count(b"\n") == 1
    assert wire.unpack_setup(wire.decode(line)["setup"]) == setup


def test_a_report_arrives_as_it_was() -> None:
    report = MediaReport(
        to_telegram=DirectionCounters(packets=1, lost=2, ignored=7),
        to_sip=DirectionCounters(filled_ms=20),
        engine="tgcall",
        rtt_ms=3.5,
    )
    assert wire.unpack_report(wire.decode(wire.encode(wire.pack_report(report)))) == report


@given(st.binary(max_size=2000))
def test_a_blob_arrives_as_it_was(blob: bytes) -> None:
    assert wire.unpack_bytes(wire.decode(wire.encode({"blob": wire.pack_bytes(blob)}))["blob"]) == blob


def test_the_largest_blob_fits_into_a_line() -> None:
    blob = wire.pack_bytes(bytes(1 << 17))
    assert len(wire.encode({"event": "signal", "call": "x" * 64, "blob": blob})) < wire.LINE_BYTES
