"""Telegram users at the other end: unmodified ntgcalls, in a process of its own, for it may crash.

`python -m tests.integration.tgcall.peer` takes JSON lines on its standard input and answers on its standard output.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gateway.media.loop import EngineLoop
from gateway.media.tgcall import Server

Samples = npt.NDArray[np.int16]

RATE_HZ = 16000


def tone(hz: float, seconds: float, rate_hz: int, amplitude: int = 8000) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.int16)


def loudest_hz(samples: Samples, rate_hz: int) -> float:
    """The strongest frequency, or 0 of silence: level is no witness, for apps process their audio."""
    if samples.size < rate_hz // 4 or np.abs(samples).max() < 300:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(spectrum.argmax() * rate_hz / samples.size)


class Users:
    """The peer process, seen from a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._signals: dict[int, Callable[[bytes], None]] = {}
        self._answers: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self.states: dict[int, list[str]] = {}
        self.sources: dict[int, list[str]] = {}
        self._connected: dict[int, asyncio.Event] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, module: str = __name__) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24
        )
        users = cls(process)
        hearing = asyncio.create_task(users._hear())
        try:
            yield users
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await hearing
            assert process.stdin is not None
            process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, do: str, number: int, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "call": number, **fields}).encode() + b"\n")

    async def ask(self, do: str, number: int, **fields: Any) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[do, number] = answer
        self.tell(do, number, **fields)
        async with asyncio.timeout(10):
            return await answer

    def join(
        self,
        number: int,
        key: bytes,
        *,
        outgoing: bool,
        versions: Sequence[str],
        on_signal: Callable[[bytes], None],
        hz: float | None = None,
        servers: Sequence[Server] = (),
        p2p_allowed: bool = True,
        rate_hz: int = RATE_HZ,
    ) -> None:
        """A user takes part in call `number`, and says a tone, or nothing."""
        self._signals[number] = on_signal
        told = [
            {**dataclasses.asdict(s), "peer_tag": s.peer_tag.hex() if s.peer_tag is not None else None} for s in servers
        ]
        self.tell(
            "join",
            number,
            key=base64.b64encode(key).decode(),
            outgoing=outgoing,
            hz=hz,
            versions=list(versions),
            servers=told,
            p2p=p2p_allowed,
            rate=rate_hz,
        )

    def hear_signal(self, number: int, blob: bytes) -> None:
        self.tell("signal", number, blob=base64.b64encode(blob).decode())

    async def connected(self, number: int) -> None:
        await self._connected.setdefault(number, asyncio.Event()).wait()

    async def heard(self, number: int) -> Samples:
        """What the user heard since he was last asked, at his rate."""
        answer = await self.ask("heard", number)
        return np.frombuffer(base64.b64decode(answer["pcm"]), np.int16)

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            number = message["call"]
            match message["event"]:
                case "signal":
                    self._signals[number](base64.b64decode(message["blob"]))
                case "state":
                    self.states.setdefault(number, []).append(message["state"])
                    if message["state"] == "CONNECTED":
                        self._connected.setdefault(number, asyncio.Event()).set()
                case "source":
                    self.sources.setdefault(number, []).append(message["state"])
                case event:
                    answer = self._answers.pop((event, number), None)
                    if answer and not answer.done():  # nobody waits any more
                        answer.set_result(message)


