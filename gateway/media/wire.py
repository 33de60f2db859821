"""What node and worker say to each other: JSON lines on a socket pair, no audio."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.media.model import DirectionCounters, EngineServer, EngineSetup, MediaReport

Message = dict[str, Any]

#: A signalling blob is at most 128 KiB, in base64 a third more.
LINE_BYTES: Final = 1 << 18


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"


def decode(line: bytes) -> Message:
    message: Message = json.loads(line)
    return message


def pack_bytes(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


def unpack_bytes(text: str) -> bytes:
    return base64.b64decode(text)


def pack_setup(setup: EngineSetup) -> Message:
    """Not `dataclasses.asdict`: bytes need another form."""
    message = dataclasses.asdict(setup)
    message["key"] = pack_bytes(setup.key)
    for server in message["servers"]:
        if server["peer_tag"] is not None:
            server["peer_tag"] = pack_bytes(server["peer_tag"])
    return message


def unpack_setup(message: Message) -> EngineSetup:
    servers = []
    for server in message["servers"]:
        peer_tag = server["peer_tag"]
        servers.append(EngineServer(**server | {"peer_tag": None if peer_tag is None else unpack_bytes(peer_tag)}))
    fields = message | {
        "key": unpack_bytes(message["key"]),
        "servers": tuple(servers),
        "versions": tuple(message["versions"]),
    }
    return EngineSetup(**fields)


def pack_report(report: MediaReport) -> Message:
    return dataclasses.asdict(report)


def unpack_report(message: Message) -> MediaReport:
    fields = message | {
        "to_telegram": DirectionCounters(**message["to_telegram"]),
        "to_sip": DirectionCounters(**message["to_sip"]),
    }
    return MediaReport(**fields)
