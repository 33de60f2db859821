"""Calls as tables in a terminal: headings, and a row for each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from gateway.call.model import CallRecord, Direction
from gateway.control.audio import AudioFault, audio_faults, loss
from gateway.control.views import LiveCall
from gateway.media.model import DirectionCounters, MediaReport

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

_WAYS: Final = {Direction.SIP_TO_TELEGRAM: "→ Telegram", Direction.TELEGRAM_TO_SIP: "→ SIP"}
_FAULTS: Final = {
    AudioFault.NOTHING_FROM_PBX: "nothing came from the PBX",
    AudioFault.NOTHING_FROM_USER: "nothing came from the user",
    AudioFault.LATE_FROM_PBX: "the PBX's audio began late",
    AudioFault.LATE_FROM_USER: "the user's audio began late",
    AudioFault.LOSS_FROM_PBX: "much of the PBX's audio was lost",
    AudioFault.LOSS_FROM_USER: "much of the user's audio was lost",
    AudioFault.LOSS_TO_USER: "much was lost on its way to the user",
    AudioFault.SLOW: "a long way to the user",
}


def ended(records: list[CallRecord]) -> Table:
    """Who, when, how long, and why they ended."""
    rows = [
        (
            *_who(record),
            f"{record.talk_s:.0f} s",
            record.ending.cause.value,
            record.ending.detail,
            _faults(record.media, record.talk_s) or _carried_by(record.media),
        )
        for record in records
    ]
    return ("when", "way", "caller", "dialled", "talked", "ended", "", "audio"), rows


def audio(records: list[CallRecord]) -> Table:
    """What the audio was like of those that were answered."""
    answered = [record for record in records if record.answered_at is not None]
    return _audio((record, record.media, record.talk_s) for record in answered)


def living_audio(calls: list[LiveCall]) -> Table:
    """What the audio is like so far of those that are up now."""
    now = dt.datetime.now(dt.UTC)
    return _audio(
        (call.record, call.audio, (now - call.record.answered_at).total_seconds())
        for call in calls
        if call.audio is not None and call.record.answered_at is not None
    )


def _audio(calls: Iterable[tuple[CallRecord, MediaReport, float]]) -> Table:
    rows = [
        (
            *_who(record),
            f"{talk_s:.0f} s",
            _faults(media, talk_s) or ("ok" if media.counted else "unknown"),
            *(_came(way) if media.counted else "unknown" for way in (media.to_telegram, media.to_sip)),
            _network(media),
            _carried_by(media),
        )
        for record, media, talk_s in calls
    ]
    headings = ("when", "way", "caller", "dialled", "talked", "audio")
    return (*headings, "packets from the PBX", "packets from the user", "to the user", "carried by"), rows


def living(calls: list[LiveCall]) -> Table:
    """Those that are up now. The user who sees the same four emoji has nobody between himself and the gateway."""
    rows = [(*_who(call.record), call.state.value, call.emoji) for call in calls]
    return ("when", "way", "caller", "dialled", "state", "emoji of its key"), rows


def _who(record: CallRecord) -> tuple[str, ...]:
    when = f"{record.offered_at.astimezone():%Y-%m-%d %H:%M:%S}"
    return when, _WAYS[record.direction], record.caller, record.dialled


def _faults(media: MediaReport, talk_s: float) -> str:
    return "; ".join(_FAULTS[fault] for fault in audio_faults(media, talk_s))


def _came(counted: DirectionCounters) -> str:
    if not counted.packets:
        return "none"
    said = [str(counted.packets)]
    if counted.first_ms is not None:
        said.append(f"the first after {counted.first_ms} ms")
    if counted.lost:
        said.append(f"{counted.lost} lost ({loss(counted):.1%})")
    if counted.concealed_ms:
        said.append(f"{counted.concealed_ms} ms made up")
    return ", ".join(said)


def _network(media: MediaReport) -> str:
    figures = (
        ("round trip {:.0f} ms", media.rtt_ms),
        ("jitter {:.0f} ms", media.jitter_ms),
        ("{:.1%} lost to him", media.loss_sent),
    )
    return ", ".join(form.format(value) for form, value in figures if value is not None)


def _carried_by(media: MediaReport) -> str:
    spare = f"(the other engine failed with this user: {media.spare_for})" if media.spare_for else ""
    return " ".join(filter(None, (media.engine, media.version, media.path, spare)))
