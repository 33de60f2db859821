"""The order and the time of audio, both ways, as pure cores: packets and the time go in, PCM comes out.

Nothing is buffered here: what arrives is passed on at once, and the far end's own buffer is the buffer. Times are
seconds of the monotonic clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.media.codec import Codec, Concealer, Pcm
from gateway.media.model import AudioFormat, DirectionCounters
from gateway.media.rtp import (
    CLOCK_HZ,
    SEQUENCE_MODULUS,
    TIMESTAMP_MODULUS,
    RtpPacket,
    sequence_distance,
    timestamp_distance,
)

#: Silence is sent this long after the audio ended. Measured: 20 to 40 ms leave the far end's delay alone; with 100 ms
#: it rises by 45 to 100 ms for the rest of the call, without any the first word comes late.
GRACE_S: Final = 0.040
#: Being asked so late for what was due means that this process got no processor.
STALL_S: Final = 0.030
#: So far ahead of the time, audio is thrown away at once.
AHEAD_S: Final = 0.100
#: A lead that no packet of a second came without is a backlog, and not jitter.
BACKLOG_S: Final = 0.030
BACKLOG_WINDOW_S: Final = 1.0
#: What one packet loses while there is a backlog.
DROP_MS: Final = 10
#: A jump this wide is a new stream (a re-INVITE, a restarted peer), not loss.
RESYNC_PACKETS: Final = 100
#: A longer hole is not worth making audio up for.
CONCEAL_MS: Final = 200

NOTHING: Final[Pcm] = np.zeros(0, np.int16)

#: Of sums of times.
_ROUNDING_S: Final = 1e-6
_TICKS_PER_MS: Final = CLOCK_HZ // 1000
_SEEN_MASK: Final = (1 << RESYNC_PACKETS) - 1


class Pace:
    """Holds audio that is passed on to its real time: says when it is too early, and when silence is due.

    `until` is the time up to which there is audio, if the far end began to play each piece as soon as it came.
    """

    def __init__(self, step_s: float, now: float) -> None:
        self._step_s = step_s
        self._until = now
        self._silent = False
        self._least_lead = AHEAD_S
        self._window_ends = now + BACKLOG_WINDOW_S
        self._backlog_s = 0.0

    @property
    def due(self) -> float:
        """When silence will be due, if nothing comes before."""
        return self._until if self._silent else self._until + GRACE_S

    def passed(self, seconds: float, now: float) -> bool:
        """So much audio is passed on; answer whether too much was waiting already, so that some shall be dropped."""
        self._silent = False
        lead = self._until - now
        self._until = (self._until if lead > 0.0 else now) + seconds
        self._least_lead = min(self._least_lead, lead)
        if now >= self._window_ends:
            self._backlog_s = self._least_lead if self._least_lead > BACKLOG_S else 0.0
            self._least_lead = lead
            self._window_ends = now + BACKLOG_WINDOW_S
        return lead > AHEAD_S or self._backlog_s > _ROUNDING_S

    def dropped(self, seconds: float) -> None:
        """So much of what counts as passed on was dropped."""
        self._until -= seconds
        self._backlog_s = max(0.0, self._backlog_s - seconds)

    def silence(self, now: float) -> int:
        """How many steps of silence are due; they count as passed on.

        None after a stall of our own: what came meanwhile is to be passed on first, and only if there is nothing,
        silence, from now on.
        """
        due = self.due
        if now < due:
            return 0
        if now - due > STALL_S:
            self._until += now - due
            return 0
        steps = int((now - due) / self._step_s) + 1
        self._silent = True
        self._until = due + steps * self._step_s
        return steps


class Playout:
    """RTP from Asterisk becomes PCM for the engine.

    A packet that comes ahead of its turn waits for one more packet, in case the missing one is only late.
    """

    def __init__(self, audio_format: AudioFormat, codec: Codec, counters: DirectionCounters, now: float) -> None:
        self._payload_type = audio_format.payload_type
        self._rate_hz = audio_format.rate_hz
        self._samples_per_ms = audio_format.rate_hz // 1000
        self._codec = codec
        self._concealer = Concealer(audio_format.rate_hz)
        self._counters = counters
        self._opened = now
        self._pace = Pace(DROP_MS / 1000, now)
        self._unit = DROP_MS * self._samples_per_ms
        self._filled_ms = 0  # since the audio ended
        self._rest = NOTHING  # what is no whole 10 ms yet
        self._ssrc: int | None = None
        self._sequence = 0  # of the next packet in turn
        self._timestamp = 0
        self._seen = 0  # bit n: the packet n before the next in turn came
        self._restart: int | None = None
        self._held: RtpPacket | None = None

    @property
    def due(self) -> float:
        """When `tick` has something to do, if nothing arrives before."""
        return self._pace.due

    def arrive(self, packet: RtpPacket, now: float) -> Pcm:
        """Take a packet; answer the PCM to pass on now, a whole number of 10 ms, often one packet's, perhaps none."""
        self._counters.packets += 1
        if packet.sequence == self._sequence and packet.ssrc == self._ssrc and self._held is None:
            self._restart = None
            return self._play(packet, now)  # nearly every packet
        if packet.ssrc != self._ssrc:
            if self._ssrc is None:
                self._counters.first_ms = round(1000 * (now - self._opened))
            played = self._release_held(now)
            self._start(packet)
            return _joined(played, self._play(packet, now))
        ahead = sequence_distance(packet.sequence, self._sequence)
        if abs(ahead) >= RESYNC_PACKETS:
            return self._restarted(packet, now)
        self._restart = None
        if ahead < 0:
            self._note_late(-ahead)
            return NOTHING
        if self._held is not None:
            return self._settle(packet, self._held, now)
        return self._hold(packet)

    def tick(self, now: float) -> Pcm:
        """Answer what is due although nothing arrived: the packet that waits in vain, or silence."""
        if now < self._pace.due:
            return NOTHING
        if self._held is not None:
            return self._release_held(now)
        steps = self._pace.silence(now)
        self._filled_ms += steps * DROP_MS
        self._counters.filled_ms += steps * DROP_MS
        return np.zeros(steps * self._unit, np.int16)

    def _start(self, packet: RtpPacket) -> None:
        self._ssrc = packet.ssrc
        self._sequence = packet.sequence
        self._timestamp = packet.timestamp
        self._seen = 0
        self._restart = None
        self._held = None

    def _restarted(self, packet: RtpPacket, now: float) -> Pcm:
        """One packet from elsewhere may be a stray; two in a row are a new beginning (RFC 3550 A.1)."""
        if packet.sequence != self._restart:
            self._restart = (packet.sequence + 1) % SEQUENCE_MODULUS
            return NOTHING
        played = self._release_held(now)
        self._start(packet)
        return _joined(played, self._play(packet, now))

    def _settle(self, packet: RtpPacket, held: RtpPacket, now: float) -> Pcm:
        """A second packet came while one was waiting: play both in their order."""
        between = sequence_distance(packet.sequence, held.sequence)
        if between == 0:
            return NOTHING
        self._held = None
        if between < 0:
            return _joined(self._play(packet, now), self._play(held, now))
        played = self._play(held, now)
        return _joined(played, self._play(packet, now) if between == 1 else self._hold(packet))

    def _hold(self, packet: RtpPacket) -> Pcm:
        # The datagram's buffer will be written over.
        self._held = packet._replace(payload=memoryview(bytes(packet.payload)))
        return NOTHING

    def _release_held(self, now: float) -> Pcm:
        held, self._held = self._held, None
        return NOTHING if held is None else self._play(held, now)

    def _play(self, packet: RtpPacket, now: float) -> Pcm:
        lost = hole_ms = 0
        if packet.sequence != self._sequence:
            lost = sequence_distance(packet.sequence, self._sequence)
            hole_ms = timestamp_distance(packet.timestamp, self._timestamp) // _TICKS_PER_MS
            self._counters.lost += lost
        self._sequence = (packet.sequence + 1) % SEQUENCE_MODULUS
        self._seen = (self._seen << lost + 1 | 1) & _SEEN_MASK
        if packet.payload_type != self._payload_type:  # comfort noise, or digits: no audio of ours, yet in its turn
            return NOTHING
        self._timestamp = (packet.timestamp + len(packet.payload)) % TIMESTAMP_MODULUS
        decoded = self._codec.decode(packet.payload)
        missing_ms = hole_ms - self._filled_ms  # silence may have been there first
        self._filled_ms = 0
        if missing_ms > 0 and hole_ms <= CONCEAL_MS:
            self._counters.concealed_ms += missing_ms
            made = self._concealer.conceal(missing_ms * self._samples_per_ms)
            return self._pass_on(np.concatenate((made, self._concealer.heard(decoded))), now)
        return self._pass_on(self._concealer.heard(decoded), now)

    def _note_late(self, behind: int) -> None:
        bit = 1 << behind - 1
        if not self._seen & bit:  # else a duplicate
            self._seen |= bit
            self._counters.late += 1
            self._counters.lost = max(0, self._counters.lost - 1)

    def _pass_on(self, pcm: Pcm, now: float) -> Pcm:
        whole = pcm.size
        if self._pace.passed(whole / self._rate_hz, now):
            pcm = drop(pcm, self._unit)
            dropped_ms = (whole - pcm.size) // self._samples_per_ms
            self._counters.dropped_ms += dropped_ms
            self._pace.dropped(dropped_ms / 1000)
        if not pcm.size % self._unit and not self._rest.size:
            return pcm
        pcm = _joined(self._rest, pcm)
        rest = pcm.size % self._unit
        self._rest = pcm[pcm.size - rest :]
        return pcm[: pcm.size - rest] if rest else pcm


