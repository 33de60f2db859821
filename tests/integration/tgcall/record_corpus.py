"""Record what unmodified ntgcalls, coturn and a reflector send to each of the engine's parsers, for the fuzz tests.

`OPENBLAS_NUM_THREADS=1 python -m tests.integration.tgcall.record_corpus` writes tests/unit/tgcall/corpus.json anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from gateway.media.tgcall import CallEngine, Server, library_versions
from gateway.sandbox.network import ADDRESS, enter_private_network

from .peer import Users
from .relays import FakeReflector, coturn
from .talk import call_with_user, speak

CORPUS: Final = Path(__file__).parents[2] / "unit" / "tgcall" / "corpus.json"
#: Of so many bytes less or more, and the same beginning, one is kept: more of the same would tell nothing new.
ALIKE_BYTES: Final = 32

#: Where each kind of input enters: the attribute, and which of the arguments it is.
ENTRANCES: Final = {
    "stun": ("gateway.media.tgcall.stun.parse", 0),
    "turn": ("gateway.media.tgcall.turn.TurnClient.receive", 1),
    "reflector": ("gateway.media.tgcall.reflector.ReflectorClient.receive", 1),
    "dtls": ("gateway.media.tgcall.dtls.Dtls.receive", 1),
    "sctp": ("gateway.media.tgcall.sctp.Sctp.receive", 1),
    "rtp": ("gateway.media.tgcall.audio.parse_rtp", 0),
    "rtcp": ("gateway.media.tgcall.audio.parse_rtcp", 0),
    "opus": ("gateway.media.tgcall.opus.OpusDecoder.decode", 1),
    "reliable": ("gateway.media.tgcall.reliable._parts", 0),
    "gzip": ("gateway.media.tgcall.signalling.gunzip", 0),
    "message": ("gateway.media.tgcall.call.parse", 0),
    "candidate": ("gateway.media.tgcall.transport.parse_candidate", 0),
}


class Recorder:
    def __init__(self) -> None:
        self.kinds: dict[str, dict[tuple[bytes, int], bytes]] = {kind: {} for kind in ENTRANCES}

    def note(self, kind: str, data: Any) -> None:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        self.kinds[kind].setdefault((raw[:2], len(raw) // ALIKE_BYTES), raw)

    def listen(self, kind: str) -> contextlib.AbstractContextManager[Any]:
        target, place = ENTRANCES[kind]
        where, _, name = target.rpartition(".")
        real = _find(where, name)

        def heard(*args: Any, **rest: Any) -> Any:
            self.note(kind, args[place])
            return real(*args, **rest)

        return patch(target, heard)

    def write(self) -> None:
        found = {kind: [raw.hex() for raw in sorted(alike.values(), key=len)] for kind, alike in self.kinds.items()}
        CORPUS.write_text(json.dumps(found, indent=0) + "\n")


def _find(where: str, name: str) -> Callable[..., Any]:
    import importlib

    try:
        found = getattr(importlib.import_module(where), name)
    except ModuleNotFoundError:
        module, _, owner = where.rpartition(".")
        found = getattr(getattr(importlib.import_module(module), owner), name)
    return found  # type: ignore[no-any-return]


async def _talk() -> None:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        turn = await stack.enter_async_context(coturn(ADDRESS, folder))
        reflector = await stack.enter_async_context(FakeReflector.open(ADDRESS))
        engine = await stack.enter_async_context(CallEngine())
        users = await stack.enter_async_context(Users.open())
        networks: list[tuple[list[Server], bool]] = [([], True), ([turn], False), ([reflector.server(7)], False)]
        for number, version in enumerate(version for version in library_versions() for _ in networks):
            servers, p2p_allowed = networks[number % len(networks)]
            async with call_with_user(
                engine,
                users,
                number,
                outgoing=number % 2 == 0,
                version=version,
                hz=500,
                servers=servers,
                p2p_allowed=p2p_allowed,
            ) as side:
                await speak([side], [700], 1.0 if number else 12.0)  # reports come every 5 s or so
                users.tell("leave", number)
                await asyncio.sleep(0.3)


def main() -> None:
    enter_private_network()
    recorder = Recorder()
    with contextlib.ExitStack() as listening:
        for kind in ENTRANCES:
            listening.enter_context(recorder.listen(kind))
        asyncio.run(_talk())
    recorder.write()
    print({kind: len(alike) for kind, alike in recorder.kinds.items()})


if __name__ == "__main__":
    main()
