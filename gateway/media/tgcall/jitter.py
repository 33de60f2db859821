"""The jitter buffer: packets in as the network brings them, one frame out every 20 ms.

Pure: time is handed in, the decoder as well. All its time is RTP time: `_head` is the time stamp of the next sample to
be played, and it moves by a frame at every pull while the peer sends. Delay is only ever changed in whole frames, so
that the borders of packets stay on the borders of frames.

A frame that is missing when it is due is made up. What becomes of it tells loss from jitter from silence:
the packet never comes (the next one's redundancy restores what is still to be played of it): **loss**; if that goes on,
the delay grows as far as the redundancy needs to come in time, and no further;
it comes late: **jitter**, its played part is cut off, or the delay grows if that happens often;
nothing comes for 200 ms, or the peer said that it is muted or rests (DTX): **idle**, and the next packet starts afresh.

*Slack* is how long before its deadline a packet comes. A low quantile of it over some seconds is all that steers the
delay: under 2 ms a frame is put in; a frame and more too much, and one is taken out where it is heard least.
Clock drift is a slow change of slack, and needs nothing of its own.

Source: RFC 3550 §5.1 (sequence numbers, time stamps); RFC 7587 §4.2 (time stamps of Opus); RFC 6716 §2.1.7 (FEC).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np

from .model import FRAME_MS, RTP_CLOCK_HZ, Pcm
from .opus import LONGEST_REST, packet_ticks, redundancy_ticks
from .splice import crossfade, drop_frame, fade_out, insert_frame

FRAME_TICKS: Final = RTP_CLOCK_HZ * FRAME_MS // 1000
FRAME_S: Final = FRAME_MS / 1000

#: A packet should come this long before its deadline: what a busy host delays a tick or a packet by.
MARGIN_S: Final = 0.008
#: Below this the delay grows before packets begin to come late.
LEAST_SLACK_S: Final = 0.002
#: Above this there is a frame too many.
MOST_SLACK_S: Final = MARGIN_S + FRAME_S + 0.002
#: This share of packets may come late: as much as concealment hides.
LATE_SHARE: Final = 0.02
#: Slack is judged over so long; long enough to have seen the network's usual delays.
WINDOW_S: Final = 4.0
#: Fewer say nothing about how packets vary.
ENOUGH_SLACKS: Final = 20
MOST_SPREAD_S: Final = 0.2
#: With so much too much over a short time, what is too much goes at once: a stall has ended.
BACKLOG_S: Final = 0.1
BACKLOG_WINDOW_S: Final = 0.5
#: Between two changes of the delay: half a second.
CALM_FRAMES: Final = 25

#: Of so many packets two were lost, and the next one is waited for, for its redundancy; none, and no more. Measured in
#: PESQ with packets of 60 ms: nothing gained at 0.2 % of loss, 0.1 at 0.5 %, 0.2 at 1 %, 0.5 at 2 %; the wait is one
#: packet. docs/performance.md.
LOSS_MEMORY_PACKETS: Final = 512

#: No packet for so long, and the peer has stopped sending.
IDLE_AFTER_S: Final = 0.2
#: A jump this wide is a new stream, not loss.
RESYNC_PACKETS: Final = 100
RESYNC_TICKS: Final = 2 * RTP_CLOCK_HZ
MOST_PACKETS: Final = 100
#: Concealment is made in steps of 2.5 ms, and a little longer than needed, to blend what follows into it.
_STEP_TICKS: Final = RTP_CLOCK_HZ // 400
_TAIL_TICKS: Final = 2 * _STEP_TICKS
#: Of a frame: what sums of times may be off by.
_ROUNDING: Final = 1e-6


class Decoder(Protocol):
    """Samples are at the call's rate; see `opus.OpusDecoder`."""

    def decode(self, packet: bytes) -> Pcm: ...

    def restore(self, following: bytes, samples: int) -> Pcm: ...

    def conceal(self, samples: int) -> Pcm: ...


class _Packet(NamedTuple):
    timestamp: int
    ticks: int
    restores: int  # ticks of the audio before it
    payload: bytes


