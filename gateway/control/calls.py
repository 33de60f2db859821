"""Calls: those that live, and the records of those that ended."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from gateway.call.model import CallRecord
from gateway.control.asking import Asker, NotFoundError, Operator
from gateway.control.audio import audio_faults
from gateway.control.roster import Roster
from gateway.control.views import LiveCall
from gateway.media.model import MediaReport
from gateway.storage.store import Store

RECORDS_MAX: Final = 10_000

#: Where a gateway runs: the calls that live now, and what the audio of one is like so far, by its id.
Living = Callable[[], Iterable[LiveCall]]
Look = Callable[[str], Awaitable[MediaReport]]

_COUNTED: Final = ("packets", "first_ms", "lost", "late", "concealed_ms", "filled_ms", "dropped_ms")
_COLUMNS: Final = (
    *("call_id", "direction", "account", "line", "caller", "dialled", "telegram_user"),
    *("offered_at", "answered_at", "ended_at", "talk_s", "ended_in", "cause", "detail", "ended_by", "codec"),
    *("audio_faults", "engine", "version", "path", "spare_for"),
    *("rtt_ms", "jitter_ms", "loss_reported_by_user"),
    *(f"{what}_to_{whom}" for whom in ("telegram", "sip") for what in _COUNTED),
)


class Calls:
    """Use-cases of calls. Each takes who asks; an administrator sees those of the accounts that are his now."""

    def __init__(self, store: Store, roster: Roster, living: Living | None, look: Look | None = None) -> None:
        self._store = store
        self._roster = roster
        self._living = living
        self._look = look

    def living(self, asker: Asker) -> list[LiveCall]:
        """The calls that live now, the oldest first."""
        own = self._own(asker)
        calls = self._living() if self._living is not None else ()
        seen = [call for call in calls if own is None or call.record.account_id in own]
        return sorted(seen, key=lambda call: call.record.offered_at)

    async def living_audio(self, asker: Asker) -> list[LiveCall]:
        """The same, with what their audio is like so far."""
        calls = self.living(asker)
        if self._look is None:
            return calls
        audio = await asyncio.gather(*(self._look(call.record.call_id) for call in calls))
        return [dataclasses.replace(call, audio=report) for call, report in zip(calls, audio, strict=True)]

    async def records(
        self, asker: Asker, *, account_id: int | None = None, since: dt.datetime | None = None, limit: int = 50
    ) -> list[CallRecord]:
        """The newest first. Raises `GatewayError`."""
        own = self._own(asker)
        if account_id is not None:
            own = [self._roster.account_for(asker, account_id).account.id]
        return await self._store.records.find(accounts=own, since=since, limit=max(1, min(limit, RECORDS_MAX)))

    async def record(self, asker: Asker, call_id: str) -> CallRecord:
        """One call's record. Raises `GatewayError`, also when it is another's."""
        found = await self._store.records.find(accounts=self._own(asker), call_id=call_id, limit=1)
        if not found:
            raise NotFoundError(f"There is no call {call_id[:64]}.")
        return found[0]

    async def csv(self, asker: Asker, *, since: dt.datetime | None = None) -> str:
        """The records as a table for spreadsheets, with a heading. Raises `GatewayError`."""
        return as_csv(await self.records(asker, since=since, limit=RECORDS_MAX))

    def _own(self, asker: Asker) -> Sequence[int] | None:
        """Whose records he may see: None is everybody's, those of accounts that are gone as well."""
        if isinstance(asker, Operator):
            return None
        return [stored.account.id for stored in self._roster.accounts_for(asker)]


def as_csv(records: Iterable[CallRecord]) -> str:
    """Source: RFC 4180."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for one in records:
        media = one.media
        values = (
            *(one.call_id, one.direction.value, one.account_id, one.line_id, one.caller, one.dialled),
            *(one.telegram_user_id, _moment(one.offered_at), _moment(one.answered_at), _moment(one.ended_at)),
            *(round(one.talk_s, 1), one.state.value, one.ending.cause.value, one.ending.detail, one.ended_by),
            *(one.format.value if one.format else None, " ".join(audio_faults(media, one.talk_s))),
            *(media.engine, media.version, media.path, media.spare_for),
            *(media.rtt_ms, media.jitter_ms, media.loss_sent),
            *(
                getattr(counters, what) if media.counted else None
                for counters in (media.to_telegram, media.to_sip)
                for what in _COUNTED
            ),
        )
        writer.writerow([_harmless(value) for value in values])
    return out.getvalue()


def _moment(time: dt.datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds") if time else None


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula, and a caller may have chosen, begins with an apostrophe."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) and not value[1:].isdecimal():
        return f"'{value}"
    return value
