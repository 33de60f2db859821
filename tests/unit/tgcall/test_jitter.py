"""The jitter buffer on simulated networks: what comes out, how late, and what it says happened."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall.jitter import FRAME_S, FRAME_TICKS, MARGIN_S, JitterBuffer
from gateway.media.tgcall.model import RTP_CLOCK_HZ, Pcm
from gateway.media.tgcall.opus import packet_ticks

RATE_HZ = 8000
FRAME = RATE_HZ // 50
TICKS = RTP_CLOCK_HZ // RATE_HZ

#: How packets with redundancy begin: a frame of SILK of 20 or 60 ms; three hybrid frames of 20 ms, of which the last is
#: the only one that the next packet restores. Source: RFC 6716 §3.1 and §3.2.5.
BEGINNINGS = {20: bytes([0x08, 0xFF]), 60: bytes([0x18, 0xFF])}
THREE_FRAMES = bytes([13 << 3 | 3, 3, 0xFF])


def packed(first: int, beginning: bytes = BEGINNINGS[20]) -> bytes:
    return beginning + first.to_bytes(8, "big")


class Clockwork:
    """A decoder whose samples tell where they come from: sample n of the stream is a slow wave at n.

    A packet is one of the beginnings above, and its first sample's number.
    """

    def __init__(self) -> None:
        self.made_up = 0
        self.at = 0

    def decode(self, packet: bytes) -> Pcm:
        return self._wave(int.from_bytes(packet[-8:], "big"), self._samples(packet))

    def restore(self, following: bytes, samples: int) -> Pcm:
        return self._wave(int.from_bytes(following[-8:], "big") - samples, samples)

    def conceal(self, samples: int) -> Pcm:
        self.made_up += samples
        return self._wave(self.at, samples)

    def _samples(self, packet: bytes) -> int:
        return packet_ticks(packet) // TICKS

    def _wave(self, first: int, samples: int) -> Pcm:
        self.at = first + samples
        return (8000 * np.sin(2 * np.pi * 200 * np.arange(first, first + samples) / RATE_HZ)).astype(np.int16)


@dataclass
class Run:
    buffer: JitterBuffer
    decoder: Clockwork
    heard: list[Pcm] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)

    @property
    def audio(self) -> Pcm:
        return np.concatenate(self.heard)


def play(
    seconds: float,
    delay_s: Callable[[int], float | None],
    *,
    packet_ms: int = 20,
    three_frames: Callable[[int], bool] = lambda _: False,
    drift_ppm: float = 0.0,
    sent: Callable[[float], bool] = lambda _: True,
    copies: int = 1,
    phase_s: float = 0.003,
    align_step_s: float | None = None,
) -> Run:
    """Send a stream over a network, and pull it in virtual time.

    Args:
        delay_s: Of the n-th packet; None if it is lost.
        three_frames: Whether the n-th packet, of 60 ms, is made of three frames.
        drift_ppm: How much faster the sender's clock runs.
        sent: Whether anything is sent at a time; RTP time goes on.
        align_step_s: Pulls may be moved to multiples of this.
    """
    decoder = Clockwork()
    due, arrived = phase_s, 0.0

    def align(at: float) -> float:
        nonlocal due
        assert align_step_s is not None
        due = math.ceil(at / align_step_s) * align_step_s
        while due - FRAME_S > arrived:
            due -= FRAME_S
        return due

    run = Run(JitterBuffer(decoder, RATE_HZ, align if align_step_s else None), decoder)
    arrivals: list[tuple[float, int, int]] = []
    sequence = 0
    for n in range(int(seconds * 1000 / packet_ms)):
        at = n * packet_ms / 1000 / (1 + drift_ppm / 1e6)
        if not sent(at):
            continue
        late = delay_s(sequence)
        if late is not None:
            arrivals += [(at + late + 0.001 * copy, sequence, n) for copy in range(copies)]
        sequence += 1
    arrivals.sort()
    pending = iter([*arrivals, (float("inf"), 0, 0)])
    following = next(pending)
    while due < seconds:
        while following[0] <= due:
            arrived, sequence, n = following
            first = n * packet_ms * RATE_HZ // 1000
            payload = packed(first, THREE_FRAMES if three_frames(n) else BEGINNINGS[packet_ms])
            run.buffer.push((sequence + 65_500) & 0xFFFF, first * TICKS & 0xFFFF_FFFF, payload, arrived)
            following = next(pending)
        run.heard.append(run.buffer.pull(due))
        run.delays_ms.append(run.buffer.delay_ms)
        due += FRAME_S
    return run


def largest_step(audio: Pcm) -> int:
    """Between two samples that follow each other: a click shows as a step that the wave itself never makes."""
    return int(np.abs(np.diff(audio.astype(np.int32))).max())


#: What the wave itself does between two samples, and a blend of two of them a little more.
SMOOTH = 2 * int(2 * np.pi * 200 / RATE_HZ * 8000)


@pytest.mark.parametrize("packet_ms", [20, 60])
def test_clean_network_costs_less_than_two_frames_and_nothing_is_made_up(packet_ms: int) -> None:
    run = play(20.0, lambda _: 0.03, packet_ms=packet_ms)
    assert run.decoder.made_up == 0
    assert run.buffer.dropped_ms == run.buffer.inserted_ms == run.buffer.lost == 0
    assert max(run.delays_ms) < 29
    assert largest_step(run.audio[RATE_HZ:]) < SMOOTH


@pytest.mark.parametrize("phase_s", [0.0005, 0.004, 0.009, 0.013, 0.0195])
def test_pulls_are_moved_close_behind_the_packets_when_a_stream_begins(phase_s: float) -> None:
    step_s = 0.005
    run = play(9.9, lambda _: 0.03, packet_ms=60, phase_s=phase_s, align_step_s=step_s)
    assert run.decoder.made_up == 0
    assert 1000 * MARGIN_S <= run.delays_ms[-1] <= 1000 * (MARGIN_S + step_s)


@pytest.mark.parametrize("loss", [0.01, 0.02, 0.05, 0.10])
@pytest.mark.parametrize("packet_ms", [20, 60])
def test_loss_is_restored_and_raises_the_delay_no_further_than_that_needs(loss: float, packet_ms: int) -> None:
    dice = random.Random(7)
    run = play(60.0, lambda _: None if dice.random() < loss else 0.03, packet_ms=packet_ms)
    packets = 60_000 / packet_ms
    assert run.buffer.lost == pytest.approx(loss * packets, rel=0.4)
    assert run.buffer.late == 0
    assert max(run.delays_ms) < 30 + packet_ms
    assert run.buffer.restored_ms > 0.5 * run.buffer.lost * packet_ms
    assert run.buffer.concealed_ms < 0.6 * run.buffer.lost * packet_ms
    assert run.buffer.idle_ms < 300  # three packets of 60 ms in a row look like the end of speech
    assert largest_step(run.audio[RATE_HZ:]) < 1.5 * SMOOTH


@pytest.mark.parametrize("lost", [(300,), (300, 900)])
def test_lone_loss_is_no_reason_to_wait_for_redundancy(lost: tuple[int, ...]) -> None:
    run = play(60.0, lambda n: None if n in lost else 0.03, packet_ms=60)
    assert run.buffer.lost == len(lost)
    assert run.buffer.inserted_ms == 0
    assert max(run.delays_ms) < 30


def test_coder_that_changes_what_it_makes_redundant_does_not_change_the_delay() -> None:
    """Telegram's sends 60 ms of speech as one frame, of music as three."""
    dice = random.Random(7)
    run = play(
        60.0,
        lambda _: None if dice.random() < 0.05 else 0.03,
        packet_ms=60,
        three_frames=lambda n: n // 20 % 2 == 1,
    )
    assert run.buffer.restored_ms > 0.3 * run.buffer.lost * 60
    assert run.buffer.inserted_ms == 60
    assert run.buffer.dropped_ms == 0


