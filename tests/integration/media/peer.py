"""Telegram users at the other end of media calls: unmodified ntgcalls, in a process of its own.

`python -m tests.integration.media.peer` takes JSON lines on its standard input and answers on its standard output.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

RATE_HZ = 16000
FRAME = RATE_HZ // 100


def tone(hz: float, seconds: float, rate_hz: int, amplitude: int = 8000) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.int16)


class Users:
    """The peer process, seen from a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._signals: dict[int, Callable[[bytes], None]] = {}
        self._answers: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self.connected_at: dict[int, float] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24
        )
        users = cls(process)
        hearing = asyncio.create_task(users._hear())
        try:
            yield users
        finally:
            process.kill()
            await process.wait()
            await hearing
            assert process.stdin is not None
            process.stdin.close()

    def tell(self, do: str, number: int, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "call": number, **fields}).encode() + b"\n")

    async def ask(self, do: str, number: int, **fields: Any) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[do, number] = answer
        self.tell(do, number, **fields)
        return await answer

    def join(
        self, number: int, key: bytes, *, outgoing: bool, hz: float | None, versions: tuple[str, ...],
        on_signal: Callable[[bytes], None],
    ) -> None:  # fmt: skip
        """A user takes part in call `number`, and says a tone, or nothing."""
        self._signals[number] = on_signal
        self.tell("join", number, key=base64.b64encode(key).decode(), outgoing=outgoing, hz=hz, versions=list(versions))

    def hear_signal(self, number: int, blob: bytes) -> None:
        self.tell("signal", number, blob=base64.b64encode(blob).decode())

    async def heard(self, number: int) -> Samples:
        """What the user heard since he was last asked, at RATE_HZ."""
        answer = await self.ask("heard", number)
        return np.frombuffer(base64.b64decode(answer["pcm"]), np.int16)

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            number = message["call"]
            if message["event"] == "signal":
                self._signals[number](base64.b64decode(message["blob"]))
            elif message["event"] == "connected":
                self.connected_at[number] = time.monotonic()
            elif answer := self._answers.pop((message["event"], number), None):
                answer.set_result(message)


async def _serve() -> None:
    import ntgcalls

    loop = asyncio.get_running_loop()
    native = ntgcalls.NTgCalls()
    setting_up = asyncio.Lock()
    connected: dict[int, asyncio.Event] = {}
    signals: dict[int, asyncio.Queue[bytes]] = {}
    heard: dict[int, list[bytes]] = {}
    said: dict[int, tuple[Samples, int]] = {}
    tasks: set[asyncio.Task[None]] = set()
    frame_data = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)

    telling = threading.Lock()  # the library calls back in threads of its own

    def tell(event: str, number: int, **fields: Any) -> None:
        line = json.dumps({"event": event, "call": number, **fields}) + "\n"
        with telling:
            sys.stdout.write(line)
            sys.stdout.flush()

    def on_state(number: int, info: Any) -> None:
        if info.state == ntgcalls.ConnectionState.CONNECTED:
            tell("connected", number)
            loop.call_soon_threadsafe(connected[number].set)

    def on_frames(number: int, _mode: Any, _device: Any, frames: Any) -> None:
        heard[number].extend(frame.data for frame in frames)

    native.on_connection_change(on_state)
    native.on_frames(on_frames)
    native.on_signaling_data(lambda number, blob: tell("signal", number, blob=base64.b64encode(blob).decode()))

    async def join(number: int, message: dict[str, Any]) -> None:
        audio = ntgcalls.AudioDescription(ntgcalls.MediaSource.EXTERNAL, RATE_HZ, 1, "", True)
        media = ntgcalls.MediaDescription(microphone=audio, speaker=None, camera=None, screen=None)
        async with setting_up:
            await native.create_p2p_call(number)
            await native.set_stream_sources(number, ntgcalls.StreamMode.CAPTURE, media)
            await native.set_stream_sources(number, ntgcalls.StreamMode.PLAYBACK, media)
            await native.skip_exchange(number, base64.b64decode(message["key"]), message["outgoing"])
            await native.connect_p2p(number, [], message["versions"], True, None)
            delivering = asyncio.create_task(deliver(number))
            tasks.add(delivering)
            with contextlib.suppress(TimeoutError):  # the next one's turn must come
                async with asyncio.timeout(5):
                    await connected[number].wait()
                    await asyncio.sleep(0.1)
        if message["hz"] is not None:
            said[number] = tone(message["hz"], 1.0, RATE_HZ), 0

    async def deliver(number: int) -> None:
        while True:
            await native.send_signaling_data(number, await signals[number].get())

    async def leave(number: int) -> None:
        said.pop(number, None)
        async with setting_up:
            await native.stop(number)
        tell("leave", number)

    async def speak() -> None:
        start, ticks = loop.time(), 0
        while True:
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * 0.01 - loop.time()))
            frames = []
            for number, (samples, at) in list(said.items()):
                said[number] = samples, (at + FRAME) % samples.size
                pcm = samples[at : at + FRAME].tobytes()
                frames.append(native.send_external_frame(number, ntgcalls.StreamDevice.MICROPHONE, pcm, frame_data))
            await asyncio.gather(*frames, return_exceptions=True)

    tasks.add(asyncio.create_task(speak()))
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        message = json.loads(line)
        number = message["call"]
        match message["do"]:
            case "join":
                connected[number], signals[number], heard[number] = asyncio.Event(), asyncio.Queue(), []
                tasks.add(asyncio.create_task(join(number, message)))
            case "signal":
                signals[number].put_nowait(base64.b64decode(message["blob"]))
            case "heard":
                frames, heard[number] = heard[number], []
                tell("heard", number, pcm=base64.b64encode(b"".join(frames)).decode())
            case "leave":
                tasks.add(asyncio.create_task(leave(number)))


if __name__ == "__main__":
    asyncio.run(_serve())