def _joined(first: Pcm, second: Pcm) -> Pcm:
    if not first.size:
        return second
    return np.concatenate((first, second)) if second.size else first


def drop(pcm: Pcm, samples: int) -> Pcm:
    """Shorten audio by `samples`, half of it at most, without a click: it fades into what comes so much later."""
    samples = min(samples, pcm.size // 2)
    rise = np.linspace(0.0, 1.0, samples, dtype=np.float32)
    shortened = pcm[samples:].copy()
    shortened[:samples] = (pcm[:samples] * (1 - rise) + shortened[:samples] * rise).astype(np.int16)
    return shortened


class Cadence:
    """PCM from the engine becomes RTP to Asterisk: passed on at the engine's own pace, silence where it gives none."""

    def __init__(self, frame_ms: int, counters: DirectionCounters, now: float) -> None:
        self._frame_ms = frame_ms
        self._frame_s = frame_ms / 1000
        self._counters = counters
        self._opened = now
        self._pace = Pace(self._frame_s, now)

    @property
    def due(self) -> float:
        return self._pace.due

    def arrive(self, now: float) -> bool:
        """Whether the frame that came now shall be sent."""
        self._counters.packets += 1
        if self._counters.first_ms is None:
            self._counters.first_ms = round(1000 * (now - self._opened))
        if self._pace.passed(self._frame_s, now):
            self._counters.dropped_ms += self._frame_ms
            self._pace.dropped(self._frame_s)
            return False
        return True

    def tick(self, now: float) -> int:
        """How many silent frames shall be sent now."""
        frames = self._pace.silence(now)
        self._counters.filled_ms += frames * self._frame_ms
        return frames
