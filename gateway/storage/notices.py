"""What administrators are to be told, or were told and is not over yet (C8)."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from gateway.storage.database import Database, upsert
from gateway.storage.model import KeptNotice
from gateway.storage.schema import notices


class NoticeRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[KeptNotice]:
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(notices).order_by(notices.c.since))).mappings()
            return [KeptNotice(**row) for row in rows]

    async def change(self, saved: Iterable[KeptNotice], deleted: Iterable[str]) -> None:
        """Save some and delete others, in one step. A notice of an account that is gone is let go."""
        async with self._database.write() as connection:
            await connection.execute(sa.delete(notices).where(notices.c.id.in_(list(deleted))))
            for notice in saved:
                values = notice._asdict() | {"facts": dict(notice.facts)}
                await connection.execute(upsert(connection, notices, values))
