from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall.messages import (
    Candidates,
    Content,
    InitialSetup,
    MediaState,
    MessageError,
    NegotiateChannels,
    PayloadType,
    parse,
)

FINGERPRINT = ":".join(["AB"] * 32)
OPUS = PayloadType(111, "opus", 48_000, 2)


@pytest.mark.parametrize(
    "message",
    [
        InitialSetup("abcd", "p" * 24, "actpass", FINGERPRINT),
        Candidates(("candidate:1 1 udp 1 192.0.2.1 5000 typ host",)),
        NegotiateChannels(0xFFFF_FFFF, (Content("audio", 0xDEAD_BEEF, (OPUS,)),)),
        MediaState(muted=True),
    ],
)
def test_what_is_encoded_is_read_again(message: Any) -> None:
    assert parse(message.encode()) == message


def test_unknown_types_are_passed_over() -> None:
    assert parse(b'{"@type": "OfTomorrow", "x": 1}') is None
    assert parse(b"{}") is None


def test_newer_callers_setup_is_read_with_what_we_need_not_know() -> None:
    body = json.loads(InitialSetup("abcd", "p" * 24, "actpass", FINGERPRINT).encode())
    body |= {"renomination": True, "tomorrow": {"a": []}}
    body["fingerprints"].insert(0, {"hash": "sha-1", "setup": "actpass", "fingerprint": "AA"})
    assert parse(json.dumps(body).encode()) == InitialSetup("abcd", "p" * 24, "actpass", FINGERPRINT)


@pytest.mark.parametrize("ssrc", [4_000_000_000, "4000000000", -294_967_296, "-294967296"])
def test_numbers_come_as_numbers_or_as_text_signed_or_not(ssrc: object) -> None:
    body = {"@type": "NegotiateChannels", "exchangeId": "7", "contents": [{"type": "audio", "ssrc": ssrc}]}
    message = parse(json.dumps(body).encode())
    assert isinstance(message, NegotiateChannels)
    assert message.contents[0].ssrc == 4_000_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"nonsense",
        b"[" * 60_000,
        b"\xff\xfe",
        b'{"@type":"InitialSetup"}',
        b'{"@type":"Candidates","candidates":"many"}',
        b'{"@type":"NegotiateChannels","exchangeId":1e400,"contents":[]}',
        b'{"@type":"NegotiateChannels","exchangeId":' + b"9" * 5000 + b',"contents":[]}',
        b'{"@type":"NegotiateChannels","exchangeId":true,"contents":[]}',
        json.dumps({"@type": "Candidates", "candidates": [{"sdpString": "x"}] * 100}).encode(),
        b'{"a":"' + b"x" * 70_000 + b'"}',
    ],
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        parse(data)


@pytest.mark.parametrize("pwd", ["short", "p" * 500, "with space" * 3, 7])
def test_credentials_that_break_the_grammar_are_refused(pwd: object) -> None:
    body = json.loads(InitialSetup("abcd", "p" * 24, "actpass", FINGERPRINT).encode()) | {"pwd": pwd}
    with pytest.raises(MessageError):
        parse(json.dumps(body).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
FIELDS = [
    "ufrag", "pwd", "fingerprints", "candidates", "sdpString", "contents", "exchangeId", "ssrc", "type",
    "payloadTypes", "id", "name", "clockrate", "channels", "muted", "hash", "setup", "fingerprint",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["InitialSetup", "Candidates", "NegotiateChannels", "MediaState"]),
    st.dictionaries(
        st.sampled_from(FIELDS),
        st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON | st.lists(JSON, max_size=3)), max_size=4) | JSON,
    ),
)
def test_any_json_is_read_or_refused(kind: str, body: dict[str, Any]) -> None:
    with contextlib.suppress(MessageError):
        parse(json.dumps({"@type": kind, **body}).encode())