class _Process:
    """The inside of the peer process. Set-ups and stops don't overlap: the library would corrupt its heap."""

    def __init__(self) -> None:
        import ntgcalls

        self.library = ntgcalls
        self.loop: EngineLoop = asyncio.get_running_loop()  # type: ignore[assignment]  # made below
        self.telling = threading.Lock()  # the library calls back in threads of its own
        self.native = ntgcalls.NTgCalls()
        self.setting_up = asyncio.Lock()
        self.connected: dict[int, asyncio.Event] = {}
        self.signals: dict[int, asyncio.Queue[bytes]] = {}
        self.heard: dict[int, list[bytes]] = {}
        self.heard_at: dict[int, list[float]] = {}
        self.said_at: dict[int, list[float]] = {}
        self.rates: dict[int, int] = {}
        self.said: dict[int, tuple[Samples, int]] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.frame_data = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)
        self.native.on_connection_change(self.on_state)
        self.native.on_frames(self.on_frames)
        self.native.on_remote_source_change(lambda n, s: self.tell("source", n, state=s.state.name))
        self.native.on_signaling_data(lambda n, blob: self.tell("signal", n, blob=base64.b64encode(blob).decode()))

    def tell(self, event: str, number: int, **fields: Any) -> None:
        line = json.dumps({"event": event, "call": number, **fields}) + "\n"
        with self.telling:
            sys.stdout.write(line)
            sys.stdout.flush()

    def on_state(self, number: int, info: Any) -> None:
        self.tell("state", number, state=info.state.name)
        if info.state != self.library.ConnectionState.CONNECTING:
            self.loop.call_soon_threadsafe(self.connected[number].set)

    def on_frames(self, number: int, _mode: Any, _device: Any, frames: Any) -> None:
        now = time.monotonic()
        self.heard[number].extend(frame.data for frame in frames)
        self.heard_at[number].extend(now for _ in frames)

    def start(self, name: str, work: Any) -> None:
        self.tasks[name] = asyncio.create_task(work)

    async def join(self, number: int, message: dict[str, Any]) -> None:
        library, native = self.library, self.native
        rate_hz = message["rate"]
        audio = library.AudioDescription(library.MediaSource.EXTERNAL, rate_hz, 1, "", True)
        media = library.MediaDescription(microphone=audio, speaker=None, camera=None, screen=None)
        async with self.setting_up:
            await native.create_p2p_call(number)
            await native.set_stream_sources(number, library.StreamMode.CAPTURE, media)
            await native.set_stream_sources(number, library.StreamMode.PLAYBACK, media)
            await native.skip_exchange(number, base64.b64decode(message["key"]), message["outgoing"])
            servers = [self.server(server) for server in message["servers"]]
            await native.connect_p2p(number, servers, message["versions"], message["p2p"], None)
            self.start(f"signals {number}", self.deliver(number))
            with contextlib.suppress(TimeoutError):  # the next one's turn must come
                async with asyncio.timeout(5):
                    await self.connected[number].wait()
                    await asyncio.sleep(0.1)
        if message["hz"] is not None:
            self.said[number] = tone(message["hz"], 1.0, rate_hz), 0

    def server(self, told: dict[str, Any]) -> Any:
        tag = bytes.fromhex(told["peer_tag"]) if told["peer_tag"] is not None else None
        return self.library.RTCServer(
            told["id"], told["ipv4"], told["ipv6"], told["port"], told["username"], told["password"],
            told["turn"] or tag is not None, told["stun"], told["tcp"], tag,
        )  # fmt: skip

    async def deliver(self, number: int) -> None:
        while True:
            blob = await self.signals[number].get()
            with contextlib.suppress(self.library.BaseRTCException):
                await self.native.send_signaling_data(number, blob)

    async def exchange(self, number: int, message: dict[str, Any]) -> None:
        """Make a key with somebody, as the caller."""
        native = self.native
        prime = bytes.fromhex(message["prime"])
        await native.create_p2p_call(number)
        await native.init_exchange(number, self.library.DhConfig(message["g"], prime, os.urandom(256)), None)
        made = await native.exchange_keys(number, bytes.fromhex(message["g_b"]), 0)
        emoji = await native.get_emojis_fingerprint(number)
        self.tell("exchange", number, g_a=made.g_a_or_b.hex(), fingerprint=made.key_fingerprint, emoji=emoji)

    async def leave(self, number: int) -> None:
        self.said.pop(number, None)
        async with self.setting_up:
            self.tasks.pop(f"signals {number}").cancel()
            await self.native.stop(number)
        self.heard.pop(number)
        self.tell("leave", number)

    async def speak(self) -> None:
        start, ticks = self.loop.time(), 0
        microphone = self.library.StreamDevice.MICROPHONE
        while True:
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * 0.01 - self.loop.time()))
            for number, (samples, at) in list(self.said.items()):
                frame = self.rates[number] // 100
                if at == 0:
                    self.said_at[number].append(time.monotonic())
                self.said[number] = samples, (at + frame) % samples.size
                pcm = samples[at : at + frame].tobytes()
                self.send(number, microphone, pcm)

    def send(self, number: int, microphone: Any, pcm: bytes) -> None:
        self.loop.at_once = True
        try:
            with contextlib.suppress(self.library.BaseRTCException):
                self.native.send_external_frame(number, microphone, pcm, self.frame_data)
        finally:
            self.loop.at_once = False

    async def serve(self) -> None:
        self.start("speak", self.speak())
        reader = asyncio.StreamReader(limit=1 << 20)
        await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            message = json.loads(line)
            await self.obey(message["do"], message["call"], message)

    async def obey(self, do: str, number: int, message: dict[str, Any]) -> None:
        match do:
            case "join":
                self.connected[number], self.signals[number] = asyncio.Event(), asyncio.Queue()
                self.heard[number], self.heard_at[number], self.said_at[number] = [], [], []
                self.rates[number] = message["rate"]
                self.start(f"join {number}", self.join(number, message))
            case "signal":
                if number in self.signals:
                    self.signals[number].put_nowait(base64.b64decode(message["blob"]))
            case "say":
                self.said[number] = np.frombuffer(base64.b64decode(message["pcm"]), np.int16), 0
                self.tell("say", number)
            case "heard":
                frames, self.heard[number] = self.heard[number], []
                times, self.heard_at[number] = self.heard_at[number], []
                self.tell("heard", number, pcm=base64.b64encode(b"".join(frames)).decode(), at=times)
            case "said":
                self.tell("said", number, at=self.said_at[number])
            case "mute" | "unmute":
                await getattr(self.native, do)(number)
                self.tell(do, number)
            case "exchange":
                await self.exchange(number, message)
            case "leave":
                self.start(f"leave {number}", self.leave(number))


async def _serve() -> None:
    await _Process().serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        runner.run(_serve())
