"""A call each way, told step by step, measured, and judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from gateway.call.model import CallRecord, CallState, Direction
from gateway.demo.picture import Strip
from gateway.demo.world import World
from gateway.sandbox.audio import Pcm, level_dbfs, match, read_wav, resampled, speech, write_wav
from gateway.sandbox.behaviour import CallReport
from gateway.sandbox.phone import Behaviour, PhoneCall
from gateway.sandbox.phone.sound import rate_of
from gateway.sandbox.robots import Robot

#: Ours alone: what both ends need to be sure that nothing of what was said is still on its way.
TAIL_S: Final = 1.0
#: People take a moment to answer, and one sees in the story that it rang.
ANSWER_S: Final = 0.8
#: Both ends are quiet for a moment, so that no first word is lost to an end that is still being answered.
BEFORE_SPEECH_S: Final = 0.5
#: Two codecs in a row leave well above 0.7 of the telephone band's waveform; other speech reaches 0.3.
HEARD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of the audio of one call.

    Attributes:
        heard: Whether what was said is in the recording of the other end.
        likeness: 0..1, see `gateway.sandbox.audio.match`.
    """

    strip: Strip
    likeness: float
    level_dbfs: float
    recording: Path

    @property
    def heard(self) -> bool:
        return self.likeness >= HEARD

    @property
    def delay_ms(self) -> float:
        return self.strip.delay_s * 1000


@dataclass(frozen=True, slots=True)
class CallStory:
    """One call, as it went.

    Attributes:
        setup_ms: From dialling until the other end rang.
        answer_ms: From the other end's answer until the caller was connected.
        ended: The hangup cause in the record.
    """

    direction: Direction
    codec: str
    setup_ms: float
    answer_ms: float
    to_telegram: Way
    to_sip: Way
    ended: str

    @property
    def ok(self) -> bool:
        return self.to_telegram.heard and self.to_sip.heard and self.ended == "normal"

    def as_json(self) -> dict[str, Any]:
        ways = {"to_telegram": self.to_telegram, "to_sip": self.to_sip}
        return {
            "direction": self.direction.value,
            "codec": self.codec,
            "heard": {"sip": self.to_sip.heard, "telegram": self.to_telegram.heard},
            "setup_ms": round(self.setup_ms, 1),
            "answer_ms": round(self.answer_ms, 1),
            "delay_ms": round(max(way.delay_ms for way in ways.values()), 1),
            "delays_ms": {name: round(way.delay_ms, 1) for name, way in ways.items()},
            "likeness": {name: round(way.likeness, 3) for name, way in ways.items()},
            "level_dbfs": {name: round(way.level_dbfs, 1) for name, way in ways.items()},
            "recordings": {name: str(way.recording) for name, way in ways.items()},
            "ended": self.ended,
        }


@dataclass
class Narrator:
    """Notes what happens, with the time since the beginning, and tells it to whoever listens."""

    tell: Callable[[float, str, str], None]
    began: float = field(default_factory=time.monotonic)

    def note(self, who: str, what: str, at: float | None = None) -> None:
        self.tell((time.monotonic() if at is None else at) - self.began, who, what)

    def watch(self, record: CallRecord, state: CallState) -> None:
        """A watcher for the switchboard."""
        end = f": {record.ending.cause.value}" if state is CallState.ENDED else ""
        self.note("gateway", f"the call is {state.value}{end}")