class JitterBuffer:
    """See the module. Counters are in packets and milliseconds, from the start.

    Args:
        align: Asked when a stream begins, with the earliest time at which its first packet should be pulled: may move
            the pulls to better moments, and answers when the next is.

    Attributes:
        muted: What the peer said of itself; its silence is then no surprise.
    """

    def __init__(self, decoder: Decoder, rate_hz: int, align: Callable[[float], float] | None = None) -> None:
        self.lost = self.late = self.duplicate = 0
        self.restored_ms = self.idle_ms = self.dropped_ms = self.inserted_ms = 0
        self.muted = False
        self._decoder = decoder
        self._align = align
        self._ticks = RTP_CLOCK_HZ // rate_hz
        self._frame = rate_hz * FRAME_MS // 1000
        self._silence: Pcm = np.zeros(self._frame, np.int16)
        self._silence.setflags(write=False)
        self._played = self._silence
        self._concealed_ms = 0
        self._due: float | None = None  # of the next pull; None before the first
        self._last_heard = 0.0
        self._slacks: deque[tuple[float, float]] = deque()
        self._shift = 0.0
        self._spread = 0.0
        self._calm = 0
        self._mean_slack = 0.0
        self._lost_at: deque[int] = deque(maxlen=2)  # the sequence numbers of the last that were lost
        self._redundancy_s = 0.0  # how long to wait for redundancy
        self._sequence: int | None = None  # the newest, unwrapped
        self._timestamp = 0  # the newest, unwrapped
        self._begin()

    def _begin(self) -> None:
        """Forget the stream; the next packet starts afresh."""
        self._active = False
        self._queue: dict[int, _Packet] = {}
        self._next = 0  # the sequence number to be decoded next
        self._head = 0  # the RTP time of the next sample to be played
        self._end = 0  # the RTP time at which the last decoded packet ended
        self._pcm: Pcm = self._silence[:0]
        self._made_up = False  # whether what is left in `_pcm` is concealment
        self._unsettled_ms = 0  # made up since the last packet; idle or concealed, as will be seen
        self._decoded = False
        self._rests = False  # the peer: its last packet announced a pause
        self._late_run = 0

    @property
    def concealed_ms(self) -> int:
        return self._concealed_ms

    @property
    def delay_ms(self) -> float:
        """How long packets wait to be played, on average."""
        return 1000 * self._mean_slack

    # -- packets in ----------------------------------------------------------------------------------------------

    def push(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet; an empty payload is padding, which uses up its number only.

        Before the first pull nobody listens yet, and nothing is kept.
        """
        ticks = packet_ticks(payload)
        if self._due is None or (payload and not ticks):
            return
        number, stamp = self._unwrap(sequence, timestamp)
        self._last_heard = now
        packet = _Packet(stamp, ticks, redundancy_ticks(payload), payload)
        if not self._active:
            if not payload or (self._decoded and number < self._next):
                return
            self._start(number, packet, now)
        elif number in self._queue:
            self.duplicate += 1
            return
        elif number < self._next:
            if self._decoded or stamp + ticks <= self._head:
                # It was given up, and its place was filled: from the next one, or by making up.
                self.late += 1
                self.lost = max(0, self.lost - 1)
                if number in self._lost_at:
                    self._lost_at.remove(number)
                return
            self._next = number  # the first packets of a stream changed places
        if payload:
            self._judge(number, packet, now)
        self._queue[number] = packet
        if len(self._queue) > MOST_PACKETS:
            self._begin()

    def _unwrap(self, sequence: int, timestamp: int) -> tuple[int, int]:
        """Numbers without an end. A jump begins a new stream."""
        if self._sequence is None:
            self._sequence, self._timestamp = sequence + 0x1_0000, timestamp + 0x1_0000_0000
            return self._sequence, self._timestamp
        ahead = (sequence - self._sequence + 0x8000 & 0xFFFF) - 0x8000
        jump = (timestamp - self._timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        number, stamp = self._sequence + ahead, self._timestamp + jump
        if abs(ahead) > RESYNC_PACKETS or (self._active and abs(stamp - self._head) > RESYNC_TICKS):
            self.resynchronise()
            return self._unwrap(sequence, timestamp)
        if ahead > 0:
            self._sequence, self._timestamp = number, stamp
        return number, stamp

    def resynchronise(self) -> None:
        """A new stream takes over. What is decoded of the old one is not played."""
        self._begin()
        self._sequence = None
        self._decoded = False
        self._forget_loss()

    def _start(self, number: int, packet: _Packet, now: float) -> None:
        """Begin to play in so many frames that the packet came in time. Numbers left out were lost, not unsent."""
        if self._decoded:
            self.lost += number - self._next
        self._begin()
        self._active = True
        self._next = number
        assert self._due is not None
        earliest = now + self._wanted_slack()
        if self._align is not None:
            self._due = self._align(earliest)
        wait = max(0, math.ceil((earliest - self._due) / FRAME_S - _ROUNDING))
        self._head = self._end = packet.timestamp - wait * FRAME_TICKS

    def _wanted_slack(self) -> float:
        """What a first packet should have: as much more than the least as packets were seen to vary."""
        if len(self._slacks) >= ENOUGH_SLACKS:
            slacks = sorted(slack for _, slack in self._slacks)
            self._spread = slacks[len(slacks) // 2] - slacks[int(len(slacks) * LATE_SHARE)]
        self._slacks.clear()
        return MARGIN_S + min(self._spread, MOST_SPREAD_S)

    def _slack(self, packet: _Packet, now: float) -> float:
        """How long before the pull that needs it a packet has come; negative if it is late."""
        assert self._due is not None
        frames = (packet.timestamp - self._head) // FRAME_TICKS
        return self._due + frames * FRAME_S - now

    def _judge(self, number: int, packet: _Packet, now: float) -> None:
        slack = self._slack(packet, now)
        self._mean_slack += (slack - self._mean_slack) / 16
        self._slacks.append((now, slack - self._shift))
        while now - self._slacks[0][0] > WINDOW_S:
            self._slacks.popleft()
        if slack >= 0 or number != self._next:
            self._late_run = 0
            return
        # In order, and late: if it is not the only one, the delay is too short.
        self._late_run += 1
        wanted = self._low_slack(WINDOW_S)
        behind = max(0, packet.timestamp + packet.ticks - self._head)
        if self._late_run > 1 or not behind:
            wanted = min(wanted, slack)
        if wanted < LEAST_SLACK_S:
            made_up = max(0, (self._head - packet.timestamp) // FRAME_TICKS)
            self._delay(min(made_up, -int((wanted - LEAST_SLACK_S) // FRAME_S)))

    def _low_slack(self, window_s: float) -> float:
        """The quantile that steers the delay, as of now."""
        since = self._slacks[-1][0] - window_s
        slacks = sorted(slack for at, slack in self._slacks if at >= since)
        return slacks[int(len(slacks) * LATE_SHARE)] + self._shift

    def _delay(self, frames: int) -> None:
        """Play everything so much later; what was made up in the meantime was put in, then, not lost."""
        self._head -= frames * FRAME_TICKS
        self._shift += frames * FRAME_S
        self.inserted_ms += min(frames * FRAME_MS, self._unsettled_ms)
        self._unsettled_ms = max(0, self._unsettled_ms - frames * FRAME_MS)
        self._calm = 0

    # -- frames out ----------------------------------------------------------------------------------------------

    def pull(self, due: float) -> Pcm:
        """One frame.

        Args:
            due: When it is to be played: exactly 20 ms after the last one, unless `align` moved it.
        """
        self._due = due + FRAME_S
        if not self._active:
            self.idle_ms += FRAME_MS
            return self._silence
        while len(self._pcm) < self._frame or self._made_up:
            if not self._decode_next():
                break
        if len(self._pcm) < self._frame and not self._make_up(due):
            return self._fall_idle()
        self._calm += 1
        if self._calm % CALM_FRAMES == 0 and not self._made_up:
            self._steer()
        frame, self._pcm = self._pcm[: self._frame], self._pcm[self._frame :]
        self._head += FRAME_TICKS
        self._played = frame
        return frame

    def _decode_next(self) -> bool:
        """Decode what comes next, if it is there or is lost; answer whether anything changed."""
        packet = self._queue.pop(self._next, None)
        if packet is None:
            return self._restore_next()
        if not packet.ticks:
            self._next += 1
            return True
        at = self._decoded_until()
        if packet.timestamp - at >= FRAME_TICKS:
            # A gap that the sender made: the wait at a beginning, or silence that it did not send.
            self._queue[self._next] = packet
            return self._wait(packet.timestamp - at)
        self._next += 1
        self._rests = len(packet.payload) <= LONGEST_REST
        self._heed_loss(packet)
        self._append(self._decoder.decode(packet.payload), packet.timestamp)
        self._end = packet.timestamp + packet.ticks
        return True

    def _restore_next(self) -> bool:
        """The packet is missing. Once later ones are here, what it held is restored from them, when it is due."""
        if not self._queue:
            return False
        number = min(self._queue)
        packet = self._queue[number]
        at = self._decoded_until()
        covered_from = packet.timestamp - packet.restores
        if at < covered_from and len(self._pcm) < self._frame:
            return False  # more than one is missing: make up a frame, and see
        self.lost += number - self._next
        self._lost_at.extend(range(self._next, number))
        self._next = number
        self._settle()
        if at < packet.timestamp and packet.restores:
            restored = self._decoder.restore(packet.payload, packet.restores // self._ticks)
            self.restored_ms += (packet.timestamp - max(at, self._end)) * 1000 // RTP_CLOCK_HZ
            self._append(restored, covered_from)
            self._end = packet.timestamp
        return True

    def _heed_loss(self, packet: _Packet) -> None:
        """Wait for redundancy while packets are lost; as long as the longest, for coders change how much they send."""
        if not self._lost_at or self._next - self._lost_at[-1] > LOSS_MEMORY_PACKETS:
            self._forget_loss()
        elif len(self._lost_at) > 1 and self._next - self._lost_at[0] <= LOSS_MEMORY_PACKETS:
            self._redundancy_s = max(self._redundancy_s, packet.restores / RTP_CLOCK_HZ)

    def _forget_loss(self) -> None:
        self._lost_at.clear()
        self._redundancy_s = 0.0

    def _decoded_until(self) -> int:
        """The RTP time up to which there is real audio, or from which on it is needed."""
        return self._head if self._made_up else self._head + len(self._pcm) * self._ticks

    def _append(self, pcm: Pcm, timestamp: int) -> None:
        """Put real audio behind what there is; what of it was played already, in whatever form, is cut off."""
        self._decoded = True
        self._settle()
        surplus = (self._decoded_until() - timestamp) // self._ticks
        if surplus > 0:
            pcm = pcm[surplus:]
        if self._made_up:
            if not len(pcm):
                return
            self._pcm = crossfade(self._pcm, pcm)
            self._made_up = False
        else:
            self._pcm = np.concatenate((self._pcm, pcm)) if len(self._pcm) else pcm

    def _wait(self, ticks: int) -> bool:
        """Fill a gap of the sender's as far as the next frame needs it."""
        if not self._made_up and len(self._pcm) >= self._frame:
            return False
        if self._decoded and self._made_up:
            return False  # go on with what is being made up
        missing = min(ticks // self._ticks, self._frame - len(self._pcm))
        filling = self._silence[:missing]
        if len(self._pcm):
            self._pcm = fade_out(self._pcm)
        self._pcm = np.concatenate((self._pcm, filling))
        return missing > 0

    def _make_up(self, due: float) -> bool:
        """Fill the frame by concealment; False if the peer has rather stopped sending."""
        silent_s = due - self._last_heard
        silence_is_meant = self.muted or self._rests
        if not self._queue and (silent_s > IDLE_AFTER_S or (silence_is_meant and self._unsettled_ms >= FRAME_MS)):
            return False
        missing = (self._frame - len(self._pcm)) * self._ticks + _TAIL_TICKS
        steps = -(-missing // _STEP_TICKS)
        made = self._decoder.conceal(steps * _STEP_TICKS // self._ticks)
        self._pcm = np.concatenate((self._pcm, made))
        self._made_up = True
        self._unsettled_ms += FRAME_MS
        return True

    def _settle(self) -> None:
        """What was made up stood for audio that there was."""
        self._concealed_ms += self._unsettled_ms
        self._unsettled_ms = 0

    def _fall_idle(self) -> Pcm:
        frame = fade_out(np.concatenate((self._pcm, self._silence))[: self._frame])
        self.idle_ms += self._unsettled_ms + FRAME_MS
        following = self._next
        self._begin()
        self._next = following
        self._decoded = True
        self._played = frame
        return frame

    def _steer(self) -> None:
        """Take a frame out, or put one in, if the slack asks for it."""
        if not self._slacks:
            return
        low = self._low_slack(WINDOW_S) - self._redundancy_s
        backlog = self._low_slack(BACKLOG_WINDOW_S) - self._redundancy_s
        if backlog > MOST_SLACK_S + BACKLOG_S:
            self._skip(int((backlog - MARGIN_S) / FRAME_S))
        elif low < LEAST_SLACK_S and len(self._played) == self._frame:
            self._pcm = insert_frame(self._played, self._pcm)
            self._delay(1)
            self.inserted_ms += FRAME_MS
        elif low > MOST_SLACK_S and self._ahead():
            self._pcm = drop_frame(self._pcm, self._frame)
            self._advance(1)

    def _ahead(self) -> bool:
        """Have two frames decoded."""
        while len(self._pcm) < 2 * self._frame and self._next in self._queue and self._decode_next():
            pass
        return len(self._pcm) >= 2 * self._frame

    def _advance(self, frames: int) -> None:
        self._head += frames * FRAME_TICKS
        self._shift -= frames * FRAME_S
        self.dropped_ms += frames * FRAME_MS
        self._calm = 0

    def _skip(self, frames: int) -> None:
        """Leave a backlog out: decode it, for the decoder's sake, and go on behind it."""
        while len(self._pcm) < (frames + 1) * self._frame and self._next in self._queue and self._decode_next():
            pass
        frames = min(frames, len(self._pcm) // self._frame - 1)
        if frames > 0:
            behind = self._pcm[frames * self._frame :]
            self._pcm = crossfade(self._pcm[: self._frame], behind)
            self._advance(frames)
