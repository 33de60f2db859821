from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall.model import Pcm
from gateway.media.tgcall.splice import crossfade, drop_frame, fade_out, insert_frame

FRAME = 160


def wave(hz: float, samples: int, phase: float = 0.0) -> Pcm:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(samples) / 8000 + phase)).astype(np.int16)


def largest_step(audio: Pcm) -> int:
    return int(np.abs(np.diff(audio.astype(int))).max())


@pytest.mark.parametrize("hz", [50, 110, 173, 260, 400])
def test_frame_is_taken_out_without_a_click(hz: float) -> None:
    pcm = wave(hz, 3 * FRAME)
    spliced = drop_frame(pcm, FRAME)
    assert len(spliced) == 2 * FRAME
    assert spliced[0] == pcm[0]
    assert (spliced[FRAME:] == pcm[2 * FRAME :]).all()
    assert largest_step(spliced) <= 1.6 * largest_step(pcm) + 50


@pytest.mark.parametrize("hz", [50, 110, 173, 260, 400])
def test_frame_is_put_in_without_a_click(hz: float) -> None:
    pcm = wave(hz, 3 * FRAME)
    spliced = insert_frame(pcm[:FRAME], pcm[FRAME:])
    assert len(spliced) == 3 * FRAME
    assert largest_step(np.concatenate((pcm[:FRAME], spliced))) <= 1.6 * largest_step(pcm) + 50


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=4 * FRAME, max_size=4 * FRAME))
def test_no_sample_leaves_the_scale(noise: bytes) -> None:
    pcm = np.frombuffer(noise, np.int16)
    spliced = drop_frame(pcm, FRAME).astype(int)
    assert spliced.min() >= int(pcm.min()) - 1
    assert spliced.max() <= int(pcm.max()) + 1


def test_crossfade_ends_as_the_new() -> None:
    old, new = wave(200, 40), wave(200, 100, 1.0)
    faded = crossfade(old, new)
    assert len(faded) == 100
    assert faded[0] == old[0]
    assert (faded[40:] == new[40:]).all()
    assert crossfade(old[:0], new) is new


def test_fade_ends_in_silence() -> None:
    faded = fade_out(wave(200, 100))
    assert abs(int(faded[-1])) <= 1
