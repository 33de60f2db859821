"""Taking a frame out of speech, or putting one in, without a click. Pure.

The length is given, so the place is chosen: where the audio resembles itself best one frame apart, the two are blended
into each other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .model import Pcm


def drop_frame(pcm: Pcm, frame: int) -> Pcm:
    """Make two frames one. The beginning and the end stay as they are.

    Args:
        pcm: At least two frames; what follows the first two is kept behind the result.
        frame: Samples in a frame.
    """
    early, late = pcm[:frame], pcm[frame : 2 * frame]
    return np.concatenate((_blend(early, late), pcm[2 * frame :]))


def insert_frame(before: Pcm, pcm: Pcm) -> Pcm:
    """Put a frame's worth of audio in, in front of what follows the first frame of `pcm`.

    Args:
        before: The frame that was played last.
        pcm: At least a frame; it is heard nearly twice.
    """
    frame = len(before)
    return np.concatenate((_blend(pcm[:frame], before), pcm))


def crossfade(old: Pcm, new: Pcm) -> Pcm:
    """From the one to the other over their common length, which is that of the shorter."""
    length = min(len(old), len(new))
    if not length:
        return new
    blended = _mix(old[:length], new[:length])
    return np.concatenate((blended, new[length:]))


def fade_out(pcm: Pcm) -> Pcm:
    return (pcm * np.linspace(1.0, 0.0, len(pcm), dtype=np.float32)).astype(np.int16)


def _blend(first: Pcm, second: Pcm) -> Pcm:
    """Begin as `first`, end as `second`, and cross where they resemble each other most."""
    frame = len(first)
    overlap = frame // 2
    a, b = first.astype(np.float32), second.astype(np.float32)
    likeness = np.concatenate(([0.0], np.cumsum(a * b)))
    energy = np.concatenate(([0.0], np.cumsum(a * a + b * b)))
    # The correlation of each stretch of `overlap` samples, by differences of running sums.
    score = (likeness[overlap:] - likeness[:-overlap]) / (energy[overlap:] - energy[:-overlap] + 1.0)
    at = int(np.argmax(score))
    return np.concatenate(
        (first[:at], _mix(first[at : at + overlap], second[at : at + overlap]), second[at + overlap :])
    )


def _mix(old: Pcm, new: Pcm) -> Pcm:
    rising: npt.NDArray[np.float32] = np.linspace(0.0, 1.0, len(old), dtype=np.float32)
    return (old * (1 - rising) + new * rising).astype(np.int16)