def test_packet_that_comes_very_late_is_not_taken_for_lost() -> None:
    run = play(60.0, lambda n: 0.15 if n % 100 == 50 else 0.03, packet_ms=60)
    assert run.buffer.lost == 0
    assert run.buffer.late > 5
    assert max(run.delays_ms) < 40


def test_delay_comes_down_again_when_all_that_was_lost_has_come_late() -> None:
    run = play(20.0, lambda n: {100: 1.5, 110: 1.2}.get(n, 0.03), packet_ms=60)
    assert run.buffer.lost == 0
    assert run.buffer.late == 2
    assert run.delays_ms[-1] < 30


def test_delay_comes_down_again_when_the_loss_ends() -> None:
    dice = random.Random(7)
    run = play(80.0, lambda n: None if n < 400 and dice.random() < 0.1 else 0.03, packet_ms=60)
    assert max(run.delays_ms) > 60
    assert run.delays_ms[-1] < 30


@pytest.mark.parametrize("jitter_s", [0.01, 0.03, 0.06])
@pytest.mark.parametrize("packet_ms", [20, 60])
def test_jitter_raises_the_delay_only_as_far_as_needed(jitter_s: float, packet_ms: int) -> None:
    dice = random.Random(5)
    run = play(60.0, lambda _: 0.03 + dice.random() * jitter_s, packet_ms=packet_ms)
    assert run.buffer.lost == 0
    assert np.mean(run.delays_ms[-500:]) < 1000 * jitter_s + 45
    late_share = run.buffer.concealed_ms / 60_000
    assert late_share < 0.03
    assert len(run.audio) == 60 * RATE_HZ


