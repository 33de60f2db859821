"""Call records (K5). Implements `call.ports.Records`."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from gateway.call.model import CallRecord, CallState, Direction
from gateway.errors import Ending, HangupCause
from gateway.media.model import AudioFormat, DirectionCounters, MediaReport
from gateway.storage.database import Database, upsert
from gateway.storage.schema import call_records

#: Fields that are columns as they are.
_PLAIN = (
    "call_id",
    "account_id",
    "line_id",
    "caller",
    "dialled",
    "offered_at",
    "answered_at",
    "ended_at",
    "ended_by",
    "telegram_user_id",
)


class CallRecordRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, record: CallRecord) -> None:
        """Keep the record of an ended call; the same call written again replaces it."""
        values = {name: getattr(record, name) for name in _PLAIN} | {
            "direction": record.direction.value,
            "state": record.state.value,
            "cause": record.ending.cause.value,
            "detail": record.ending.detail,
            "retry_after_s": record.ending.retry_after_s,
            "format": record.format.value if record.format else None,
            "media": dataclasses.asdict(record.media),
        }
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, call_records, values))

    async def find(
        self,
        *,
        accounts: Collection[int] | None = None,
        call_id: str | None = None,
        since: dt.datetime | None = None,
        limit: int = 100,
    ) -> list[CallRecord]:
        """The newest first, at most `limit`; of these accounts only, if any are given."""
        query = sa.select(call_records).order_by(call_records.c.offered_at.desc(), call_records.c.call_id).limit(limit)
        if accounts is not None:
            query = query.where(call_records.c.account_id.in_(accounts))
        if call_id is not None:
            query = query.where(call_records.c.call_id == call_id)
        if since is not None:
            query = query.where(call_records.c.offered_at >= since)
        async with self._database.read() as connection:
            return [_record(row) for row in (await connection.execute(query)).mappings()]


def _record(row: sa.RowMapping) -> CallRecord:
    return CallRecord(
        **{name: row[name] for name in _PLAIN},
        direction=Direction(row["direction"]),
        state=CallState(row["state"]),
        ending=Ending(HangupCause(row["cause"]), row["detail"], row["retry_after_s"]),
        format=AudioFormat(row["format"]) if row["format"] else None,
        media=_report(row["media"]),
    )


def _report(media: Mapping[str, Any]) -> MediaReport:
    """Read a report as some version of this program wrote it: what it does not know stays out."""
    known = {field.name: media[field.name] for field in dataclasses.fields(MediaReport) if field.name in media}
    for direction in ("to_telegram", "to_sip"):
        counted = known.get(direction, {})
        names = [field.name for field in dataclasses.fields(DirectionCounters) if field.name in counted]
        known[direction] = DirectionCounters(**{name: counted[name] for name in names})
    return MediaReport(**known)
