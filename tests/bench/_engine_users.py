"""What the engine's measures share: speech, and users that cost next to nothing at the other end of a call."""

from __future__ import annotations

import asyncio
import ctypes
import os
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import gateway.sandbox
from gateway.media.tgcall import Call, CallEngine, library_versions
from gateway.media.tgcall.opus import load_libopus
from tests.integration.tgcall.peer import Samples, Users

OURS: Final = "tests.bench._engine_subject"
NTGCALLS: Final = "tests.integration.tgcall.peer"
#: Telegram's apps, and ntgcalls, put so much into a packet: the first of it waits for the last.
USERS_PACKET_MS: Final = 60

_SPEECH = Path(gateway.sandbox.__file__).parent / "speech" / "telegram.wav"
_PACKET_TICKS: Final = 2880


def speech(rate_hz: int) -> Samples:
    """Some seconds of speech, in whole tenths of a second."""
    with wave.open(str(_SPEECH)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        step = file.getframerate() // rate_hz
    if step > 1:
        window = _low_pass(step)
        samples = np.convolve(samples, window / window.sum(), "same")[::step].astype(np.int16)
    return samples[: len(samples) - len(samples) % (rate_hz // 10)]


def _low_pass(step: int) -> npt.NDArray[np.float64]:
    """Keeps the lowest `step`-th part of the spectrum."""
    width = 32 * step + 1
    return np.sinc((np.arange(width) - width // 2) / step) * np.hamming(width)


def telegram_packets() -> list[bytes]:
    """Speech as Telegram's apps send it: packets of 60 ms at 48 kHz, 32 kbit/s, with forward error correction."""
    lib = load_libopus()
    encoder = lib.opus_encoder_create(48_000, 1, 2048, None)
    for request, value in ((4002, 32_000), (4012, 1), (4014, 5), (4010, 9)):
        lib.opus_encoder_ctl(encoder, request, ctypes.c_int32(value))
    spread = np.zeros(3 * len(speech(16_000)))
    spread[::3] = speech(16_000)
    samples = np.convolve(spread, _low_pass(3), "same").clip(-32768, 32767).astype(np.int16)
    out = ctypes.create_string_buffer(1500)
    packets = []
    for at in range(0, samples.size - _PACKET_TICKS, _PACKET_TICKS):
        size = lib.opus_encode(encoder, samples[at : at + _PACKET_TICKS].tobytes(), _PACKET_TICKS, out, 1500)
        packets.append(out.raw[:size])
    lib.opus_encoder_destroy(encoder)
    return packets


class CheapUsers:
    """Ends of calls that send prepared packets and count what comes: the measure is the other end."""

    def __init__(self, engine: CallEngine, subject: Users) -> None:
        self._engine = engine
        self._subject = subject
        self._packets = telegram_packets()
        self._task: asyncio.Task[None] | None = None
        self.calls: list[Call] = []

    def dial(self, number: int, rate_hz: int, version: str = library_versions()[0]) -> Call:
        """Begin a call with the subject."""
        key, versions = os.urandom(256), [version]
        # The subject first: what it is told of a call that it does not know is lost.
        self._subject.join(
            number,
            key,
            outgoing=False,
            versions=versions,
            on_signal=lambda blob: call.hear_signal(blob),  # noqa: PLW0108  # there is no call yet
            rate_hz=rate_hz,
        )
        call = self._engine.call(
            key=key,
            outgoing=True,
            versions=versions,
            rate_hz=8000,
            send_signal=lambda blob: self._subject.hear_signal(number, blob),
            on_audio=lambda _: None,
        )
        self.calls.append(call)
        return call

    async def speak(self) -> None:
        loop = asyncio.get_running_loop()
        start, ticks = loop.time(), 0
        while True:
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * 0.005 - loop.time()))
            for number, call in enumerate(self.calls):
                if number % 12 == ticks % 12:
                    send_prepared(call, self._packets[(ticks // 12 + 7 * number) % len(self._packets)])


def send_prepared(call: Any, payload: bytes) -> None:
    """Put a coded packet on a call's wire, past its coder."""
    if call._srtp is not None:
        rtp = call._sender.rtp
        packet = rtp.pack(111, payload, False)
        rtp.advance(_PACKET_TICKS)
        call._transport.send(call._srtp.protect(packet))


def spare_decoding(call: Any) -> None:
    """Let a user's end count packets only."""
    call._receiver.hear = lambda _packet, _now: None