class Storyteller:
    """Makes the calls in a world that is open, with two Telegram users."""

    def __init__(self, world: World, folder: Path, narrator: Narrator) -> None:
        self._world = world
        self._folder = folder
        self._narrator = narrator
        self._records: list[CallRecord] = []
        self._ended = asyncio.Event()
        world.gateway.board.watch(self._watch)

    def _watch(self, record: CallRecord, state: CallState) -> None:
        self._narrator.watch(record, state)
        if state is CallState.ENDED:
            self._records.append(record)
            self._ended.set()

    async def sip_to_telegram(self, user: Robot, codec: str) -> CallStory:
        """The phone calls a Telegram user by his number; both speak; the phone hangs up."""
        note = self._narrator.note
        await user.behave(audio="speech:telegram", audio_after_s=BEFORE_SPEECH_S, after_s=ANSWER_S)
        note("phone", f"dials +{user.user.phone}, {codec}")
        dialled = time.monotonic()
        call = self._world.phone.call(f"+{user.user.phone}", codecs=(codec,))
        await call.ringing()
        note("phone", "hears ringing")
        await call.answered()
        answered = time.monotonic()
        note("phone", "is connected")
        theirs = await user.wait("connected")
        said_at = await self._speak(call)
        note("phone", "has spoken, and hangs up")
        self._ended.clear()
        await call.hang_up()
        theirs = await user.wait("ended")
        note(user.user.first_name, "sees the call end")
        return await self._judged(Direction.SIP_TO_TELEGRAM, call, theirs, said_at, dialled, answered)

    async def telegram_to_sip(self, user: Robot, codec: str) -> CallStory:
        """A Telegram user calls the business; the phone answers; both speak; the user hangs up."""
        note, phone = self._narrator.note, self._world.phone
        await user.behave(audio="speech:telegram", audio_after_s=BEFORE_SPEECH_S)
        phone.behaviour = Behaviour(answer_after_s=ANSWER_S)
        phone.codecs = (codec,)
        dialled = time.monotonic()
        note(user.user.first_name, "calls the business in Telegram")
        await user.call(self._world.business)
        call = await phone.came.get()
        note("phone", f"rings: {call.invite.get('From').split(';')[0]}")
        await call.answered()
        note("phone", f"is answered, {codec}")
        theirs = await user.wait("connected")
        connected = time.monotonic()
        note(user.user.first_name, "is connected")
        said_at = await self._speak(call)
        note(user.user.first_name, "has spoken, and hangs up")
        self._ended.clear()
        await user.hang_up()
        theirs = await user.wait("ended")
        await call.ended()
        note("phone", "sees the call end")
        return await self._judged(Direction.TELEGRAM_TO_SIP, call, theirs, said_at, dialled, connected)

    async def _speak(self, call: PhoneCall) -> float:
        """Say our sentence while the user says his. Answers when ours began, on the monotonic clock."""
        await asyncio.sleep(BEFORE_SPEECH_S)
        rate_hz = rate_of(call.sound.codec)
        longest_s = max(len(speech(name, rate_hz)) for name in ("telephone", "telegram")) / rate_hz
        said_at = call.sound.play(speech("telephone", rate_hz), loop=False)
        await asyncio.sleep(longest_s + TAIL_S)
        return said_at

    async def _judged(
        self,
        direction: Direction,
        call: PhoneCall,
        theirs: CallReport,
        said_at: float,
        dialled: float,
        connected: float,
    ) -> CallStory:
        """Measure both ways from the two ends' recordings."""
        async with asyncio.timeout(10):
            await self._ended.wait()
        codec = call.sound.codec
        rate_hz = rate_of(codec)
        assert theirs.recording is not None
        assert theirs.first_heard_at is not None
        assert theirs.first_said_at is not None
        assert call.ringing_at is not None
        heard, heard_hz = read_wav(Path(theirs.recording))
        answered = call.answered_at if call.incoming else _time_of(theirs, "connecting")
        return CallStory(
            direction=direction,
            codec=codec,
            setup_ms=(call.ringing_at - dialled) * 1000,
            answer_ms=(connected - (answered or connected)) * 1000,
            to_telegram=self._way(
                direction, "telephone", rate_hz, resampled(heard, heard_hz, rate_hz), theirs.first_heard_at - said_at
            ),
            to_sip=self._way(
                direction, "telegram", rate_hz, call.sound.pcm(), call.sound.heard[0].at - theirs.first_said_at
            ),
            ended=self._records[-1].ending.cause.value,
        )

    def _way(self, direction: Direction, voice: str, rate_hz: int, heard: Pcm, heard_after_s: float) -> Way:
        """`heard_after_s`: when the recording begins, counted from the beginning of what was said."""
        said = speech(voice, rate_hz)
        shift = round(heard_after_s * rate_hz)
        heard = heard[-shift:] if shift < 0 else np.concatenate([np.zeros(shift, np.int16), heard])
        found = match(said, heard, rate_hz)
        other = "telegram" if voice == "telephone" else "telephone"
        recording = self._folder / f"{direction.value}--heard-by-{other}.wav"
        write_wav(recording, heard, rate_hz)
        title = f"{direction.value}, heard by {'Telegram' if other == 'telegram' else 'the phone'}"
        begin = round(found.delay_s * rate_hz)
        strip = Strip(title, rate_hz, said, heard[: len(said) + begin + rate_hz], found.delay_s)
        return Way(strip, found.likeness, level_dbfs(heard[begin : begin + len(said)]), recording)


def _time_of(report: CallReport, event: str) -> float | None:
    return next((at for at, name in report.events if name == event), None)
