"""What was wrong with a call's audio, judged from its record: what an engineer looks for first."""

from __future__ import annotations

import enum
from typing import Final

from gateway.media.model import DirectionCounters, MediaReport

#: Nobody talks for so long without a packet; shorter calls tell nothing.
TALK_S: Final = 5.0
#: People say hello twice by then.
LATE_MS: Final = 2000
#: More than that is heard, however well it is made up.
LOSS: Final = 0.03
#: With what the ends add on top, people begin to talk over each other. Source: ITU-T G.114 (200 to 400 ms one way).
SLOW_MS: Final = 400.0


class AudioFault(enum.StrEnum):
    NOTHING_FROM_PBX = "nothing_from_pbx"  # the Telegram user heard silence
    NOTHING_FROM_USER = "nothing_from_user"  # the PBX heard silence
    LATE_FROM_PBX = "late_from_pbx"  # its first packet
    LATE_FROM_USER = "late_from_user"
    LOSS_FROM_PBX = "loss_from_pbx"
    LOSS_FROM_USER = "loss_from_user"
    LOSS_TO_USER = "loss_to_user"  # as his app reported at the end
    SLOW = "slow"  # the way to the user and back


def loss(counted: DirectionCounters) -> float:
    """The share of packets that never came, 0..1."""
    return counted.lost / (counted.packets + counted.lost) if counted.lost else 0.0


def audio_faults(media: MediaReport, talk_s: float) -> tuple[AudioFault, ...]:
    """In a conversation of this length, the worst first; none of a short one, or whose counters are not known."""
    if talk_s < TALK_S or not media.counted:
        return ()
    from_pbx, from_user = media.to_telegram, media.to_sip
    found = {
        AudioFault.NOTHING_FROM_PBX: not from_pbx.packets,
        AudioFault.NOTHING_FROM_USER: not from_user.packets,
        AudioFault.LATE_FROM_PBX: (from_pbx.first_ms or 0) > LATE_MS,
        AudioFault.LATE_FROM_USER: (from_user.first_ms or 0) > LATE_MS,
        AudioFault.LOSS_FROM_PBX: loss(from_pbx) > LOSS,
        AudioFault.LOSS_FROM_USER: loss(from_user) > LOSS,
        AudioFault.LOSS_TO_USER: (media.loss_sent or 0.0) > LOSS,
        AudioFault.SLOW: (media.rtt_ms or 0.0) > SLOW_MS,
    }
    return tuple(fault for fault, so in found.items() if so)
