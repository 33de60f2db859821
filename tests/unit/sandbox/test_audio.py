"""The measures that all audio tests rely on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.sandbox.audio import level_dbfs, match, read_wav, resampled, speech, tone, tone_share, write_wav


def test_tone_is_found_at_its_own_frequency_only() -> None:
    sound = tone(440, 1, 8000)
    assert tone_share(sound, 8000, 440) > 0.99
    assert tone_share(sound, 8000, 523) < 0.01


def test_tone_in_noise_keeps_its_share() -> None:
    noise = np.random.default_rng(1).normal(0, 500, 8000)
    sound = np.asarray(tone(440, 1, 8000) + noise, dtype=np.int16)
    assert tone_share(sound, 8000, 440) > 0.9


@pytest.mark.parametrize("level", [-40.0, -12.0, -3.1])
def test_level_is_measured_as_it_was_made(level: float) -> None:
    assert level_dbfs(tone(1000, 1, 8000, level)) == pytest.approx(level, abs=0.1)


def test_silence_and_nothing_have_the_lowest_level() -> None:
    assert level_dbfs(np.zeros(100, np.int16)) == level_dbfs(np.zeros(0, np.int16)) == -120.0


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.5])
def test_delay_of_speech_is_found(delay_s: float) -> None:
    said = speech("telephone", 8000)
    heard = np.concatenate([np.zeros(int(delay_s * 8000), np.int16), said // 2])
    found = match(said, heard, 8000)
    assert found.delay_s == pytest.approx(delay_s, abs=0.001)
    assert found.likeness > 0.99


def test_other_speech_is_not_taken_for_it() -> None:
    assert match(speech("telephone", 8000), speech("telegram", 8000), 8000).likeness < 0.3


def test_resampling_keeps_pitch_and_level() -> None:
    sound = resampled(tone(440, 1, 16000), 16000, 8000)
    assert len(sound) == 8000
    assert tone_share(sound, 8000, 440) > 0.99
    assert level_dbfs(sound) == pytest.approx(-12, abs=0.1)


def test_wav_comes_back_as_written(tmp_path: Path) -> None:
    sound = tone(440, 0.1, 8000)
    write_wav(tmp_path / "tone.wav", sound, 8000)
    read, rate_hz = read_wav(tmp_path / "tone.wav")
    assert rate_hz == 8000
    assert np.array_equal(read, sound)
