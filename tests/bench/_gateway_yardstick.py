"""How fast the machine is in the very seconds of a measurement: it may have other things to do."""

from __future__ import annotations

import asyncio
import ctypes
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from gateway.media.tgcall.opus import load_libopus
from gateway.sandbox.audio import speech

_RATE_HZ: Final = 8000
_FRAME: Final = _RATE_HZ // 50
#: So many frames in a row, the first of which find the processor's caches cold.
_ROW: Final = 20
_PAUSE_S: Final = 0.2
#: Opus as a telephone wants it. Source: opus_defines.h (OPUS_APPLICATION_VOIP, OPUS_SET_BITRATE, OPUS_SET_COMPLEXITY).
_VOIP: Final = 2048
_BITRATE: Final = (4002, 16_000)
_COMPLEXITY: Final = (4010, 5)


class Yardstick:
    """What coding 20 ms of speech to Opus, at 8 kHz, 16 kbit/s, complexity 5, takes of the processor."""

    def __init__(self) -> None:
        self._took_s: list[float] = []

    @classmethod
    @asynccontextmanager
    async def held(cls) -> AsyncIterator[Yardstick]:
        """Measure while the block lasts."""
        yardstick = cls()
        measuring = asyncio.create_task(yardstick._measure())
        try:
            yield yardstick
        finally:
            measuring.cancel()
            with suppress(asyncio.CancelledError):
                await measuring

    @property
    def us(self) -> float:
        return 1e6 * statistics.median(self._took_s)

    async def _measure(self) -> None:
        lib = load_libopus()
        coder: Any = lib.opus_encoder_create(_RATE_HZ, 1, _VOIP, None)
        for request, value in (_BITRATE, _COMPLEXITY):
            lib.opus_encoder_ctl(coder, request, ctypes.c_int32(value))
        said = speech("telephone", _RATE_HZ)
        frames = [said[at : at + _FRAME].tobytes() for at in range(0, len(said) - _FRAME, _FRAME)]
        out = ctypes.create_string_buffer(1500)
        at = 0
        try:
            while True:
                for _ in range(_ROW):
                    at += 1
                    began = time.thread_time()
                    lib.opus_encode(coder, frames[at % len(frames)], _FRAME, out, 1500)
                    self._took_s.append(time.thread_time() - began)
                await asyncio.sleep(_PAUSE_S)
        finally:
            lib.opus_encoder_destroy(coder)
