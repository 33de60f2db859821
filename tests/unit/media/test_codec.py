"""The PBX leg's codecs, and what is made up for lost audio."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.media.codec import Concealer, Pcm, codec_for
from gateway.media.model import AudioFormat

G711 = (AudioFormat.ULAW, AudioFormat.ALAW)
EVERY_CODE = bytes(range(256))
EVERY_SAMPLE: Pcm = np.arange(65536, dtype=np.uint16).view(np.int16)


def sine(hz: float, samples: int, rate_hz: int, amplitude: int = 8000) -> Pcm:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)).astype(np.int16)


def level(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


@pytest.mark.parametrize("audio_format", G711)
def test_each_g711_code_survives_decoding_and_encoding(audio_format: AudioFormat) -> None:
    codec = codec_for(audio_format)
    again = codec.encode(codec.decode(memoryview(EVERY_CODE)))
    # μ-law has two zeros; the negative one is never encoded.
    assert [(a, b) for a, b in zip(EVERY_CODE, again, strict=True) if a != b] in ([], [(0x7F, 0xFF)])


@pytest.mark.parametrize("audio_format", G711)
def test_g711_error_stays_within_half_a_step_of_its_segment(audio_format: AudioFormat) -> None:
    codec = codec_for(audio_format)
    heard = codec.decode(memoryview(codec.encode(EVERY_SAMPLE))).astype(np.int32)
    said = np.clip(EVERY_SAMPLE.astype(np.int32), -32124, 32124)
    # 16 steps a segment, each segment as long as all before it: half a step is a 32nd of the sample, if not the least.
    assert np.all(np.abs(heard - said) <= np.abs(said) / 32 + 8)


@pytest.mark.parametrize(
    ("audio_format", "codes", "samples"),
    [
        # Source: ITU-T G.711 tables 1a and 2a: the ends of the scale, and the codes next to zero.
        (AudioFormat.ULAW, [0x80, 0x00, 0xFF, 0xFE, 0x7E], [32124, -32124, 0, 8, -8]),
        (AudioFormat.ALAW, [0xAA, 0x2A, 0xD5, 0x55], [32256, -32256, 8, -8]),
    ],
)
def test_g711_decodes_the_values_of_the_recommendation(
    audio_format: AudioFormat, codes: list[int], samples: list[int]
) -> None:
    assert codec_for(audio_format).decode(memoryview(bytes(codes))).tolist() == samples


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_twenty_ms_are_160_bytes_in_every_format(audio_format: AudioFormat) -> None:
    codec = codec_for(audio_format)
    samples = audio_format.rate_hz // 50
    assert len(codec.encode(np.zeros(samples, np.int16))) == 160
    assert codec.decode(memoryview(bytes(160))).size == samples


def test_g722_carries_a_tone_beyond_the_telephone_band() -> None:
    ears, mouth = codec_for(AudioFormat.G722), codec_for(AudioFormat.G722)
    said = sine(6000, 16000, 16000)
    heard = np.concatenate([ears.decode(memoryview(mouth.encode(said[at : at + 320]))) for at in range(0, 16000, 320)])
    spectrum = np.abs(np.fft.rfft(heard[8000:]))
    assert np.argmax(spectrum) * 16000 / 8000 == pytest.approx(6000, abs=3)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("hz", [110.0, 173.0, 260.0])
@pytest.mark.parametrize("ptime_ms", [10, 20])
def test_concealment_goes_on_with_the_voice_and_joins_without_a_step(rate_hz: int, hz: float, ptime_ms: int) -> None:
    frame = rate_hz // 1000 * ptime_ms
    said = (
        sine(hz, 5 * frame, rate_hz) + sine(2 * hz, 5 * frame, rate_hz, 4000) + sine(3 * hz, 5 * frame, rate_hz, 3000)
    )
    concealer = Concealer(rate_hz)
    before = [concealer.heard(said[at : at + frame]) for at in (0, frame, 2 * frame)]
    made = concealer.conceal(frame)
    after = concealer.heard(said[4 * frame :])
    steps = np.abs(np.diff(np.concatenate((*before, made, after)).astype(np.int32)))
    assert steps.max() <= 1.6 * np.abs(np.diff(said.astype(np.int32))).max()
    lost = said[3 * frame : 4 * frame]
    assert np.corrcoef(made[: frame // 2], lost[: frame // 2])[0, 1] > 0.9


def test_what_is_made_up_fades_to_silence() -> None:
    concealer = Concealer(8000)
    for at in range(0, 800, 160):
        concealer.heard(sine(200, 800, 8000)[at : at + 160])
    made = concealer.conceal(1600)
    assert level(made[:80]) > 4000
    assert level(made[240:320]) < level(made[:80]) * 0.7
    assert not made[480:].any()


def test_nothing_is_made_up_of_nothing() -> None:
    assert not Concealer(8000).conceal(160).any()


def test_silence_is_concealed_by_silence() -> None:
    concealer = Concealer(16000)
    for _ in range(3):
        concealer.heard(np.zeros(320, np.int16))
    assert not concealer.conceal(640).any()
