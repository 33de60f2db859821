"""Order and time of the audio, with loss, reordering, duplicates and stalls as parameters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.codec import Pcm, codec_for
from gateway.media.model import AudioFormat, DirectionCounters
from gateway.media.playout import AHEAD_S, GRACE_S, Cadence, Pace, Playout, drop
from gateway.media.rtp import RtpPacket

FORMAT = AudioFormat.ALAW
MS = 8  # samples a millisecond


class Stream:
    """What Asterisk sends: packet n is full of the code n, so that its audio is known again."""

    def __init__(self, ptime_ms: int = 20, ssrc: int = 1, sequence: int = 65530, timestamp: int = 2**32 - 800) -> None:
        self._codec = codec_for(FORMAT)
        self._ptime_ms, self._ssrc, self._sequence, self._timestamp = ptime_ms, ssrc, sequence, timestamp

    def packet(self, n: int, payload_type: int = FORMAT.payload_type, skip_ms: int = 0) -> RtpPacket:
        ticks = 8 * self._ptime_ms
        return RtpPacket(
            payload_type,
            False,
            (self._sequence + n) % 2**16,
            (self._timestamp + n * ticks + 8 * skip_ms) % 2**32,
            self._ssrc,
            memoryview(bytes([n % 256]) * ticks),
        )

    def pcm(self, *numbers: int) -> list[int]:
        payload = b"".join(bytes([n % 256]) * 8 * self._ptime_ms for n in numbers)
        samples: list[int] = self._codec.decode(memoryview(payload)).tolist()
        return samples


def playout(now: float = 0.0) -> tuple[Playout, DirectionCounters]:
    counters = DirectionCounters()
    return Playout(FORMAT, codec_for(FORMAT), counters, now), counters


def play(player: Playout, stream: Stream, order: list[int], start: float = 0.0) -> list[Pcm]:
    """Packets arrive 20 ms apart, in this order."""
    return [player.arrive(stream.packet(n), start + 0.02 * at) for at, n in enumerate(order)]


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_audio_is_passed_on_as_it_arrives(ptime_ms: int) -> None:
    player, counters = playout()
    stream = Stream(ptime_ms)
    for n in range(50):
        assert player.arrive(stream.packet(n), n * ptime_ms / 1000).tolist() == stream.pcm(n)
    assert counters == DirectionCounters(packets=50, first_ms=0)


def test_packets_of_odd_length_are_passed_on_in_whole_frames() -> None:
    player, _ = playout()
    stream = Stream(25)
    played = [player.arrive(stream.packet(n), 0.025 * n) for n in range(4)]
    assert [len(pcm) // MS for pcm in played] == [20, 30, 20, 30]
    assert list(itertools.chain(*played)) == stream.pcm(*range(4))


def test_two_packets_that_changed_places_are_played_in_order() -> None:
    player, counters = playout()
    stream = Stream()
    played = play(player, stream, [0, 1, 3, 2, 4])
    assert not played[2].size
    assert list(itertools.chain(*played)) == stream.pcm(*range(5))
    assert (counters.lost, counters.late, counters.concealed_ms) == (0, 0, 0)


def test_a_lost_packet_is_made_up_when_the_second_after_it_comes() -> None:
    player, counters = playout()
    stream = Stream()
    played = play(player, stream, [0, 1, 3, 4])
    assert [len(pcm) // MS for pcm in played] == [20, 20, 0, 60]
    assert played[3][-20 * MS :].tolist() == stream.pcm(4)
    assert (counters.lost, counters.concealed_ms) == (1, 20)


def test_a_waiting_packet_is_played_when_nothing_follows_it() -> None:
    player, counters = playout()
    stream = Stream()
    play(player, stream, [0, 1, 3])
    assert not player.tick(player.due - 0.001).size
    assert len(player.tick(player.due)) == 40 * MS
    assert counters.lost == 1


@pytest.mark.parametrize("twice", [[0, 1, 1, 2], [0, 1, 0, 2], [0, 2, 2, 1, 3], [0, 1, 3, 2, 3, 2, 4]])
def test_a_duplicate_is_played_once_and_is_not_late(twice: list[int]) -> None:
    player, counters = playout()
    stream = Stream()
    played = play(player, stream, twice)
    assert list(itertools.chain(*played)) == stream.pcm(*range(max(twice) + 1))
    assert (counters.late, counters.lost, counters.packets) == (0, 0, len(twice))


def test_a_packet_that_comes_after_its_turn_is_late_and_no_longer_lost() -> None:
    player, counters = playout()
    stream = Stream()
    play(player, stream, [0, 1, 3, 4, 2, 2, 5])
    assert (counters.lost, counters.late) == (0, 1)


def test_a_long_hole_is_not_made_up() -> None:
    player, counters = playout()
    stream = Stream()
    played = play(player, stream, [0, 1, 20, 21])
    assert [len(pcm) // MS for pcm in played] == [20, 20, 0, 40]
    assert (counters.lost, counters.concealed_ms) == (18, 0)


def test_silence_suppression_is_no_loss() -> None:
    player, counters = playout()
    stream = Stream()
    player.arrive(stream.packet(0), 0.0)
    assert player.arrive(stream.packet(1, skip_ms=200), 0.22).tolist() == stream.pcm(1)
    assert (counters.lost, counters.concealed_ms) == (0, 0)


def test_digits_and_comfort_noise_take_their_turn_without_audio() -> None:
    player, counters = playout()
    stream = Stream()
    player.arrive(stream.packet(0), 0.0)
    assert not player.arrive(stream.packet(1, payload_type=101), 0.02).size
    assert player.arrive(stream.packet(2), 0.04).tolist() == stream.pcm(2)
    assert counters.lost == 0


def test_silence_that_filled_a_hole_is_not_made_up_again() -> None:
    player, counters = playout()
    stream = Stream()
    play(player, stream, [0, 1])  # audio until 0.04
    filled = sum(len(player.tick(at / 1000)) for at in range(40, 141))
    assert filled // MS == 70  # from 0.08 on
    assert not player.arrive(stream.packet(7), 0.14).size
    played = player.arrive(stream.packet(8), 0.16)
    assert len(played) // MS == 100 - 70 + 40
    assert (counters.lost, counters.concealed_ms, counters.filled_ms) == (5, 30, 70)


def test_a_new_source_begins_anew() -> None:
    player, counters = playout()
    play(player, Stream(), [0, 1])
    other = Stream(ssrc=2, sequence=100, timestamp=0)
    played = play(player, other, [0, 1, 2], start=0.04)
    assert list(itertools.chain(*played)) == other.pcm(0, 1, 2)
    assert counters.lost == 0


def test_one_stray_packet_is_ignored_but_two_in_a_row_are_a_new_beginning() -> None:
    player, counters = playout()
    stream = Stream()
    played = play(player, stream, [0, 1, 5000, 2, 9000, 9001, 9002])
    assert [len(pcm) // MS for pcm in played] == [20, 20, 0, 20, 0, 20, 20]
    assert counters.lost == 0


def test_silence_starts_40_ms_after_the_audio_ended_and_keeps_real_time() -> None:
    player, counters = playout()
    stream = Stream()
    play(player, stream, [0, 1, 2])  # until 0.06
    assert player.due == pytest.approx(0.06 + GRACE_S)
    filled = [len(player.tick(0.06 + at / 1000)) // MS for at in range(1, 1041)]
    assert sum(filled) == pytest.approx(1000, abs=10)
    assert set(filled) == {0, 10}
    assert counters.filled_ms == sum(filled)
    assert player.arrive(stream.packet(3, skip_ms=1040), 1.1).tolist() == stream.pcm(3)
    assert counters.concealed_ms == 0


def test_silence_starts_by_itself_when_no_audio_ever_came() -> None:
    player, _ = playout(now=10.0)
    assert not player.tick(10.0 + GRACE_S - 0.001).size
    assert len(player.tick(10.0 + GRACE_S)) == 10 * MS


def test_after_a_stall_of_ours_what_came_meanwhile_is_passed_on_before_any_silence() -> None:
    player, counters = playout()
    stream = Stream()
    play(player, stream, [0, 1])
    assert not player.tick(5.0).size
    assert player.arrive(stream.packet(2), 5.0).tolist() == stream.pcm(2)
    assert not player.tick(10.0).size
    assert len(player.tick(player.due)) == 10 * MS
    assert counters.filled_ms == 10


def test_a_burst_is_cut_to_100_ms_and_its_standing_backlog_is_gone_within_two_seconds() -> None:
    player, counters = playout()
    stream = Stream()
    # Twenty packets of a stall come at once, then all is regular again.
    passed = sum(len(player.arrive(stream.packet(n), 0.4)) for n in range(20)) / MS
    end = 0.4 + passed / 1000
    assert passed < 320
    for n in range(20, 120):
        now = 0.42 + 0.02 * (n - 20)
        end = max(end, now) + len(player.arrive(stream.packet(n), now)) / MS / 1000
    assert end - now <= 0.05
    assert counters.dropped_ms >= 300


@pytest.mark.parametrize("jitter_ms", [5, 20, 40])
def test_jitter_alone_drops_nothing(jitter_ms: int) -> None:
    player, counters = playout()
    stream = Stream()
    late = np.random.default_rng(1).uniform(0, jitter_ms / 1000, 1000)
    arrivals = np.maximum.accumulate(0.02 * np.arange(1000) + late)
    for n, at in enumerate(arrivals):
        player.arrive(stream.packet(n), float(at))
    assert counters.dropped_ms <= 20
    assert counters.lost == 0


@pytest.mark.parametrize("ppm", [-3000, 3000])
def test_a_clock_that_is_wrong_by_3000_ppm_never_gets_far_ahead(ppm: int) -> None:
    player, counters = playout()
    stream = Stream()
    step = 0.02 * (1 - ppm / 1e6)
    end = now = 0.0
    for n in range(5000):
        now += step
        end = max(end, now) + len(player.arrive(stream.packet(n), now)) / MS / 1000
        assert end - now <= AHEAD_S + 0.03
    assert counters.lost == 0


@given(st.lists(st.tuples(st.integers(-150, 150), st.integers(0, 60), st.sampled_from([8, 13, 101])), max_size=80))
def test_no_order_of_packets_breaks_the_playout(events: list[tuple[int, int, int]]) -> None:
    """What is passed on is whole frames, and never more than real time, what may be ahead of it, and the holes."""
    player, counters = playout()
    stream = Stream()
    now, passed = 0.0, 0
    for step, wait_ms, payload_type in events:
        now += wait_ms / 1000
        passed += len(player.tick(now))
        pcm = player.arrive(stream.packet(1000 + step, payload_type), now)
        assert len(pcm) % (10 * MS) == 0
        passed += len(pcm)
    assert counters.packets == len(events)
    assert passed // MS <= now * 1000 + 20 * len(events) + counters.concealed_ms + 10
    assert counters.lost >= 0


def test_dropping_leaves_no_step() -> None:
    tone = (8000 * np.sin(2 * np.pi * 300 * np.arange(160) / 8000)).astype(np.int16)
    shortened = drop(tone, 80)
    assert shortened.size == 80
    assert shortened[0] == tone[0]
    assert shortened[-1] == tone[-1]
    assert drop(tone[:80], 80).size == 40
    assert drop(tone[:1], 80).size == 1


def test_cadence_sends_each_frame_that_comes_in_time() -> None:
    counters = DirectionCounters()
    cadence = Cadence(20, counters, 0.0)
    assert all(cadence.arrive(0.02 * n) for n in range(100))
    assert cadence.tick(2.0) == 0
    assert counters == DirectionCounters(packets=100, first_ms=0)


def test_cadence_sends_silence_in_real_time_when_the_engine_gives_nothing() -> None:
    counters = DirectionCounters()
    cadence = Cadence(20, counters, 0.0)
    assert sum(cadence.tick(at / 1000) for at in range(1, 991)) == 48  # from 40 ms on
    assert counters.filled_ms == 960
    assert cadence.arrive(0.995)


def test_cadence_drops_what_comes_too_early() -> None:
    counters = DirectionCounters()
    cadence = Cadence(20, counters, 0.0)
    sent = sum(cadence.arrive(0.0) for _ in range(20))
    assert 5 <= sent <= 7
    assert counters.dropped_ms == (20 - sent) * 20


def test_pace_takes_a_lead_that_every_packet_has_for_a_backlog() -> None:
    pace = Pace(0.01, 0.0)
    pace.passed(0.08, 0.0)
    early = []
    for n in range(1, 140):
        now = 0.02 * n
        early.append(pace.passed(0.02, now))
        if early[-1]:
            pace.dropped(0.01)
    assert not any(early[:98])  # in the first second something came without a lead: what brought it
    assert sum(early) == 6  # 60 ms, 10 ms each
    assert not any(early[110:])
