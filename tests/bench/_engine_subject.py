"""Our call engine in a process of its own, driven as the ntgcalls peer is; so that each can be measured alone."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from typing import Any, Final

import numpy as np
import structlog

from gateway.media.loop import BUNDLE_S, EngineLoop
from gateway.media.tgcall import Call, CallEngine, Pcm, Server

#: In the 20 ms of a frame.
_MOMENTS: Final = round(0.02 / BUNDLE_S)


class Subject:
    """JSON lines in and out, as `tests.integration.tgcall.peer` has them; says 20 ms frames of what it is given."""

    def __init__(self, engine: CallEngine) -> None:
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.calls: dict[int, Call] = {}
        self.heard: dict[int, list[Pcm]] = {}
        self.heard_at: dict[int, list[float]] = {}
        self.said: dict[int, tuple[bytes, int, int]] = {}
        self.said_at: dict[int, list[float]] = {}
        self.speech: dict[str, bytes] = {}  # one copy for all calls that say the same
        self.moments: list[list[int]] = [[] for _ in range(_MOMENTS)]
        self.keep: set[int] = set()
        self.tasks: list[asyncio.Future[None]] = []
        self.rate_hz = 8000

    def tell(self, event: str, number: int, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, "call": number, **fields}) + "\n")
        sys.stdout.flush()

    def join(self, number: int, message: dict[str, Any]) -> None:
        self.heard[number], self.heard_at[number], self.said_at[number] = [], [], []

        def on_audio(pcm: Pcm) -> None:
            if number in self.keep:
                self.heard[number].append(pcm)
                self.heard_at[number].append(time.monotonic())

        servers = [
            Server(**{**told, "peer_tag": bytes.fromhex(told["peer_tag"]) if told["peer_tag"] else None})
            for told in message["servers"]
        ]
        self.calls[number] = call = self.engine.call(
            key=base64.b64decode(message["key"]),
            outgoing=message["outgoing"],
            versions=message["versions"],
            servers=servers,
            p2p_allowed=message["p2p"],
            rate_hz=message["rate"],
            send_signal=lambda blob: self.tell("signal", number, blob=base64.b64encode(blob).decode()),
            on_audio=on_audio,
        )
        self.rate_hz = message["rate"]
        self.tasks.append(asyncio.ensure_future(self.connected(number, call)))

    async def connected(self, number: int, call: Call) -> None:
        await call.connected()
        self.tell("state", number, state="CONNECTED")

    async def speak(self) -> None:
        """Calls from a PBX come at any moment of the 20 ms, and a worker takes them in bundles."""
        start, ticks = self.loop.time(), 0
        while True:
            ticks += 1
            if any(self.moments) and not self.moments[ticks % _MOMENTS]:
                continue
            await asyncio.sleep(max(0.0, start + ticks * BUNDLE_S - self.loop.time()))
            for number in self.moments[ticks % _MOMENTS]:
                pcm, at, size = self.said[number]
                if at == 0:
                    self.said_at[number].append(time.monotonic())
                self.said[number] = pcm, (at + size) % len(pcm), size
                self.calls[number].feed(pcm[at : at + size])

    async def serve(self) -> None:
        speaking = asyncio.create_task(self.speak())
        reader = asyncio.StreamReader(limit=1 << 22)
        await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            message = json.loads(line)
            await self.obey(message["do"], message["call"], message)
        speaking.cancel()

    async def obey(self, do: str, number: int, message: dict[str, Any]) -> None:
        match do:
            case "join":
                self.join(number, message)
            case "signal":
                if number in self.calls:
                    self.calls[number].hear_signal(base64.b64decode(message["blob"]))
            case "say":
                size = self.rate_hz // 50 * 2
                pcm = base64.b64decode(message["pcm"])
                pcm = self.speech.setdefault(message["pcm"][:4000], pcm[: len(pcm) - len(pcm) % size])
                self.said[number] = pcm, 0, size
                self.moments[number % _MOMENTS].append(number)
                self.tell("say", number)
            case "keep":
                self.keep.add(number)
                self.tell("keep", number)
            case "heard":
                frames, self.heard[number] = self.heard[number], []
                times, self.heard_at[number] = self.heard_at[number], []
                pcm = np.concatenate(frames).tobytes() if frames else b""
                self.tell("heard", number, pcm=base64.b64encode(pcm).decode(), at=times)
            case "said":
                self.tell("said", number, at=self.said_at[number])
            case "late":
                self.tell("late", number, ticks=self.engine.late_ticks)
            case "stats":
                stats = self.calls[number].stats()
                self.tell("stats", number, text=str(stats), concealed_ms=stats.concealed_ms, lost=stats.lost)
            case "leave":
                self.moments[number % _MOMENTS].remove(number)
                await self.calls.pop(number).close()
                self.tell("leave", number)


async def _serve() -> None:
    async with CallEngine() as engine:
        await Subject(engine).serve()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        runner.run(_serve())
