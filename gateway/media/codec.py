"""The PBX leg's codecs, to and from PCM, and what is played in place of a lost packet.

PCM is mono, 16 bit, native order, at the format's own rate.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

import G722
import numpy as np
import numpy.typing as npt

from gateway.media.model import AudioFormat

Pcm = npt.NDArray[np.int16]

#: Made once: naming the type instead has numpy make it for each packet.
_BYTES: Final = np.dtype(np.uint8)
_UNSIGNED: Final = np.dtype(np.uint16)


class Codec(Protocol):
    """One direction of one stream each: an encoder and a decoder may share an object, two streams may not."""

    def decode(self, payload: memoryview) -> Pcm: ...

    def encode(self, pcm: Pcm) -> bytes: ...


def codec_for(audio_format: AudioFormat) -> Codec:
    match audio_format:
        case AudioFormat.ULAW:
            return _TableCodec(_ULAW_TO_PCM, _PCM_TO_ULAW)
        case AudioFormat.ALAW:
            return _TableCodec(_ALAW_TO_PCM, _PCM_TO_ALAW)
        case AudioFormat.G722:
            return _G722Codec()


class _TableCodec:
    """G.711: every sample by itself, so two tables are the whole codec."""

    def __init__(self, to_pcm: Pcm, from_pcm: npt.NDArray[np.uint8]) -> None:
        self._to_pcm = to_pcm
        self._from_pcm = from_pcm

    def decode(self, payload: memoryview) -> Pcm:
        return self._to_pcm.take(np.frombuffer(payload, _BYTES))

    def encode(self, pcm: Pcm) -> bytes:
        return self._from_pcm.take(pcm.view(_UNSIGNED)).tobytes()


class _G722Codec:
    """G.722 at 64 kbit/s. It has memory, so it must see every packet once, in order."""

    def __init__(self) -> None:
        self._codec = G722.G722(16000, 64000)

    def decode(self, payload: memoryview) -> Pcm:
        return np.frombuffer(self._codec.decode(bytes(payload)), np.int16)

    def encode(self, pcm: Pcm) -> bytes:
        # The package takes bytes for samples of 8 bits: only an array says what it is.
        encoded: bytes = self._codec.encode(pcm)
        return encoded


def _ulaw_decoded() -> Pcm:
    """Source: ITU-T G.711, table 2; μ-law codes travel inverted."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _ulaw_encoded() -> npt.NDArray[np.uint8]:
    """Indexed by the sample's bits, taken for an unsigned number."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    # 14 bits of magnitude; the bias makes the segment the place of the highest bit.
    biased = np.minimum(np.abs(sample >> 2), 8158) + 33
    segment = np.floor(np.log2(biased)).astype(np.int32) - 5
    code = np.where(sample < 0, 0x80, 0) | (segment << 4) | ((biased >> (segment + 1)) & 0x0F)
    return np.asarray(~code & 0xFF, np.uint8)


def _alaw_decoded() -> Pcm:
    """Source: ITU-T G.711, table 1; A-law codes travel with every other bit inverted."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code & 0x70) >> 4
    mantissa = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, mantissa, mantissa + 0x100 << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _alaw_encoded() -> npt.NDArray[np.uint8]:
    """Indexed by the sample's bits, taken for an unsigned number."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(sample < 0, ~sample, sample)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7, 0)
    mantissa = (magnitude >> np.where(segment == 0, 4, segment + 3)) & 0x0F
    code = np.where(sample < 0, 0, 0x80) | (segment << 4) | mantissa
    return np.asarray(code ^ 0x55, np.uint8)


_ULAW_TO_PCM: Final = _ulaw_decoded()
_PCM_TO_ULAW: Final = _ulaw_encoded()
_ALAW_TO_PCM: Final = _alaw_decoded()
_PCM_TO_ALAW: Final = _alaw_encoded()


class Concealer:
    """Makes audio up for packets that were lost: the last pitch period goes on, and fades.

    Source: the idea is that of ITU-T G.711 Appendix I: repeat the pitch, overlap where it joins.
    """

    #: Pitch is looked for from 66 Hz to 400 Hz: voices.
    _LONGEST_MS: Final = 15.0
    _SHORTEST_MS: Final = 2.5
    #: How much is compared to find it, and how far two pieces overlap where they join.
    _WINDOW_MS: Final = 10.0
    _OVERLAP_MS: Final = 2.5
    #: So many packets of 10 ms are remembered at least, which is enough for both.
    _PACKETS: Final = 3
    #: Full strength for 10 ms, silence after 60: a longer tone of one period sounds like a machine.
    _HOLD_MS: Final = 10.0
    _FADED_MS: Final = 60.0

    def __init__(self, rate_hz: int) -> None:
        def samples(ms: float) -> int:
            return int(ms * rate_hz / 1000)

        self._longest = samples(self._LONGEST_MS)
        self._shortest = samples(self._SHORTEST_MS)
        self._window = samples(self._WINDOW_MS)
        self._hold = samples(self._HOLD_MS)
        self._faded = samples(self._FADED_MS)
        self._rise = np.linspace(0.0, 1.0, samples(self._OVERLAP_MS), dtype=np.float32)
        self._heard: deque[Pcm] = deque(maxlen=self._PACKETS)
        self._period: npt.NDArray[np.float32] | None = None
        self._made = 0

    def heard(self, pcm: Pcm) -> Pcm:
        """Take note of real audio; returns it, its beginning blended with what was made up before it."""
        if self._period is not None and pcm.size:
            overlap = min(self._rise.size, pcm.size)
            rise = self._rise[:overlap]
            blended = pcm.astype(np.float32)
            blended[:overlap] = blended[:overlap] * rise + self._continue(overlap) * (1 - rise)
            pcm = blended.astype(np.int16)
            self._period = None
        self._heard.append(pcm)
        return pcm

    def conceal(self, samples: int) -> Pcm:
        """Make up `samples` of audio that follow what was heard or made up last."""
        if self._period is None:
            self._period = self._find_period()
            self._made = 0
        return self._continue(samples).astype(np.int16)

    def _find_period(self) -> npt.NDArray[np.float32]:
        """The last period of what was heard, made to join its own beginning."""
        recent = np.concatenate((np.zeros(0, np.int16), *self._heard))[-(self._longest + self._window) :]
        if recent.size < self._longest + self._window:
            return np.zeros(self._longest, np.float32)
        recent = recent.astype(np.float32)
        pattern = recent[-self._window :]
        # correlation[i] compares the pattern with itself `longest - i` samples ago.
        past = recent[: -self._shortest]
        correlation = np.correlate(past, pattern)
        squares = np.concatenate(([0.0], np.cumsum(past.astype(np.float64) ** 2)))
        energy = squares[self._window :] - squares[: -self._window]
        best = int(np.argmax(correlation / np.sqrt(energy + 1.0)))
        lag = self._longest - best
        period = recent[-lag:].copy()
        overlap = min(self._rise.size, lag // 2)
        rise = np.linspace(0.0, 1.0, overlap, dtype=np.float32)
        before = recent[-lag - overlap : -lag]
        period[-overlap:] = period[-overlap:] * (1 - rise) + before * rise
        return period

    def _continue(self, samples: int) -> npt.NDArray[np.float32]:
        assert self._period is not None
        place = np.arange(self._made, self._made + samples)
        self._made += samples
        strength = np.clip((self._faded - place) / (self._faded - self._hold), 0.0, 1.0).astype(np.float32)
        return self._period[place % self._period.size] * strength
