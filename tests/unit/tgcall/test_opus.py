from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall import EngineError, opus
from gateway.media.tgcall.model import Pcm
from gateway.media.tgcall.opus import (
    FIRST_CELT_ONLY,
    LONGEST_REST,
    OpusDecoder,
    OpusEncoder,
    packet_ticks,
    redundancy_ticks,
)


def voice(seconds: float, rate_hz: int, amplitude: int = 8000) -> Pcm:
    """Something like a vowel: harmonics of 150 Hz under a slow envelope."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 12)) / 2
    return (amplitude * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).clip(-32768, 32767).astype(np.int16)


def packets_of(samples: Pcm, rate_hz: int, *, dtx: bool = False, loss: float = 0.0) -> list[bytes]:
    encoder = OpusEncoder(rate_hz, dtx)
    encoder.adapt(loss)
    with contextlib.closing(encoder):
        frame = rate_hz // 50
        return [encoder.encode(samples[at : at + frame].tobytes()) for at in range(0, len(samples), frame)]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_what_is_coded_is_heard_again(rate_hz: int) -> None:
    said = voice(1.0, rate_hz)
    with contextlib.closing(OpusDecoder(rate_hz)) as decoder:
        heard = np.concatenate([decoder.decode(packet) for packet in packets_of(said, rate_hz)])
    assert len(heard) == len(said)
    spectrum = np.abs(np.fft.rfft(heard[rate_hz // 4 :].astype(float)))
    assert spectrum.argmax() * rate_hz / (len(heard) - rate_hz // 4) == pytest.approx(150, abs=3)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_lost_packet_is_restored_from_the_next_better_than_made_up(rate_hz: int) -> None:
    said = voice(2.0, rate_hz)
    packets = packets_of(said, rate_hz, loss=0.05)
    frame = rate_hz // 50

    def error(restore: bool) -> float:
        with contextlib.closing(OpusDecoder(rate_hz)) as decoder, contextlib.closing(OpusDecoder(rate_hz)) as truth:
            total = 0.0
            for n, packet in enumerate(packets[:-1]):
                right = truth.decode(packet)
                if n % 10 == 9:
                    heard = decoder.restore(packets[n + 1], frame) if restore else decoder.conceal(frame)
                    total += float(np.mean((heard.astype(float) - right) ** 2))
                else:
                    decoder.decode(packet)
            return total

    assert error(True) < 0.6 * error(False)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_coder_follows_what_the_peer_reports(rate_hz: int) -> None:
    """A good line takes the cheaper coder; a bad one the model of speech, which alone can carry redundancy."""
    frame = voice(0.02, rate_hz).tobytes()
    with contextlib.closing(OpusEncoder(rate_hz)) as encoder:
        good, told = encoder.effort, _told(encoder)
        assert encoder.encode(frame)[0] >> 3 >= FIRST_CELT_ONLY
        encoder.adapt(0.10)
        assert encoder.effort.loss > good.loss
        assert _told(encoder) == encoder.effort
        modes = [encoder.encode(frame)[0] >> 3 for _ in range(5)]
        assert modes[-1] < FIRST_CELT_ONLY
        encoder.adapt(0.0)
        assert encoder.effort == good == told == _told(encoder)


def _told(encoder: OpusEncoder) -> tuple[int, ...]:
    """Source: opus_defines.h (OPUS_GET_SIGNAL, …_BITRATE, …_COMPLEXITY, …_PACKET_LOSS_PERC)."""
    values = []
    for request in (4025, 4003, 4011, 4015):
        value = ctypes.c_int32()
        opus.load_libopus().opus_encoder_ctl(encoder._state, request, ctypes.byref(value))
        values.append(value.value)
    return tuple(values)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_coder_changes_without_a_click(rate_hz: int) -> None:
    """On a line that turns bad and good twice a second. A click has all frequencies; the vowel ends at 1,650 Hz."""
    said = voice(4.0, rate_hz)
    frame = rate_hz // 50
    heard = []
    with contextlib.closing(OpusEncoder(rate_hz)) as encoder, contextlib.closing(OpusDecoder(rate_hz)) as decoder:
        for n, at in enumerate(range(0, len(said), frame)):
            encoder.adapt(0.05 if n // 25 % 2 else 0.0)
            heard.append(decoder.decode(encoder.encode(said[at : at + frame].tobytes())))
    frames = np.concatenate(heard)[10 * frame :].reshape(-1, frame) * np.hanning(frame)
    power = np.abs(np.fft.rfft(frames)) ** 2
    above = np.fft.rfftfreq(frame, 1 / rate_hz) > 2300
    assert (power[:, above].sum(axis=1) / power.sum(axis=1)).max() < 10**-4


def test_silence_is_not_sent_if_so_told() -> None:
    silence = np.zeros(16000, np.int16)
    packets = packets_of(silence, 8000, dtx=True)
    assert sum(1 for packet in packets[25:] if packet) < 10
    first = packets.index(b"")
    assert len(packets[first - 1]) <= LONGEST_REST  # the word of it
    assert len(packets[first - 2]) > LONGEST_REST
    assert all(packets_of(silence, 8000))


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_louder_speech_does_not_clip(rate_hz: int) -> None:
    """Telegram's apps turn speech up to the end of the scale; a louder codec behind us must not cut its peaks off."""
    packets = packets_of(voice(4.0, rate_hz, amplitude=45_000), rate_hz)
    with contextlib.closing(OpusDecoder(rate_hz)) as decoder:
        heard = np.concatenate([decoder.decode(packet) for packet in packets])
    settled = heard[rate_hz:].astype(int)
    assert np.abs(settled).max() < 32_000
    assert np.abs(settled).max() > 20_000
    flat = (np.abs(settled) >= np.abs(settled).max() - 1).sum()
    assert flat < 20