def test_delay_comes_down_again_when_the_jitter_ends() -> None:
    dice = random.Random(5)
    run = play(60.0, lambda n: 0.03 + (dice.random() * 0.06 if n < 1000 else 0.0))
    assert max(run.delays_ms[500:1000]) > 30
    assert run.delays_ms[-1] < 31
    assert largest_step(run.audio[20 * RATE_HZ :]) < 1.5 * SMOOTH


def test_packets_that_change_places_are_put_in_order() -> None:
    run = play(20.0, lambda n: 0.03 + (0.025 if n % 10 == 3 else 0.0))
    assert run.buffer.lost == 0
    assert run.buffer.concealed_ms <= 100
    assert largest_step(run.audio[2 * RATE_HZ :]) < SMOOTH


def test_duplicates_change_nothing() -> None:
    run = play(10.0, lambda _: 0.03, copies=3)
    assert run.decoder.made_up == 0
    assert run.buffer.lost == 0


@pytest.mark.parametrize(("drift_ppm", "packet_ms"), [(-100.0, 60), (100.0, 20)])
def test_thirty_minutes_of_clock_drift_do_not_let_the_delay_creep(drift_ppm: float, packet_ms: int) -> None:
    dice = random.Random(3)
    run = play(1800.0, lambda _: 0.03 + dice.random() * 0.004, packet_ms=packet_ms, drift_ppm=drift_ppm)
    assert max(run.delays_ms[100:]) < 40
    corrected_ms = run.buffer.dropped_ms if drift_ppm > 0 else run.buffer.inserted_ms
    assert corrected_ms == pytest.approx(180, abs=60)
    assert run.buffer.concealed_ms <= 60
    assert largest_step(run.audio[RATE_HZ:]) < 1.5 * SMOOTH


def test_mute_is_idle_and_neither_concealed_nor_a_cause_of_delay() -> None:
    run = play(12.0, lambda _: 0.03, sent=lambda at: not 4.0 <= at < 8.0)
    assert run.buffer.concealed_ms == 0
    assert run.buffer.lost == 0
    assert run.buffer.idle_ms == pytest.approx(4000, abs=120)
    assert run.delays_ms[-1] < 30
    silence = np.concatenate(run.heard[5 * 50 : 7 * 50])
    assert not silence.any()


