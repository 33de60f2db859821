"""ntgcalls behind the engine door: the maintained wrapper of Telegram's WebRTC stack (LGPL, native code)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import ntgcalls
import numpy as np

from gateway.errors import CallError, HangupCause
from gateway.media.codec import Pcm
from gateway.media.engine import Engine, EngineCall, EngineEar, EngineStatistics, Note
from gateway.media.loop import EngineLoop
from gateway.media.model import EngineServer, EngineSetup


@contextlib.asynccontextmanager
async def open_engine(_note: Note, _dtx: bool) -> AsyncIterator[Engine]:
    async with asyncio.TaskGroup() as group:
        engine = _Engine(group)
        try:
            yield engine
        finally:
            await engine.close()


class _Engine:
    """Set-ups and stops must not overlap in one process: a vector in its video codec factory is changed without a lock,
    and the heap breaks. `changing` is held around both, and 100 ms longer than until CONNECTED: less was
    measured not to be enough.
    """

    name = "ntgcalls"
    one_at_a_time = True

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.group = group
        self.versions: tuple[str, ...] = tuple(ntgcalls.NTgCalls.get_protocol().library_versions)
        self.changing = asyncio.Lock()
        self.loop: EngineLoop = asyncio.get_running_loop()  # type: ignore[assignment]  # the worker made it
        self._native: Any = None
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._halves: dict[int, bytes] = {}
        self._heard: deque[tuple[int, bytes]] = deque()
        self._woken = False

    @property
    def native(self) -> Any:
        """Its threads come with the first call: an idle worker has none."""
        if self._native is None:
            self._native = ntgcalls.NTgCalls()
            self._native.on_signaling_data(self._on_signal)
            self._native.on_connection_change(self._on_state)
            self._native.on_frames(self._on_frames)
        return self._native

    def call(self, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> EngineCall:
        number = next(self._numbers)
        self._calls[number] = call = _Call(self, number, rate_hz, setup, ear)
        return call

    def forget(self, number: int) -> None:
        self._calls.pop(number, None)
        self._halves.pop(number, None)

    async def close(self) -> None:
        for call in list(self._calls.values()):
            await call.close()

    # The next three run in threads of the library's, all calls' frames in one: they hand over, and return.

    def _on_signal(self, number: int, blob: bytes) -> None:
        self.loop.call_soon_threadsafe(self._signal, number, blob)

    def _on_state(self, number: int, info: Any) -> None:
        self.loop.call_soon_threadsafe(self._state, number, info.state)

    def _on_frames(self, number: int, _mode: Any, device: Any, frames: Any) -> None:
        """The user's voice comes on the microphone's slot, 10 ms at a time."""
        if device != ntgcalls.StreamDevice.MICROPHONE:
            return
        for frame in frames:
            half = self._halves.pop(number, None)
            if half is None:
                self._halves[number] = frame.data
                continue
            self._heard.append((number, half + frame.data))
            if not self._woken:
                self._woken = True
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._heard:
            number, pcm = self._heard.popleft()
            if call := self._calls.get(number):
                call.ear.on_audio(np.frombuffer(pcm, np.int16))

    def _signal(self, number: int, blob: bytes) -> None:
        if call := self._calls.get(number):
            call.ear.on_signal(blob)

    def _state(self, number: int, state: Any) -> None:
        if call := self._calls.get(number):
            call.moved(state)


class _Call:
    #: It gives up by itself after 10 s.
    _CONNECT_S: Final = 12.0
    _SETTLE_S: Final = 0.1
    _STOP_S: Final = 5.0

    def __init__(self, engine: _Engine, number: int, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> None:
        self.ear = ear
        self._engine = engine
        self._number = number
        self._rate_hz = rate_hz
        self._frame = rate_hz // 100
        self._setup = setup
        self._signals: asyncio.Queue[bytes] = asyncio.Queue()
        self._teller: asyncio.Task[None] | None = None
        self._connected: asyncio.Future[None] = engine.loop.create_future()
        self._open = False
        self._begun = False
        self._frame_data = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)
        self._microphone = ntgcalls.StreamDevice.MICROPHONE

    async def connect(self) -> None:
        changing = self._engine.changing
        await changing.acquire()
        self._begun = True
        try:
            async with asyncio.timeout(self._CONNECT_S):
                await self._begin()
                await self._connected
            self._open = True
        except TimeoutError:
            raise CallError(HangupCause.MEDIA_LOST, "no media connection to the Telegram user") from None
        except ntgcalls.BaseRTCException as error:
            raise CallError(HangupCause.MEDIA_LOST, f"the media engine refused the call: {error}") from error
        finally:
            if not self._open:
                await self._stop()  # half-way as it is, it would be in the next one's way
            self._engine.loop.call_later(self._SETTLE_S, changing.release)

    async def _begin(self) -> None:
        native, number = self._engine.native, self._number
        audio = ntgcalls.AudioDescription(ntgcalls.MediaSource.EXTERNAL, self._rate_hz, 1, "", True)
        media = ntgcalls.MediaDescription(microphone=audio, speaker=None, camera=None, screen=None)
        await native.create_p2p_call(number)
        await native.set_stream_sources(number, ntgcalls.StreamMode.CAPTURE, media)
        await native.set_stream_sources(number, ntgcalls.StreamMode.PLAYBACK, media)
        await native.skip_exchange(number, self._setup.key, self._setup.outgoing)
        await native.connect_p2p(
            number,
            [_native_server(server) for server in self._setup.servers],
            list(self._setup.versions),
            self._setup.p2p_allowed,
            self._setup.custom_parameters,
        )
        self._teller = self._engine.group.create_task(self._tell(), name=f"signals of call {number}")

    async def _tell(self) -> None:
        """Bring it the peer's blobs one by one: it takes them only after connect_p2p, and must have them in order."""
        while True:
            blob = await self._signals.get()
            # What it can't read it refuses; and it knows nothing of a call that has failed.
            with contextlib.suppress(ntgcalls.BaseRTCException, RuntimeError):
                await self._engine.native.send_signaling_data(self._number, blob)

    def hear_signal(self, blob: bytes) -> None:
        self._signals.put_nowait(blob)

    def moved(self, state: Any) -> None:
        states = ntgcalls.ConnectionState
        if state == states.CONNECTED:
            if not self._connected.done():
                self._connected.set_result(None)
        elif state in {states.FAILED, states.TIMEOUT, states.CLOSED}:
            why = f"the media connection to the Telegram user is {state.name.lower()}"
            if not self._connected.done():
                self._connected.set_exception(CallError(HangupCause.MEDIA_LOST, why))
            elif self._open:
                self._open = False
                self.ear.on_lost(why)

    def feed(self, pcm: Pcm) -> None:
        if not self._open:
            return
        loop, send, size = self._engine.loop, self._engine.native.send_external_frame, self._frame
        loop.at_once = True
        try:
            # A frame is exactly 10 ms: of a longer one the rest is lost.
            for start in range(0, pcm.size, size):
                send(self._number, self._microphone, pcm[start : start + size].tobytes(), self._frame_data)
        except ntgcalls.BaseRTCException:
            self.moved(ntgcalls.ConnectionState.FAILED)  # as will be told in a moment
        finally:
            loop.at_once = False

    def statistics(self) -> EngineStatistics:
        """It tells nothing of itself, not even which of the versions it chose."""
        return EngineStatistics()

    async def close(self) -> None:
        self._open = False
        self._engine.forget(self._number)
        if self._connected.done() and not self._connected.cancelled():
            self._connected.exception()  # somebody has to look at it
        if self._teller is not None:
            self._teller.cancel()
        if self._begun:
            async with self._engine.changing:
                await self._stop()

    async def _stop(self) -> None:
        self._begun = False
        with contextlib.suppress(TimeoutError, ntgcalls.BaseRTCException, RuntimeError):
            async with asyncio.timeout(self._STOP_S):
                await self._engine.native.stop(self._number)


def _native_server(server: EngineServer) -> Any:
    """A reflector is told by its peer tag, and is a relay without a login."""
    reflector = server.peer_tag is not None
    return ntgcalls.RTCServer(
        server.id,
        server.ipv4,
        server.ipv6,
        server.port,
        None if reflector else server.username,
        None if reflector else server.password,
        reflector or server.turn,
        server.stun,
        server.tcp,
        server.peer_tag,
    )