def test_level_returns_when_the_speech_does() -> None:
    loud, soft = voice(2.0, 8000, amplitude=45_000), voice(8.0, 8000, amplitude=6000)
    packets = packets_of(np.concatenate((loud, soft)), 8000)
    with contextlib.closing(OpusDecoder(8000)) as decoder:
        heard = np.concatenate([decoder.decode(packet) for packet in packets])
    reference = soft[-8000:].astype(float).std()
    assert heard[-8000:].astype(float).std() == pytest.approx(reference, rel=0.15)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=1500))
def test_any_packet_is_decoded_restored_or_made_up(noise: bytes) -> None:
    with contextlib.closing(OpusDecoder(8000)) as decoder:
        assert 0 < len(decoder.decode(noise)) <= 960
        assert len(decoder.restore(noise, 160)) == 160
        assert len(decoder.conceal(200)) == 200


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_redundancy_is_seen_where_there_is_some(rate_hz: int) -> None:
    said = voice(1.0, rate_hz)
    calm = [redundancy_ticks(packet) for packet in packets_of(said, rate_hz)]
    lossy = [redundancy_ticks(packet) for packet in packets_of(said, rate_hz, loss=0.1)]
    assert not any(calm)
    assert lossy.count(960) > 25


@given(st.binary(max_size=40))
def test_redundancy_of_any_packet_is_bounded(noise: bytes) -> None:
    assert redundancy_ticks(noise) in {0, 480, 960, 1920, 2880}


@given(st.binary(max_size=10))
def test_duration_of_any_packet_is_bounded(noise: bytes) -> None:
    assert 0 <= packet_ticks(noise) <= 5760


@pytest.mark.parametrize(
    ("packet", "ms"), [(b"\x08x", 20), (b"\x18x", 60), (b"\x1b\x02xx", 120), (b"\x09xx", 40), (b"\xe0x", 2.5), (b"", 0)]
)
def test_duration_is_that_of_the_standard(packet: bytes, ms: float) -> None:
    assert packet_ticks(packet) == ms * 48


def test_library_is_looked_for_in_the_folder_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opus.load_libopus.cache_clear()
    (tmp_path / "libopus.so.0").write_bytes(b"not a library")
    monkeypatch.setenv(opus.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: "libnone.so")
    monkeypatch.setattr(opus, "SYSTEM_NAME", "libnone.so.0")
    with pytest.raises(EngineError, match=opus.FOLDER_VARIABLE):
        opus.load_libopus()
    opus.load_libopus.cache_clear()


def test_released_coder_can_be_released_again() -> None:
    encoder, decoder = OpusEncoder(8000), OpusDecoder(8000)
    for _ in range(2):
        encoder.close()
        decoder.close()
