"""A picture of what was said and what arrived: waveforms, and the spectra beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.sandbox.audio import Pcm


@dataclass(frozen=True, slots=True)
class Strip:
    """One direction of one call.

    Attributes:
        delay_s: How long after `said` began `heard` has it.
        heard: From the moment on that `said` began.
    """

    title: str
    rate_hz: int
    said: Pcm
    heard: Pcm
    delay_s: float


def draw(path: Path, strips: Sequence[Strip]) -> None:
    """Write a PNG with a row for each strip."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and needed at the very end only

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, rows = plt.subplots(
        len(strips), 2, figsize=(14, 2.6 * len(strips)), width_ratios=(3, 1), squeeze=False, layout="constrained"
    )
    for (wave, spectrum), strip in zip(rows, strips, strict=True):
        for pcm, colour, name in ((strip.said, "#8aa9c8", "said"), (strip.heard, "#d2691e", "heard")):
            seconds = np.arange(len(pcm)) / strip.rate_hz
            wave.plot(seconds, pcm / 32768, color=colour, linewidth=0.5, alpha=0.8, label=name)
            power = _spectrum_db(pcm)
            spectrum.plot(
                np.linspace(0, strip.rate_hz / 2000, len(power)), power, color=colour, linewidth=0.9, label=name
            )
        wave.set(title=f"{strip.title}: {strip.delay_s * 1000:.0f} ms later", xlabel="s", ylim=(-1, 1))
        wave.legend(loc="upper right")
        spectrum.set(title="mean spectrum", xlabel="kHz", ylabel="dB", ylim=(-70, 3))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _spectrum_db(pcm: Pcm, size: int = 512) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The mean spectrum of the whole, in decibels below its highest point."""
    if len(pcm) < size:
        return np.full(size // 2 + 1, -70.0)
    frames = np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), size)[:: size // 2] * np.hanning(size)
    power = np.mean(np.abs(np.fft.rfft(frames)) ** 2, axis=0)
    return np.asarray(10 * np.log10(np.maximum(power / power.max(), 1e-7)), dtype=np.float64)
