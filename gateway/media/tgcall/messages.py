"""What the two ends say to each other: JSON, read with every bound checked.

Pure. Source: measured against Telegram's own library and ntgcalls 3.0.5; candidates as in RFC 8839 §5.1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from .model import EngineError

#: No real message comes near: an offer with video has 3 kB.
LONGEST_MESSAGE: Final = 64 * 1024
MOST_CANDIDATES: Final = 32
MOST_CONTENTS: Final = 16
MOST_PAYLOAD_TYPES: Final = 64
LONGEST_WORD: Final = 256

_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")
#: ICE characters. Source: RFC 8839 §5.4.
_ICE_WORD = re.compile(r"[A-Za-z0-9+/]{4,256}")


class MessageError(EngineError):
    """A message that breaks the form; it is dropped."""


@dataclass(frozen=True, slots=True)
class InitialSetup:
    """The peer's ICE credentials, and the certificate that it will show.

    Attributes:
        setup: "actpass", "active" or "passive" (RFC 5763 §5).
        fingerprint: SHA-256, as upper-case hex pairs with colons.
    """

    ufrag: str
    pwd: str
    setup: str
    fingerprint: str

    def encode(self) -> bytes:
        prints = [{"hash": "sha-256", "setup": self.setup, "fingerprint": self.fingerprint}]
        return _encode(
            {
                "@type": "InitialSetup",
                "ufrag": self.ufrag,
                "pwd": self.pwd,
                "renomination": False,
                "fingerprints": prints,
            }
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate lines ("candidate:…"), as they are found."""

    lines: tuple[str, ...]

    def encode(self) -> bytes:
        entries = [{"sdpString": line, "sdpMid": "0", "sdpMLineIndex": 0} for line in self.lines]
        return _encode({"@type": "Candidates", "candidates": entries})


@dataclass(frozen=True, slots=True)
class PayloadType:
    id: int
    name: str
    clock_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class Content:
    """One stream that its sender offers, or that the other end accepts."""

    kind: str
    ssrc: int
    payload_types: tuple[PayloadType, ...]

    @property
    def opus(self) -> PayloadType | None:
        return next((p for p in self.payload_types if p.name.lower() == "opus" and p.clock_hz == 48_000), None)


@dataclass(frozen=True, slots=True)
class NegotiateChannels:
    """An offer of what its sender will send, or, with the same exchange id, the answer to one."""

    exchange_id: int
    contents: tuple[Content, ...]

    def encode(self) -> bytes:
        return _encode(
            {
                "@type": "NegotiateChannels",
                "exchangeId": str(self.exchange_id),
                "contents": [
                    {
                        "type": content.kind,
                        "ssrc": str(content.ssrc),
                        "payloadTypes": [_payload_json(payload) for payload in content.payload_types],
                        "rtpExtensions": [],
                    }
                    for content in self.contents
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class MediaState:
    muted: bool

    def encode(self) -> bytes:
        return _encode(
            {
                "@type": "MediaState",
                "muted": self.muted,
                "lowBattery": False,
                "videoState": "inactive",
                "videoRotation": 0,
                "screencastState": "inactive",
            }
        )


Message = InitialSetup | Candidates | NegotiateChannels | MediaState


def parse(data: bytes) -> Message | None:
    """Read a message; None for one of a type that we need not know.

    Raises:
        MessageError: It breaks the form.
    """
    if len(data) > LONGEST_MESSAGE:
        raise MessageError(f"a message of {len(data)} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MessageError("not JSON") from error
    if not isinstance(body, dict):
        raise MessageError("not an object")
    match body.get("@type"):
        case "InitialSetup":
            return _initial_setup(body)
        case "Candidates":
            return _candidates(body)
        case "NegotiateChannels":
            return _negotiate_channels(body)
        case "MediaState":
            return MediaState(muted=body.get("muted") is True)
    return None


def _initial_setup(body: dict[str, Any]) -> InitialSetup:
    ufrag, pwd = body.get("ufrag"), body.get("pwd")
    if not isinstance(ufrag, str) or not _ICE_WORD.fullmatch(ufrag):
        raise MessageError("an ufrag that is none")
    if not isinstance(pwd, str) or len(pwd) < 22 or not _ICE_WORD.fullmatch(pwd):
        raise MessageError("a pwd that is none")
    for entry in _list(body.get("fingerprints"), MOST_CONTENTS):
        if not isinstance(entry, dict) or entry.get("hash") != "sha-256":
            continue
        fingerprint, setup = entry.get("fingerprint"), entry.get("setup")
        if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint.upper()):
            raise MessageError("a fingerprint that is none")
        if setup not in ("actpass", "active", "passive"):
            raise MessageError("a setup that is none")
        return InitialSetup(ufrag, pwd, setup, fingerprint.upper())
    raise MessageError("no SHA-256 fingerprint")


def _candidates(body: dict[str, Any]) -> Candidates:
    lines = []
    for entry in _list(body.get("candidates"), MOST_CANDIDATES):
        line = entry.get("sdpString") if isinstance(entry, dict) else None
        if not isinstance(line, str) or len(line) > 4 * LONGEST_WORD:
            raise MessageError("a candidate that is none")
        lines.append(line)
    return Candidates(tuple(lines))


def _negotiate_channels(body: dict[str, Any]) -> NegotiateChannels:
    contents = []
    for entry in _list(body.get("contents"), MOST_CONTENTS):
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise MessageError("a content that is none")
        payloads = (_payload(payload) for payload in _list(entry.get("payloadTypes", []), MOST_PAYLOAD_TYPES))
        contents.append(
            Content(
                kind=entry["type"][:LONGEST_WORD],
                ssrc=_u32(entry.get("ssrc")),
                payload_types=tuple(payload for payload in payloads if payload),
            )
        )
    return NegotiateChannels(_u32(body.get("exchangeId")), tuple(contents))


def _payload(entry: object) -> PayloadType | None:
    """None for one that can't be ours, and need not be understood."""
    if not isinstance(entry, dict):
        raise MessageError("a payload type that is none")
    number, name, clock_hz, channels = (entry.get(k) for k in ("id", "name", "clockrate", "channels"))
    if not isinstance(number, int) or not isinstance(name, str) or not isinstance(clock_hz, int):
        return None
    if not 0 <= number <= 127 or len(name) > LONGEST_WORD or not 0 < clock_hz < 1 << 20:
        return None
    return PayloadType(number, name, clock_hz, channels if channels in (1, 2) else 1)


def _payload_json(payload: PayloadType) -> dict[str, object]:
    return {
        "id": payload.id,
        "name": payload.name,
        "clockrate": payload.clock_hz,
        "channels": payload.channels,
        "feedbackTypes": [],
        "parameters": {"minptime": "10", "useinbandfec": "1"},
    }


def _list(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise MessageError("a list that is none, or too long")
    return value


def _u32(value: object) -> int:
    """Numbers of 32 bits come as numbers or as text; some libraries write them signed."""
    if isinstance(value, str) and len(value) <= 11 and re.fullmatch(r"-?[0-9]+", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 31) <= value < 1 << 32:
        raise MessageError("a number that is none")
    return value & 0xFFFF_FFFF


def _encode(body: dict[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
