"""The voice and the ears of robots: Telegram's call media by ntgcalls, sounds to say, recordings of what was heard.

ntgcalls is native code with its own threads, so this lives in the robots' processes alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import ntgcalls
import numpy as np
import structlog

from gateway.sandbox import audio
from gateway.sandbox.behaviour import CallReport
from gateway.sandbox.mtproto import TL

log = structlog.get_logger(__name__)

#: ntgcalls takes and gives 10 ms at a time, and does not check it.
FRAME_S: Final = 0.01
#: A vector in its video codec factory is changed without a lock: set-ups and stops must not overlap, and this much
#: longer than until CONNECTED was measured to be needed.
SETTLE_S: Final = 0.1
#: ntgcalls gives up after 10 s by itself.
CONNECT_S: Final = 11
#: Beyond this, what was not sent in time is left out: a late burst would only raise the peer's delay.
BEHIND_S: Final = 0.1


class VoiceError(Exception):
    """The media of a call failed; the text says how."""


class Sound(Protocol):
    """What a robot says, in frames."""

    def due(self) -> Sequence[bytes]:
        """What to say now; asked every 10 ms."""

    def hear(self, frame: bytes) -> None: ...


class Looped:
    """A sound that begins after a while, once or over and over."""

    def __init__(
        self, pcm: audio.Pcm, rate_hz: int, after_s: float, *, repeat: bool, began: Callable[[], None]
    ) -> None:
        size = int(rate_hz * FRAME_S)
        whole = np.concatenate([pcm, np.zeros(-len(pcm) % size, np.int16)])
        self._frames = [whole[at : at + size].tobytes() for at in range(0, len(whole), size)]
        self._silence = bytes(2 * size)
        self._wait = round(after_s / FRAME_S)
        self._repeat = repeat
        self._began = began
        self._at = 0

    def due(self) -> Sequence[bytes]:
        if self._wait > 0:
            self._wait -= 1
            return (self._silence,)
        if self._at == 0:
            self._began()
        at, self._at = self._at, self._at + 1
        if self._repeat:
            return (self._frames[at % len(self._frames)],)
        return (self._frames[at] if at < len(self._frames) else self._silence,)

    def hear(self, frame: bytes) -> None:
        pass


class Echo:
    """Says what it hears, at once, and at the pace at which it hears: a pace of its own would leave gaps."""

    def __init__(self) -> None:
        self._heard: list[bytes] = []

    def due(self) -> Sequence[bytes]:
        heard, self._heard = self._heard, []
        return heard

    def hear(self, frame: bytes) -> None:
        self._heard.append(frame)


def sound(what: str, rate_hz: int, after_s: float, began: Callable[[], None]) -> Sound:
    """Make the sound that a `Behaviour` names. Raises `VoiceError` when there is none such."""
    kind, _, name = what.partition(":")
    try:
        match kind:
            case "silence":
                return Looped(np.zeros(1, np.int16), rate_hz, after_s, repeat=True, began=lambda: None)
            case "echo":
                return Echo()
            case "tone":
                # A whole second of a whole number of hertz repeats without a seam.
                return Looped(audio.tone(round(float(name)), 1, rate_hz), rate_hz, after_s, repeat=True, began=began)
            case "speech":
                return Looped(audio.speech(name, rate_hz), rate_hz, after_s, repeat=False, began=began)
        pcm, stored_hz = audio.read_wav(Path(what))
        return Looped(audio.resampled(pcm, stored_hz, rate_hz), rate_hz, after_s, repeat=False, began=began)
    except (OSError, ValueError) as error:
        raise VoiceError(f"no such sound: {what}: {error}") from error


class Voice:
    """The media of one call. Used once."""

    def __init__(
        self,
        engine: Any,
        number: int,
        report: CallReport,
        what: Sound,
        rate_hz: int,
        send_signal: Callable[[bytes], None],
        *,
        record: bool,
    ) -> None:
        self._engine = engine
        self.number = number
        self._report = report
        self._sound = what
        self._rate_hz = rate_hz
        self.send_signal = send_signal
        self._recorded: list[bytes] | None = [] if record else None
        self._waiting_signals: list[bytes] | None = []
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def connect(self, key: bytes, established: TL, *, outgoing: bool) -> None:
        """Connect; returns once audio can flow. No other may be set up or stopped meanwhile.

        Raises:
            VoiceError: No path to the peer.
            TimeoutError: Nothing came of it.
        """
        description = ntgcalls.AudioDescription(ntgcalls.MediaSource.EXTERNAL, self._rate_hz, 1, "", True)
        media = ntgcalls.MediaDescription(microphone=description, speaker=None, camera=None, screen=None)
        await self._engine.create_p2p_call(self.number)
        await self._engine.set_stream_sources(self.number, ntgcalls.StreamMode.CAPTURE, media)
        await self._engine.set_stream_sources(self.number, ntgcalls.StreamMode.PLAYBACK, media)
        await self._engine.skip_exchange(self.number, key, outgoing)
        await self._engine.connect_p2p(
            self.number,
            [_server(connection) for connection in established.connections],
            established.protocol.library_versions,
            bool(established.p2p_allowed),
            established.custom_parameters.data if established.custom_parameters else None,
        )
        waiting, self._waiting_signals = self._waiting_signals or [], None
        for blob in waiting:
            await self._engine.send_signaling_data(self.number, blob)
        async with asyncio.timeout(CONNECT_S):
            either: set[asyncio.Future[Any]] = {self.connected, self.failed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            raise VoiceError(self.failed.result())

    async def hear_signal(self, blob: bytes) -> None:
        """A blob from the peer; those that come before the connection is begun wait, in order."""
        if self._waiting_signals is not None:
            self._waiting_signals.append(blob)
        else:
            with contextlib.suppress(ntgcalls.ConnectionNotFound):
                await self._engine.send_signaling_data(self.number, blob)

    def due(self) -> Sequence[bytes]:
        return self._sound.due()

    def hear(self, at: float, frame: bytes) -> None:
        if self._report.first_heard_at is None:
            self._report.first_heard_at = at
        self._report.heard_frames += 1
        if self._recorded is not None:
            self._recorded.append(frame)
        self._sound.hear(frame)

    def recording(self) -> audio.Pcm:
        return np.frombuffer(b"".join(self._recorded or ()), dtype=np.int16)

    def write(self, path: Path) -> None:
        audio.write_wav(path, self.recording(), self._rate_hz)


class Voices:
    """All calls of this process: one engine, one clock."""

    def __init__(self) -> None:
        self._engine = ntgcalls.NTgCalls()
        self._voices: dict[int, Voice] = {}
        self._numbers = itertools.count(1)
        self._changing = asyncio.Lock()
        self._settled_at = 0.0
        self._heard: deque[tuple[float, int, list[bytes]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._engine.on_frames(self._on_frames)
        self._engine.on_signaling_data(
            lambda number, blob: self._loop.call_soon_threadsafe(self._on_signal, number, bytes(blob))
        )
        self._engine.on_connection_change(
            lambda number, info: self._loop.call_soon_threadsafe(self._on_state, number, info.state)
        )

    @staticmethod
    def protocol() -> Any:
        """What the engine speaks, to be offered to peers."""
        return ntgcalls.NTgCalls.get_protocol()

    def voice(
        self, report: CallReport, what: Sound, rate_hz: int, send_signal: Callable[[bytes], None], *, record: bool
    ) -> Voice:
        return Voice(self._engine, next(self._numbers), report, what, rate_hz, send_signal, record=record)

    async def connect(self, voice: Voice, key: bytes, established: TL, *, outgoing: bool) -> None:
        """Raises `VoiceError`."""
        async with self._alone():
            self._voices[voice.number] = voice
            try:
                await voice.connect(key, established, outgoing=outgoing)
            except BaseException as failed:
                # What is half set up must not meet another set-up.
                await self._stop(voice)
                if isinstance(failed, TimeoutError):
                    raise VoiceError("the media did not connect") from None
                raise

    async def close(self, voice: Voice) -> None:
        if voice.number in self._voices:
            async with self._alone():
                await self._stop(voice)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Be the only one who sets up or stops, and begin when what was before has settled."""
        async with self._changing:
            await asyncio.sleep(self._settled_at - time.monotonic())
            try:
                yield
            finally:
                self._settled_at = time.monotonic() + SETTLE_S

    async def _stop(self, voice: Voice) -> None:
        if self._voices.pop(voice.number, None):
            with contextlib.suppress(ntgcalls.ConnectionNotFound):
                await self._engine.stop(voice.number)

    async def run(self) -> None:
        """Let everybody speak and hear, at an even pace, until cancelled."""
        clock = _ticks()
        while True:
            await asyncio.sleep(next(clock))
            self._listen()
            await self._speak()

    async def _speak(self) -> None:
        said = [(voice, frame) for voice in self._voices.values() if voice.connected.done() for frame in voice.due()]
        outcomes = await asyncio.gather(
            *(
                self._engine.send_external_frame(voice.number, ntgcalls.StreamDevice.MICROPHONE, frame, _NO_FRAME_DATA)
                for voice, frame in said
            ),
            return_exceptions=True,
        )
        for (voice, _), outcome in zip(said, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._lost(voice.number, f"the media is gone: {outcome}")

    def _listen(self) -> None:
        while self._heard:
            at, number, frames = self._heard.popleft()
            voice = self._voices.get(number)
            for frame in frames if voice else ():
                voice.hear(at, frame)  # type: ignore[union-attr]

    # Called on the engine's own thread

    def _on_frames(self, number: int, mode: Any, device: Any, frames: list[Any]) -> None:
        if mode == ntgcalls.StreamMode.PLAYBACK and device == ntgcalls.StreamDevice.MICROPHONE:
            self._heard.append((time.monotonic(), number, [bytes(frame.data) for frame in frames]))

    # In the event loop again

    def _on_signal(self, number: int, blob: bytes) -> None:
        if number in self._voices:
            self._voices[number].send_signal(blob)

    def _on_state(self, number: int, state: Any) -> None:
        voice = self._voices.get(number)
        if state == ntgcalls.ConnectionState.CONNECTED and voice and not voice.connected.done():
            voice.connected.set_result(None)
        elif state in (ntgcalls.ConnectionState.FAILED, ntgcalls.ConnectionState.TIMEOUT):
            self._lost(number, f"the media failed ({state.name.lower()})")

    def _lost(self, number: int, why: str) -> None:
        voice = self._voices.get(number)
        if voice and not voice.failed.done():
            voice.failed.set_result(why)


@contextlib.asynccontextmanager
async def open_voices() -> AsyncIterator[Voices]:
    voices = Voices()
    async with asyncio.TaskGroup() as group:
        clock = group.create_task(voices.run(), name="voices")
        try:
            yield voices
        finally:
            clock.cancel()


_NO_FRAME_DATA: Final = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)


def _ticks() -> Iterator[float]:
    """How long to sleep until the next frame is due, counted from a fixed start."""
    due = time.monotonic()
    while True:
        due += FRAME_S
        now = time.monotonic()
        if now > due + BEHIND_S:
            due = now
        yield max(0.0, due - now)


def _server(connection: TL) -> Any:
    """A media server in the engine's words."""
    reflector = getattr(connection, "peer_tag", None)
    return ntgcalls.RTCServer(
        connection.id,
        connection.ip,
        connection.ipv6,
        connection.port,
        None if reflector else connection.username,
        None if reflector else connection.password,
        True if reflector else bool(connection.turn),
        False if reflector else bool(connection.stun),
        bool(connection.tcp) if reflector else False,
        reflector,
    )
