"""/calls and /why: what calls there were, and why they ended (K5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final

from aiogram import F, Router
from aiogram.filters import Command

from gateway.bot.data import CallsOf, CallTo, Place, SessionTo, To
from gateway.bot.screen import PAGE, Button, Screen, button
from gateway.bot.sessions import title
from gateway.bot.start import to_home
from gateway.bot.visit import Visit
from gateway.bot.words import Html, Words, joined
from gateway.call.model import CallRecord, Direction
from gateway.control.door import DirectionCounters, LiveCall, UseCases, audio_faults
from gateway.errors import HangupCause

router = Router(name="calls")

#: These ended as somebody wanted them to.
WELL: Final = frozenset({HangupCause.NORMAL, HangupCause.CANCELLED, HangupCause.ANSWERED_ELSEWHERE})
#: Why these ended is in the audio, even if nobody had answered.
_ABOUT_AUDIO: Final = frozenset({HangupCause.MEDIA_LOST, HangupCause.INCOMPATIBLE_PEER})
_PATHS: Final = frozenset({"direct", "relay", "reflector"})
_ARROWS: Final = {Direction.SIP_TO_TELEGRAM: "→ Telegram", Direction.TELEGRAM_TO_SIP: "→ PBX"}
#: So far back /why looks for a call that failed.
_LOOKED_AT: Final = 200


def mark(record: CallRecord) -> str:
    if record.ended_at is None:
        return "📞"
    return "✅" if record.ending.cause in WELL else "⚠️"


def label(record: CallRecord) -> str:
    when = record.offered_at.astimezone(dt.UTC)
    return f"{mark(record)} {when:%d.%m %H:%M} {record.caller or '?'} {_ARROWS[record.direction]} {record.dialled}"


@router.message(Command("calls"))
@router.callback_query(To.filter(F.place == Place.CALLS))
async def show_all_calls(_event: object, visit: Visit, house: UseCases) -> Screen:
    return await calls_screen(visit, house, CallsOf(session=0))


@router.callback_query(CallsOf.filter())
async def show_calls(_event: object, visit: Visit, house: UseCases, callback_data: CallsOf) -> Screen:
    return await calls_screen(visit, house, callback_data)


async def calls_screen(visit: Visit, house: UseCases, asked: CallsOf) -> Screen:
    """The newest first. How many there are is not counted: there may be very many."""
    words, page = visit.words, max(0, min(asked.page, 1000))
    limit = (page + 1) * PAGE + 1
    records = await house.calls.records(visit.asker, account_id=asked.session or None, limit=limit)
    shown, more = records[page * PAGE : (page + 1) * PAGE], len(records) == limit
    living = [one for one in await house.calls.living_audio(visit.asker) if asked.session in (0, one.record.account_id)]
    turns = [
        button("◀️", CallsOf(session=asked.session, page=page - 1)) if page else None,
        button("▶️", CallsOf(session=asked.session, page=page + 1)) if more else None,
    ]
    whose = ""
    back = to_home(words)
    if asked.session:
        whose = words("calls-of", session=title(house.accounts.show(visit.asker, asked.session)))
        back = button(words.label("back"), SessionTo(id=asked.session))
    return Screen(
        joined(
            joined(whose, words("calls") if shown else words("calls-none"), by="\n"),
            words("calls-living", calls=len(living)) if living else "",
            joined(*(_line(words, one) for one in living[:PAGE]), by="\n"),
            words("calls-emoji") if any(one.emoji for one in living[:PAGE]) else "",
        ),
        [
            *([button(label(record), CallTo(id=record.call_id))] for record in shown),
            [turn for turn in turns if turn is not None],
            [back, button(words.label("refresh"), asked)],
        ],
    )


@router.callback_query(CallTo.filter())
async def show_call(_event: object, visit: Visit, house: UseCases, callback_data: CallTo) -> Screen:
    record = await house.calls.record(visit.asker, callback_data.id)
    return Screen(call_text(visit.words, house, visit, record), [[_to_calls(visit.words)]])


@router.message(Command("why"))
async def why(_event: object, visit: Visit, house: UseCases) -> Screen:
    """Explain the last call that failed."""
    words = visit.words
    failed = next(_failed(await house.calls.records(visit.asker, limit=_LOOKED_AT)), None)
    if failed is None:
        return Screen(words("why-none"), [[_to_calls(words)]])
    return Screen(joined(words("why"), call_text(words, house, visit, failed)), [[_to_calls(words)]])


def call_text(words: Words, house: UseCases, visit: Visit, record: CallRecord) -> Html:
    lines = {view.line.id: view.line.name for view in house.lines.list(visit.asker)}
    detail = record.ending.detail
    return joined(
        words(
            "call",
            mark=mark(record),
            way=words.word(record.direction),
            caller=record.caller or "?",
            dialled=record.dialled or "?",
            when=f"{record.offered_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
            talked=clock(record.talk_s),
        ),
        words("call-line", line=lines.get(record.line_id, words.label("call-line-gone"))) if record.line_id else "",
        words("call-ended", why=words.word(record.ending.cause), state=words.word(record.state)),
        words("call-detail", detail=words.said(detail)) if detail else "",
        _audio(words, record) if record.answered_at is not None or record.ending.cause in _ABOUT_AUDIO else "",
    )


def _audio(words: Words, record: CallRecord) -> Html:
    """What carried it, what came from either end, what is between, and what of that is not as it should be."""
    media = record.media
    between = (("call-rtt", media.rtt_ms), ("call-jitter", media.jitter_ms))
    lost = round(100 * media.loss_sent, 1) if media.loss_sent is not None else None
    return joined(
        joined(
            words(
                "call-audio",
                codec=record.format.value if record.format else "?",
                path=media.path if media.path in _PATHS else "unknown",
                engine=f"{media.engine or '?'} {media.version}".strip(),
            ),
            _came(words, "call-from-pbx", media.to_telegram) if media.counted else "",
            _came(words, "call-from-user", media.to_sip) if media.counted else "",
            joined(
                *(words(key, ms=round(value)) for key, value in between if value is not None),
                words("call-loss-to-user", percent=lost) if lost is not None else "",
                by=", ",
            ),
            words("call-spare-engine") if media.spare_for else "",
            by="\n",
        ),
        *(f"⚠️ {words.word(fault)}" for fault in audio_faults(media, record.talk_s)),
    )


def _came(words: Words, key: str, counted: DirectionCounters) -> Html:
    return words(
        key,
        packets=counted.packets,
        first=counted.first_ms or 0,
        lost=counted.lost,
        made_up=counted.concealed_ms,
    )


def clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes}:{left:02}"


def _failed(records: Iterable[CallRecord]) -> Iterator[CallRecord]:
    return (one for one in records if one.ending.cause not in WELL)


def _line(words: Words, call: LiveCall) -> Html:
    record = call.record
    since = record.answered_at or record.offered_at
    seconds = (dt.datetime.now(dt.UTC) - since).total_seconds()
    line = words("call-living", what=label(record), state=words.word(call.state), clock=clock(seconds))
    talk_s = seconds if record.answered_at else 0.0
    faults = audio_faults(call.audio, talk_s) if call.audio is not None else ()
    return joined(
        line,
        f"🔐 {call.emoji}" if call.emoji else "",
        *(f"⚠️ {words.word(fault)}" for fault in faults),
        by="\n",
    )


def _to_calls(words: Words) -> Button:
    return button(words.label("back-to-calls"), To(place=Place.CALLS))
