"""What a robot is told to do, and what it tells of a call. Shared by the sandbox and the robots' processes."""

from __future__ import annotations

import enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class OnCall(enum.StrEnum):
    """What a robot does when it is called."""

    ANSWER = "answer"
    DECLINE = "decline"
    BUSY = "busy"
    IGNORE = "ignore"  # it rings, and nobody comes
    OFFLINE = "offline"  # it is not connected at all


class Behaviour(BaseModel):
    """How a robot acts as a Telegram user.

    Attributes:
        after_s: How long it waits before it answers, declines or is busy.
        rings: Whether it says, as the official apps do, that it rings; while it does, and as long as the call lasts,
            Telegram refuses all other calls to that user.
        audio: What it says: "silence", "echo", "tone:440", "speech:telephone", or the path of a mono WAV file.
        audio_after_s: How long it is silent first.
        rate_hz: Of what it says and hears.
        hangup_after_s: How long after the connection it hangs up; None: never.
        record: Whether it keeps what it hears.
    """

    model_config = ConfigDict(extra="forbid")

    on_call: OnCall = OnCall.ANSWER
    after_s: float = Field(0, ge=0)
    rings: bool = True
    audio: str = "silence"
    audio_after_s: float = Field(0, ge=0)
    rate_hz: Literal[8000, 16000, 48000] = 16000
    hangup_after_s: float | None = Field(None, ge=0)
    record: bool = True


class CallReport(BaseModel):
    """One call as a robot lived it. Times are of the monotonic clock, which all processes of a machine share.

    Attributes:
        id: Telegram's.
        state: "calling", "ringing", "connecting", "connected", "ended".
        reason: Telegram's word for why it ended, or a fault of the robot's in its own words.
        versions: What the two ends agreed on.
        key_digest: SHA-256 of the key and g_a, of which apps make the four pictures that users compare.
        heard_frames: 10 ms each.
        first_heard_at, first_said_at: When the first frame came, and when the audio that it says began.
        recording: The WAV file; whole once the call has ended, and begins at `first_heard_at`.
        events: Each with its time.
    """

    id: int = 0
    robot: int
    peer: int
    outgoing: bool
    state: str = "calling"
    reason: str = ""
    duration_s: int = 0
    versions: list[str] = []
    key_digest: str = ""
    heard_frames: int = 0
    first_heard_at: float | None = None
    first_said_at: float | None = None
    recording: str | None = None
    events: list[tuple[float, str]] = []


class RobotReport(BaseModel):
    id: int
    phone: str
    behaviour: Behaviour
    online: bool
    calls: list[CallReport]
