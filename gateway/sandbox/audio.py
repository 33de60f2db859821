"""Sounds to send, and measures of what arrived: level, tone, likeness and delay. Pure but for WAV files."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

#: What a telephone carries; outside of it codecs differ by design.
BAND_HZ: Final = (300.0, 3400.0)


def speech(name: str, rate_hz: int) -> Pcm:
    """A sentence to say, about five seconds, from those that come with the sandbox ("telephone", "telegram")."""
    with resources.as_file(resources.files("gateway.sandbox") / "speech" / f"{name}.wav") as path:
        pcm, stored_hz = read_wav(path)
    return resampled(pcm, stored_hz, rate_hz)


def tone(hz: float, seconds: float, rate_hz: int, level_dbfs: float = -12.0) -> Pcm:
    """A steady sine; `level_dbfs` is of its root mean square."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    amplitude = 32767 * 10 ** (level_dbfs / 20) * np.sqrt(2)
    return np.asarray(np.clip(amplitude * np.sin(2 * np.pi * hz * t), -32768, 32767), dtype=np.int16)


def level_dbfs(pcm: Pcm) -> float:
    """Root mean square against full scale; digital silence is -120."""
    if not len(pcm):
        return -120.0
    rms = float(np.sqrt(np.mean(np.square(pcm.astype(np.float64)))))
    return max(-120.0, 20 * float(np.log10(max(rms, 1e-6) / 32768)))


def tone_share(pcm: Pcm, rate_hz: int, hz: float, width_hz: float = 15.0) -> float:
    """How much of the power, 0..1, lies within `width_hz` of a frequency."""
    if len(pcm) < rate_hz // 10:
        return 0.0
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    frequency = np.fft.rfftfreq(len(pcm), 1 / rate_hz)
    total = float(power[frequency > 50].sum())
    return float(power[np.abs(frequency - hz) <= width_hz].sum()) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Match:
    """How well a recording holds what was sent.

    Attributes:
        likeness: The mean over its pieces of the normalised cross-correlation in the telephone band, 0..1.
        delay_s: Where in the recording what was sent begins: the median of its pieces.
    """

    likeness: float
    delay_s: float


def match(sent: Pcm, heard: Pcm, rate_hz: int) -> Match:
    """Find `sent` in `heard`; both at `rate_hz`.

    Each second of it is looked for by itself, near where the whole fits best: a receiver's buffer stretches and
    shortens the sound by and by, so that its delay is not the same all along.
    """
    if not len(sent) or len(heard) < len(sent) // 2:
        return Match(0.0, 0.0)
    sent_band, heard_band = _telephone_band(sent, rate_hz), _telephone_band(heard, rate_hz)
    lead = _place(np.abs(sent_band), np.abs(heard_band))
    found = []
    loud = np.sqrt(np.mean(sent_band**2)) / 4
    for begin in range(0, len(sent_band) - rate_hz // 2, rate_hz):
        piece = sent_band[begin : begin + rate_hz]
        if np.sqrt(np.mean(piece**2)) < loud:
            continue  # a pause fits anywhere
        first = max(0, begin + lead - rate_hz // 4)
        window = heard_band[first : begin + lead + len(piece) + rate_hz // 4]
        at = _place(piece, window)
        there = window[at : at + len(piece)]
        energy = float(np.sum(piece[: len(there)] ** 2) * np.sum(there**2))
        likeness = float(np.dot(piece[: len(there)], there)) / np.sqrt(energy) if energy else 0.0
        found.append((likeness, (first + at - begin) / rate_hz))
    return Match(float(np.mean([one for one, _ in found])), float(np.median([delay for _, delay in found])))


def _telephone_band(pcm: Pcm, rate_hz: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    frequency = np.fft.rfftfreq(len(pcm), 1 / rate_hz)
    spectrum[(frequency < BAND_HZ[0]) | (frequency > BAND_HZ[1])] = 0
    return np.fft.irfft(spectrum, len(pcm))


def _place(piece: NDArray[np.float64], window: NDArray[np.float64]) -> int:
    """Where in the window the piece fits best."""
    size = 1 << (len(piece) + len(window)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)), size)
    return int(np.argmax(correlation[: max(1, len(window))]))


def resampled(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """The same sound at another rate, by its spectrum: exact, and only for whole recordings."""
    if from_hz == to_hz:
        return pcm
    count = len(pcm) * to_hz // from_hz
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    kept = np.zeros(count // 2 + 1, dtype=np.complex128)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    sound = np.fft.irfft(kept, count) * (count / len(pcm))
    return np.asarray(np.clip(np.rint(sound), -32768, 32767), dtype=np.int16)


def read_wav(path: Path) -> tuple[Pcm, int]:
    """A mono 16-bit WAV file and its rate in hertz."""
    with wave.open(str(path), "rb") as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise ValueError(f"{path} is not a mono 16-bit WAV file")
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16), file.getframerate()


def write_wav(path: Path, pcm: Pcm, rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.astype("<i2").tobytes())
