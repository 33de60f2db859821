"""Calls as tables in a terminal: headings, and a row for each."""

from __future__ import annotations

from gateway.call.model import CallRecord, Direction
from gateway.control.views import LiveCall

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

_WAYS = {Direction.SIP_TO_TELEGRAM: "→ Telegram", Direction.TELEGRAM_TO_SIP: "→ SIP"}


def ended(records: list[CallRecord]) -> Table:
    """Who, when, how long, and why they ended."""
    rows = [
        (
            *_who(record),
            f"{record.talk_s:.0f} s",
            record.ending.cause.value,
            record.ending.detail,
            _carried_by(record),
        )
        for record in records
    ]
    return ("when", "way", "caller", "dialled", "talked", "ended", "", "audio by"), rows


def living(calls: list[LiveCall]) -> Table:
    """Those that are up now. The user who sees the same four emoji has nobody between himself and the gateway."""
    rows = [(*_who(call.record), call.state.value, call.emoji) for call in calls]
    return ("when", "way", "caller", "dialled", "state", "emoji of its key"), rows


def _who(record: CallRecord) -> tuple[str, ...]:
    when = f"{record.offered_at.astimezone():%Y-%m-%d %H:%M:%S}"
    return when, _WAYS[record.direction], record.caller, record.dialled


def _carried_by(record: CallRecord) -> str:
    return " ".join(filter(None, (record.media.engine, record.media.version, record.media.path)))