def test_announced_mute_is_idle_after_one_frame() -> None:
    decoder = Clockwork()
    buffer = JitterBuffer(decoder, RATE_HZ)
    for n in range(50):
        buffer.push(n, n * FRAME_TICKS, packed(n * FRAME), n * FRAME_S)
        buffer.pull(n * FRAME_S + 0.001)
    buffer.muted = True
    for n in range(50, 60):
        buffer.pull(n * FRAME_S + 0.001)
    assert decoder.made_up <= 3 * (FRAME + RATE_HZ // 200)
    assert not buffer.pull(60 * FRAME_S).any()


def test_packets_that_come_before_anybody_listens_are_not_kept() -> None:
    buffer = JitterBuffer(Clockwork(), RATE_HZ)
    heard = []
    for n in range(300):
        now = 1000.0 + n * FRAME_S
        buffer.push(n, n * FRAME_TICKS, packed(n * FRAME), now)
        if n >= 100:
            heard.append(buffer.pull(now + 0.001))
    assert heard[5].any()
    assert buffer.delay_ms < 30


def test_sender_that_pauses_its_own_clock_loses_nothing() -> None:
    """What is fed drives the clock of some libraries: after a pause their time stamps go on as if there were none."""
    decoder = Clockwork()
    buffer = JitterBuffer(decoder, RATE_HZ)
    heard = []
    stamp = 0
    for k in range(500):
        now = k * FRAME_S
        if not 200 <= k < 206:
            buffer.push(stamp, stamp * FRAME_TICKS, packed(stamp * FRAME), now)
            stamp += 1
        heard.append(buffer.pull(now + 0.001))
    assert buffer.lost == buffer.late == 0
    assert buffer.delay_ms < 160


def test_burst_after_a_stall_is_left_out_at_once() -> None:
    stall = range(200, 250)  # a second's packets come together
    run = play(15.0, lambda n: 0.03 + (max(0, 250 - n) * 0.02 if n in stall else 0.0))
    assert run.delays_ms[-1] < 40
    assert run.buffer.lost <= 50


def test_new_stream_far_away_in_numbers_is_taken_up() -> None:
    decoder = Clockwork()
    buffer = JitterBuffer(decoder, RATE_HZ)
    for n in range(100):
        jump = 30_000 if n >= 50 else 0
        payload = packed(n * FRAME)
        buffer.push((n + jump) & 0xFFFF, (n * FRAME_TICKS + 99 * jump) & 0xFFFF_FFFF, payload, n * FRAME_S)
        frame = buffer.pull(n * FRAME_S + 0.001)
    assert frame.any()
    assert buffer.lost == 0


def test_padding_uses_up_numbers_and_nothing_else() -> None:
    decoder = Clockwork()
    buffer = JitterBuffer(decoder, RATE_HZ)
    sequence = 0
    for n in range(500):
        payload = packed(n * FRAME)
        buffer.push(sequence, n * FRAME_TICKS, payload, n * FRAME_S)
        buffer.push(sequence + 1, n * FRAME_TICKS, b"", n * FRAME_S + 0.001)
        sequence += 2
        buffer.pull(n * FRAME_S + 0.002)
    assert buffer.lost == 0
    assert decoder.made_up == 0
    assert buffer.delay_ms < 30


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
            st.sampled_from([b"", b"\x08", b"\x18", b"\xff\xff", b"\x03"]),
            st.integers(0, 5),
        ),
        max_size=120,
    )
)
def test_any_packets_whatever_leave_a_frame_at_every_pull(packets: list[tuple[int, int, bytes, int]]) -> None:
    class Anything(Clockwork):
        def decode(self, packet: bytes) -> Pcm:
            return np.ones(480 if packet[0] == 0x18 else 160, np.int16)

    buffer = JitterBuffer(Anything(), RATE_HZ)
    now = 0.0
    for sequence, timestamp, payload, pulls in packets:
        buffer.push(sequence, timestamp, payload and payload + bytes(8), now)
        for _ in range(pulls):
            now += FRAME_S
            assert len(buffer.pull(now)) == FRAME
